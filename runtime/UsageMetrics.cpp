// How evenly a layer uses its experts.

#include "UsageMetrics.h"

#include <algorithm>
#include <cmath>

namespace peer::runtime {

UsageMetrics computeUsageMetrics(std::span<const float> mass) {
  double total = 0.0;
  size_t used = 0;
  for (float m : mass) {
    if (!(m > 0.0f))
      continue;
    total += m;
    ++used;
  }
  if (used == 0 || !std::isfinite(total))
    return {};

  double negativeEntropy = 0.0;
  for (float m : mass) {
    if (!(m > 0.0f))
      continue;
    double z = m / total;
    negativeEntropy += z * std::log(z);
  }
  double count = static_cast<double>(mass.size());
  // Rounding can leave a uniform mass a few ulps below zero, where a divergence cannot be.
  return {static_cast<double>(used) / count, std::max(0.0, std::log(count) + negativeEntropy)};
}

} // namespace peer::runtime
