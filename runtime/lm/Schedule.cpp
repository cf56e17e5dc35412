// Learning-rate schedules.

#include "Schedule.h"

#include "artifact/format.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace peer::runtime {

double Schedule::factor(int64_t step) const {
  if (steps <= warmup)
    return step < warmup ? static_cast<double>(step) / static_cast<double>(warmup) : 1.0;
  // The decay starts at the peak, which the last warm-up step (or, without one, the first step) has.
  int64_t start = std::max<int64_t>(warmup, 1);
  double span = static_cast<double>(std::max<int64_t>(steps - start, 1));
  return factorAt(step, static_cast<double>(step - start) / span);
}

double Schedule::factorAt(int64_t step, double share) const {
  if (step < warmup)
    return static_cast<double>(step) / static_cast<double>(warmup);
  if (kind == ScheduleKind::Constant)
    return 1.0;
  double done = std::clamp(share, 0.0, 1.0);
  double left = kind == ScheduleKind::Linear ? 1.0 - done : 0.5 * (1.0 + std::cos(std::numbers::pi * done));
  return kFloor + (1.0 - kFloor) * left;
}

std::optional<ScheduleKind> parseScheduleKind(std::string_view name) {
  for (ScheduleKind kind : {ScheduleKind::Constant, ScheduleKind::Linear, ScheduleKind::Cosine})
    if (toString(kind) == name)
      return kind;
  return std::nullopt;
}

std::string_view toString(ScheduleKind kind) {
  switch (kind) {
  case ScheduleKind::Constant:
    return format::schedule::kConstant;
  case ScheduleKind::Linear:
    return format::schedule::kLinear;
  case ScheduleKind::Cosine:
    return format::schedule::kCosine;
  }
  return format::schedule::kConstant;
}

} // namespace peer::runtime
