// How evenly a layer uses its experts.

#include "UsageMetrics.h"

#include <algorithm>
#include <cmath>

namespace peer::runtime {

UsageMetrics computeUsageMetrics(std::span<const double> mass) {
  double total = 0.0;
  size_t used = 0;
  for (double m : mass) {
    if (!(m > 0.0))
      continue;
    total += m;
    ++used;
  }
  if (used == 0 || !std::isfinite(total))
    return {};

  // The sum of z ln (z N) equals ln N + sum z ln z, and near even use its terms are small instead of cancelling.
  double count = static_cast<double>(mass.size()), divergence = 0.0;
  for (double m : mass) {
    if (!(m > 0.0))
      continue;
    double z = m / total;
    divergence += z * std::log(z * count);
  }
  // Rounding can leave a uniform mass a few ulps below zero, where a divergence cannot be.
  return {static_cast<double>(used) / count, std::max(0.0, divergence)};
}

} // namespace peer::runtime
