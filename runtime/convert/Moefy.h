// The weights half of `moefy`: which hidden units belong together, and what a router knows of them.
#pragma once

#include "WeightPlan.h"

namespace peer::runtime {

/// How hidden units are grouped, and what scores the groups.
struct MoefyChoice {
  enum class Grouping { Weights, Coactivation, Random } grouping = Grouping::Coactivation;
  enum class Router { Linear, Similarity, Random } router = Router::Linear;
};

/// A dense layer, as the plan says it.
struct DenseRows {
  std::string name, activation;
  int64_t experts = 0;
  Shape shape;             // hidden x vectors x width
  std::vector<float> rows; // of that shape
};

/// The layers of a plan of `moefy`.
Result<std::vector<DenseRows>> readDenseRows(std::string_view json, const std::string &path, const TensorMap &before);

/// The decisions `order:LAYER` (the hidden units by groups) and `router:LAYER` (`1 x 1 x experts x width`). `inputs` is what the layer read of the
/// calibration text, T x width, T at least 1. The seed makes equal choices equal.
Decisions decideGroups(const DenseRows &layer, const Tensor &inputs, const MoefyChoice &choice, uint64_t seed);

} // namespace peer::runtime
