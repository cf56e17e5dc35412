// What --profile says at the end of a run, and what bench says of routes as well.

#include "ProfileOutput.h"

#include "Table.h"
#include "lm/Progress.h"

namespace peer::runtime {

std::string scoredText(const std::string &kernel, const ScoredKeys &keys) {
  if (keys.rows == 0)
    return {};
  auto percent = [](int64_t part, int64_t all) {
    return fixed(100 * static_cast<double>(part) / static_cast<double>(all), 1);
  };
  return concat(kernel, ": ", percent(keys.scored, keys.keys), " % of the keys scored in f32, ",
                percent(keys.unbounded, keys.rows), " % of the rows without bounds\n");
}

std::string profileText(const StepProfile &profile) {
  double steps = static_cast<double>(profile.steps()), inKernels = 0;
  Table table({"kernel", "calls", "ms", "share", "GB/s", "GFLOP/s"});
  auto share = [&](double seconds) { return fixed(100 * seconds / profile.seconds(), 1) + " %"; };
  for (const StepProfile::Kernel &kernel : profile.kernels()) {
    inKernels += kernel.seconds;
    auto rate = [&](double amount) {
      return amount > 0 && kernel.seconds > 0 ? fixed(amount / kernel.seconds * 1e-9, 2) : std::string("-");
    };
    table.add({kernel.name, fixed(static_cast<double>(kernel.calls) / steps, 0), fixed(kernel.seconds / steps * 1e3, 3),
               share(kernel.seconds), rate(kernel.bytes), rate(kernel.flops)});
  }
  double outside = profile.seconds() - inKernels;
  table.add({"outside kernels", "-", fixed(outside / steps * 1e3, 3), share(outside), "-", "-"});
  table.add({"a step", "-", fixed(profile.seconds() / steps * 1e3, 3), share(profile.seconds()), "-", "-"});
  std::string keys;
  for (const StepProfile::Kernel &kernel : profile.kernels())
    keys += scoredText(kernel.name, kernel.scored);
  return concat("kernels          mean of ", formatCount(steps), profile.steps() == 1 ? " step" : " steps",
                "; bytes and operations by the compiler's counts\n", table.text("  "), keys);
}

} // namespace peer::runtime
