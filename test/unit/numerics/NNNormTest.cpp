#include "NNOpTest.h"

namespace peer::numerics {
namespace {

using namespace reference;

constexpr double kEpsilon = 1e-3;
const std::string kAttribute = "{epsilon = 1.0e-3 : f32}";

struct NNNorm : NNOpTest {
  // Rows far from zero: a variance by E[x^2] - E[x]^2 would lose its digits.
  Array x = random({70, 40}, 1, 2, 4), weight = random({40}, 2), bias = random({40}, 3), dy = random({70, 40}, 4);
  std::vector<Array> moments(bool centered) const { return rowMoments(x, kEpsilon, centered); }
};

Forward rms() {
  return [](const std::vector<Array> &in) { return rmsNorm(in[0], in[1], kEpsilon); };
}
Forward layer() {
  return [](const std::vector<Array> &in) { return layerNorm(in[0], in[1], in[2], kEpsilon); };
}

TEST_P(NNNorm, RMSNorm) {
  check("rms_norm", kAttribute, {{"x", x, true}, {"w", weight}}, {{rmsNorm(x, weight, kEpsilon), true}});
}

TEST_P(NNNorm, RMSNormGrad) {
  check("rms_norm_grad", kAttribute, {{"x", x, true}, {"w", weight}, {"dy", dy, true}},
        {{gradient(rms(), {x, weight}, 0, dy), true}, {moments(false)[1], true}});
}

TEST_P(NNNorm, RMSNormWeightGrad) {
  check("rms_norm_weight_grad", "", {{"x", x, true}, {"rstd", moments(false)[1], true}, {"dy", dy, true}},
        {{gradient(rms(), {x, weight}, 1, dy)}});
}

TEST_P(NNNorm, LayerNorm) {
  check("layer_norm", kAttribute, {{"x", x, true}, {"w", weight}, {"b", bias}},
        {{layerNorm(x, weight, bias, kEpsilon), true}});
}

TEST_P(NNNorm, LayerNormGrad) {
  check("layer_norm_grad", kAttribute, {{"x", x, true}, {"w", weight}, {"dy", dy, true}},
        {{gradient(layer(), {x, weight, bias}, 0, dy), true}, {moments(true)[0], true}, {moments(true)[1], true}});
}

TEST_P(NNNorm, LayerNormWeightGrad) {
  check("layer_norm_weight_grad", "",
        {{"x", x, true}, {"mean", moments(true)[0], true}, {"rstd", moments(true)[1], true}, {"dy", dy, true}},
        {{gradient(layer(), {x, weight, bias}, 1, dy)}, {gradient(layer(), {x, weight, bias}, 2, dy)}}, 1e-5);
}

/// 72 channels: one whole strip and a part of one.
struct NNBatchNorm : NNOpTest {
  Array x = random({600, 72}, 1, 2, 4), weight = random({72}, 2), bias = random({72}, 3), dy = random({600, 72}, 4);
  std::vector<Array> stats = batchStats(x);

  /// A batch norm of the first rows only, for the differences are many.
  static Array trained(const std::vector<Array> &in) {
    std::vector<Array> stats = batchStats(in[0]);
    return batchNorm(in[0], in[1], in[2], stats[0], stats[1], kEpsilon);
  }
  void shorten(int64_t rows) {
    x.shape[0] = dy.shape[0] = rows;
    x.values.resize(rows * 72), dy.values.resize(rows * 72);
    stats = batchStats(x);
  }
};

TEST_P(NNBatchNorm, Forward) {
  check("batch_norm", kAttribute,
        {{"x", x, true}, {"w", weight}, {"b", bias}, {"mean", stats[0]}, {"variance", stats[1]}},
        {{batchNorm(x, weight, bias, stats[0], stats[1], kEpsilon), true}});
}

TEST_P(NNBatchNorm, Stats) { check("batch_stats", "", {{"x", x, true}}, {{stats[0]}, {stats[1]}}); }

TEST_P(NNBatchNorm, StatsFarFromZero) {
  for (double &value : x.values)
    value += 1000;
  // Rounding x to f32 again keeps the reference on the same numbers.
  for (double &value : x.values)
    value = static_cast<float>(value);
  stats = batchStats(x);
  check("batch_stats", "", {{"x", x, true}}, {{stats[0]}, {stats[1]}}, 1e-4);
}

TEST_P(NNBatchNorm, WeightGrad) {
  shorten(40);
  check("batch_norm_weight_grad", kAttribute,
        {{"x", x, true}, {"mean", stats[0]}, {"variance", stats[1]}, {"dy", dy, true}},
        {{gradient(trained, {x, weight, bias}, 1, dy)}, {gradient(trained, {x, weight, bias}, 2, dy)}}, 1e-5);
}

TEST_P(NNBatchNorm, GradThroughStatistics) {
  shorten(10);
  check("batch_norm_grad", "{epsilon = 1.0e-3 : f32, batch_statistics}",
        {{"x", x, true},
         {"w", weight},
         {"mean", stats[0]},
         {"variance", stats[1]},
         {"dy", dy, true},
         {"dweight", gradient(trained, {x, weight, bias}, 1, dy)},
         {"dbias", gradient(trained, {x, weight, bias}, 2, dy)}},
        {{gradient(trained, {x, weight, bias}, 0, dy), true}}, 1e-5);
}

TEST_P(NNBatchNorm, GradWithRunningStatistics) {
  shorten(10);
  Array mean = random({72}, 5), variance = random({72}, 6, 0.5, 2);
  Forward forward = [&](const std::vector<Array> &in) {
    return batchNorm(in[0], weight, bias, mean, variance, kEpsilon);
  };
  check("batch_norm_grad", kAttribute,
        {{"x", x, true},
         {"w", weight},
         {"mean", mean},
         {"variance", variance},
         {"dy", dy, true},
         {"dweight", weight},
         {"dbias", bias}},
        {{gradient(forward, {x}, 0, dy), true}}, 1e-5);
}

INSTANTIATE_NN_OPS(NNNorm);
INSTANTIATE_NN_OPS(NNBatchNorm);

} // namespace
} // namespace peer::numerics
