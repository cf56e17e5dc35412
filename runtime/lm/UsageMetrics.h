// How evenly a layer uses its experts.
//
// Both metrics are taken on gate mass (the gates that an expert received, summed), not on counts, as the PEER paper
// defines them (arXiv 2407.04153).
#pragma once

#include <cstdint>
#include <span>

namespace peer::runtime {

/// The two numbers that describe a layer's use of its experts.
struct UsageMetrics {
  /// Share of the experts with gate mass above zero, 0 to 1.
  double usage = 0.0;
  /// KL(z || uniform) = ln N + sum z ln z in nats, z being the normalised gate mass: 0 when all experts get the same,
  /// ln N when one gets everything.
  double unevenness = 0.0;
};

/// Computes both metrics, in double precision. Masses that are not above zero (and NaN) count as zero. Without experts,
/// or when no expert has any mass, nothing is used and nothing is uneven: both metrics are 0.
UsageMetrics computeUsageMetrics(std::span<const double> mass);

} // namespace peer::runtime
