// The weights half of `prune-experts`: which experts a layer keeps.
#pragma once

#include "WeightPlan.h"

#include <span>

namespace peer::runtime {

enum class KeepBy { Usage, Similarity, Random };

/// A layer of experts, as the plan says it.
struct PrunedLayer {
  std::string name; // of the pool
  int64_t before = 0, after = 0;
  Shape shape;               // heads x 1 x before x width
  std::vector<float> router; // of that shape
};

/// The layers of a plan of `prune-experts`.
Result<std::vector<PrunedLayer>> readPrunedLayers(std::string_view json, const std::string &path,
                                                  const TensorMap &before);

/// The experts that are kept, in their order. By usage: those with the most gate mass (one number for each expert). By similarity: while there are too many,
/// of the two experts with the likest rows of the router the one with less gate mass goes. Ties go to the lower number.
std::vector<int64_t> chooseExperts(const PrunedLayer &layer, std::span<const double> mass, KeepBy by, uint64_t seed);

} // namespace peer::runtime
