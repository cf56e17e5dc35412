// Learning-rate schedules.
//
// How a run's learning rate moves with the step. The compiled train entry only sees a number per call, so schedules
// are a matter of the runtime and can be changed without compiling again.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace peer::runtime {

enum class ScheduleKind { Constant, Linear, Cosine };

/// A factor on the peak learning rate as a function of the step.
struct Schedule {
  /// The share of the peak that `Linear` and `Cosine` reach at the last step.
  static constexpr double kFloor = 0.1;

  ScheduleKind kind = ScheduleKind::Constant;
  int64_t warmup = 0;
  int64_t steps = 0;

  /// Returns the factor at `step`, which counts from 1. During warm-up it rises linearly to 1 at step `warmup`; after it,
  /// it stays or falls to `kFloor` at step `steps`, where it also stays if training goes on.
  double factor(int64_t step) const;

  /// The same for a run that ends with a time: after the warm-up it falls with the share of the time that is over, in [0, 1].
  double factorAt(int64_t step, double share) const;
};

/// Parses `constant`, `linear` or `cosine`; nothing for any other name.
std::optional<ScheduleKind> parseScheduleKind(std::string_view name);

/// The name that parseScheduleKind reads.
std::string_view toString(ScheduleKind kind);

} // namespace peer::runtime
