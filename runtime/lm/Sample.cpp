// Choosing a token from logits.

#include "Sample.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace peer::runtime {

int64_t sampleToken(std::span<const float> logits, const SampleOptions &options, double unit) {
  // NaN is out of the race, and +inf beats everything, with no arithmetic that could turn it into NaN.
  std::vector<int64_t> order;
  order.reserve(logits.size());
  for (size_t i = 0; i < logits.size(); ++i)
    if (!std::isnan(logits[i]))
      order.push_back(static_cast<int64_t>(i));
  if (order.empty())
    return -1;
  std::sort(order.begin(), order.end(),
            [&](int64_t a, int64_t b) { return logits[a] != logits[b] ? logits[a] > logits[b] : a < b; });
  double best = logits[order.front()];
  if (options.temperature <= 0.0 || !std::isfinite(best))
    return order.front();

  std::vector<double> probability(order.size());
  for (size_t i = 0; i < order.size(); ++i)
    probability[i] = std::exp((logits[order[i]] - best) / options.temperature);
  double total = std::accumulate(probability.begin(), probability.end(), 0.0);

  size_t kept = 0;
  double keptMass = 0.0;
  while (kept < order.size() && (kept == 0 || keptMass < options.topP * total))
    keptMass += probability[kept++];

  double target = unit * keptMass;
  double seen = 0.0;
  for (size_t i = 0; i < kept; ++i) {
    seen += probability[i];
    if (target < seen)
      return order[i];
  }
  return order[kept - 1];
}

} // namespace peer::runtime
