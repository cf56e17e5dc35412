// What the kernels of training steps take: sums over a run, and a trace to look at.
#pragma once

#include "device/ScoredKeys.h"
#include "session/Session.h"

#include <set>

namespace peer::runtime {

/// Collects the marks that compiled code makes between kernels (device/Profile.h), over steps of one or more calls. On a device that replays graphs
/// the host code of each step runs instead, so steps are slower than without.
///
/// Sums leave out the first step, which touches all memory first, where there are others. The trace has it.
class StepProfile {
public:
  /// Kernels of one name, over all steps that are summed.
  struct Kernel {
    std::string name;
    int64_t calls = 0;
    double seconds = 0, bytes = 0, flops = 0; // bytes with those of keys that routes scored in f32
    ScoredKeys scored;
  };

  void beginStep(int64_t step);
  void endStep();
  /// Adds a call of an entry within a step.
  void add(const CallTimes &call);

  /// Steps that are summed, and the seconds that they took in all.
  int64_t steps() const { return summed; }
  double seconds() const { return total; }
  /// By the time they took, most first.
  std::vector<Kernel> kernels() const;
  /// The first steps, as trace viewers of browsers read them (chrome://tracing, ui.perfetto.dev): what runs when, in microseconds, with the bytes and
  /// floating-point operations by the compiler's counts. `title` names the whole.
  std::string traceJson(const std::string &title) const;
  /// Steps that the trace has whole.
  int64_t tracedSteps() const { return traced; }

private:
  struct Event {
    std::string_view kernel; // empty: a step
    int64_t step, start, end;
    double bytes, flops;
  };

  int64_t begun = 0, summed = 0, traced = 0, step = 0, stepStart = 0;
  bool traces = false; // this step
  double total = 0;
  std::map<std::string, Kernel> byName;
  std::vector<Event> events;
  std::set<std::string> names; // that events bear: the session is closed when they are written
};

} // namespace peer::runtime
