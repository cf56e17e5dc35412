// Norms and the sums over their rows on GPUs: sizes on and beside the borders of tiles, of chunks of rows and of strips of columns.
#include "NNOpTest.h"

#include <cmath>

namespace peer::numerics {
namespace {

using namespace reference;

constexpr double kEpsilon = 1e-3;
const std::string kAttribute = "{epsilon = 1.0e-3 : f32}";

/// Rows and columns. 128 columns are one strip of 16-byte accesses; 44 are accessed as widely but end within a strip; rows of 37
/// are not aligned. A block of rows has 8 or more, a chunk of a column sum 64.
using Size = std::pair<int64_t, int64_t>;

struct GpuNorm : NNOpTest {
  void setSize(Size size) {
    auto [rows, columns] = size;
    x = random({rows, columns}, 1, 2, 4), dy = random({rows, columns}, 4);
    weight = random({columns}, 2), bias = random({columns}, 3);
  }
  /// Sum over the rows of term(row, column), for each column.
  Array columnSums(const std::function<double(int64_t, int64_t)> &term) const {
    Array sums({x.columns()});
    for (int64_t r = 0; r < x.rows(); ++r)
      for (int64_t c = 0; c < x.columns(); ++c)
        sums.values[c] += term(r, c);
    return sums;
  }
  /// The gradient of `forward` for x, row by row: rows do not depend on each other.
  Array rowGradients(const Forward &forward, const std::vector<Array> &others) const {
    Array result(x.shape);
    for (int64_t r = 0; r < x.rows(); ++r) {
      auto rowOf = [&](const Array &a) {
        Array row({1, a.columns()});
        std::copy_n(a.values.begin() + r * a.columns(), a.columns(), row.values.begin());
        return row;
      };
      std::vector<Array> inputs{rowOf(x)};
      inputs.insert(inputs.end(), others.begin(), others.end());
      Array row = gradient(forward, inputs, 0, rowOf(dy));
      std::copy(row.values.begin(), row.values.end(), result.values.begin() + r * x.columns());
    }
    return result;
  }
  void checkRMSNorm(Size size) {
    setSize(size);
    Array rstd = rowMoments(x, kEpsilon, false)[1];
    check("rms_norm", kAttribute, {{"x", x, true}, {"w", weight}}, {{rmsNorm(x, weight, kEpsilon), true}});
    Forward forward = [](const std::vector<Array> &in) { return rmsNorm(in[0], in[1], kEpsilon); };
    check("rms_norm_grad", kAttribute, {{"x", x, true}, {"w", weight}, {"dy", dy, true}},
          {{rowGradients(forward, {weight}), true}, {rstd, true}}, 4e-6);
    check("rms_norm_weight_grad", "", {{"x", x, true}, {"rstd", rstd, true}, {"dy", dy, true}},
          {{columnSums([&](int64_t r, int64_t c) { return dy.at(r, c) * x.at(r, c) * rstd.values[r]; })}});
  }
  void checkLayerNorm(Size size) {
    setSize(size);
    std::vector<Array> moments = rowMoments(x, kEpsilon, true);
    const Array &mean = moments[0], &rstd = moments[1];
    check("layer_norm", kAttribute, {{"x", x, true}, {"w", weight}, {"b", bias}},
          {{layerNorm(x, weight, bias, kEpsilon), true}}, 4e-6);
    Forward forward = [](const std::vector<Array> &in) { return layerNorm(in[0], in[1], in[2], kEpsilon); };
    check("layer_norm_grad", kAttribute, {{"x", x, true}, {"w", weight}, {"dy", dy, true}},
          {{rowGradients(forward, {weight, bias}), true}, {mean, true}, {rstd, true}}, 1e-5);
    auto slope = [&](int64_t r, int64_t c) { return dy.at(r, c) * (x.at(r, c) - mean.values[r]) * rstd.values[r]; };
    check("layer_norm_weight_grad", "", {{"x", x, true}, {"mean", mean, true}, {"rstd", rstd, true}, {"dy", dy, true}},
          {{columnSums(slope)}, {columnSums([&](int64_t r, int64_t c) { return dy.at(r, c); })}}, 1e-5);
  }
  void checkBatchNorm(Size size) {
    setSize(size);
    std::vector<Array> stats = batchStats(x);
    const Array &mean = stats[0], &variance = stats[1];
    auto rstd = [&](int64_t c) { return 1 / std::sqrt(variance.values[c] + kEpsilon); };
    auto xhat = [&](int64_t r, int64_t c) { return (x.at(r, c) - mean.values[c]) * rstd(c); };
    Array dweight = columnSums([&](int64_t r, int64_t c) { return dy.at(r, c) * xhat(r, c); });
    Array dbias = columnSums([&](int64_t r, int64_t c) { return dy.at(r, c); }), dx(x.shape);
    for (int64_t r = 0; r < x.rows(); ++r)
      for (int64_t c = 0; c < x.columns(); ++c)
        dx.at(r, c) = weight.values[c] * rstd(c) *
                      (dy.at(r, c) - (dbias.values[c] + xhat(r, c) * dweight.values[c]) / double(x.rows()));
    check("batch_stats", "", {{"x", x, true}}, {{mean}, {variance}});
    check("batch_norm", kAttribute, {{"x", x, true}, {"w", weight}, {"b", bias}, {"m", mean}, {"v", variance}},
          {{batchNorm(x, weight, bias, mean, variance, kEpsilon), true}}, 5e-6);
    check("batch_norm_weight_grad", kAttribute, {{"x", x, true}, {"m", mean}, {"v", variance}, {"dy", dy, true}},
          {{dweight}, {dbias}}, 1e-5);
    check("batch_norm_grad", "{epsilon = 1.0e-3 : f32, batch_statistics}",
          {{"x", x, true}, {"w", weight}, {"m", mean}, {"v", variance}, {"dy", dy, true}, {"a", dweight}, {"b", dbias}},
          {{dx, true}}, 2e-5);
  }
  Array x, dy, weight, bias;
};

TEST_P(GpuNorm, RMSNorm) {
  checkRMSNorm({1, 5});
  checkRMSNorm({9, 128});
}
TEST_P(GpuNorm, RMSNormBesideBorders) {
  checkRMSNorm({65, 44});
  checkRMSNorm({130, 37});
}

TEST_P(GpuNorm, LayerNorm) {
  checkLayerNorm({1, 5});
  checkLayerNorm({9, 128});
}
TEST_P(GpuNorm, LayerNormBesideBorders) {
  checkLayerNorm({65, 44});
  checkLayerNorm({130, 37});
}

TEST_P(GpuNorm, BatchNorm) {
  checkBatchNorm({1, 5});
  checkBatchNorm({9, 128});
}
TEST_P(GpuNorm, BatchNormBesideBorders) {
  checkBatchNorm({65, 44});
  checkBatchNorm({130, 37});
}

// More rows than the most chunks have at their smallest: chunks grow.
TEST_P(GpuNorm, SumsOfManyRows) {
  setSize({16500, 8});
  std::vector<Array> stats = batchStats(x);
  check("batch_stats", "", {{"x", x, true}}, {{stats[0]}, {stats[1]}});
  Array rstd({x.rows()});
  std::fill(rstd.values.begin(), rstd.values.end(), 0.5);
  check("rms_norm_weight_grad", "", {{"x", x, true}, {"rstd", rstd, true}, {"dy", dy, true}},
        {{columnSums([&](int64_t r, int64_t c) { return dy.at(r, c) * x.at(r, c) / 2; })}}, 1e-5);
}

// Each chunk's own mean is far from zero, and so is the distance between the chunks.
TEST_P(GpuNorm, StatisticsOfDistantChunks) {
  setSize({200, 40});
  for (int64_t r = 0; r < x.rows(); ++r)
    for (int64_t c = 0; c < x.columns(); ++c)
      x.at(r, c) = static_cast<float>(x.at(r, c) + 1000 + r / 64 * 3);
  std::vector<Array> stats = batchStats(x);
  check("batch_stats", "", {{"x", x, true}}, {{stats[0]}, {stats[1]}}, 1e-4);
}

TEST_P(GpuNorm, NoNumberStaysInItsRow) {
  setSize({20, 128});
  x.at(3, 77) = NAN;
  Array expected = rmsNorm(x, weight, kEpsilon);
  auto compiled = Compiled::compile(R"(
func.func @f(%x: tensor<?x128xf32> {peer.name = "x"}, %w: tensor<128xf32> {peer.name = "w"})
    -> (tensor<?x128xf32> {peer.name = "y"}) {
  %y = peer.rms_norm %x, %w {epsilon = 1.0e-3 : f32} : tensor<?x128xf32>, tensor<128xf32>
  return %y : tensor<?x128xf32>
})",
                                    code());
  ASSERT_TRUE(compiled);
  runtime::TensorMap inputs;
  inputs.emplace("x", toTensor(x));
  inputs.emplace("w", toTensor(weight));
  EXPECT_TRUE(compiled->agrees(compiled->call("f", inputs), "y", expected.shape, expected.values, 3e-6));
}

// Static sizes take the same code but where they are small, and those the suites of all targets have.
INSTANTIATE_TEST_SUITE_P(, GpuNorm, ::testing::Values(std::tuple(Code::Gpu, true)),
                         [](const auto &info) { return codeName(std::get<0>(info.param), std::get<1>(info.param)); });

} // namespace
} // namespace peer::numerics
