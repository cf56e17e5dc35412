// The weights half of `prune-experts`: which experts a layer keeps, and what becomes of the others.
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
  Shape poolShape;           // rows x vectors x width, where experts are merged
  std::vector<float> pool;   // of that shape
};

/// The layers of a plan of `prune-experts`, with their pools where experts are merged.
Result<std::vector<PrunedLayer>> readPrunedLayers(std::string_view json, const std::string &path,
                                                  const TensorMap &before, bool withPools = false);

/// The experts that are kept, in their order. By usage: those with the most gate mass (one number for each expert). By similarity: while there are too many,
/// of the two experts with the likest rows of the router the one with less gate mass goes. Ties go to the lower number.
std::vector<int64_t> chooseExperts(const PrunedLayer &layer, std::span<const double> mass, KeepBy by, uint64_t seed);

/// The decision `kept:NAME`: these experts.
Decisions keepExperts(const PrunedLayer &layer, std::span<const int64_t> kept);

/// Decisions `shares:NAME` (kept x before) and `units:NAME` (rows of the pool), by which each expert that is not kept joins the kept one with the likest row of the
/// router: the mean of those that are together, weighted by their gate mass. Before that the hidden units of one that joins are put into the order of those that
/// they are likest to: pairs by the cosine of their rows, likest first. `merged` false: the kept ones as they are.
Decisions mergeExperts(const PrunedLayer &layer, std::span<const double> mass, std::span<const int64_t> kept,
                       bool merged);

} // namespace peer::runtime
