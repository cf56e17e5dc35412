// mix and its token pass on GPUs: every regime of T, widths beside what warps and accesses take, rows that several warps share.
#include "RoutingOpTest.h"

#include <cmath>
#include <cstring>

namespace peer::numerics {
namespace {

using namespace reference;
using runtime::Tensor;
using runtime::TensorMap;

struct Layer {
  int64_t heads, selected, width, vectors = 2, rows = 1;
  std::string activation = "gelu", element = "f32";
  int64_t experts = 9;
};

/// Compiled once for any number of tokens, called for several.
class GpuMix : public ::testing::Test {
protected:
  void open(const Layer &of) {
    layer = of;
    pool = random({layer.experts * layer.rows, layer.vectors, layer.width}, 4);
    if (layer.element == "bf16")
      pool = roundToBF16(pool);
    std::string pairs = "?x" + std::to_string(layer.heads) + "x" + std::to_string(layer.selected),
                rows = std::to_string(layer.rows), vectors = std::to_string(layer.vectors),
                width = std::to_string(layer.width), x = "tensor<?x" + width + "xf32>", i = "tensor<" + pairs + "xi32>",
                w = "tensor<" + pairs + "xf32>",
                p = "tensor<" + std::to_string(pool.shape[0]) + "x" + vectors + "x" + width + "x" + layer.element + ">",
                c = "tensor<" + pairs + "x" + rows + "x" + vectors + "xf32>",
                attributes = layer.activation + " {rows_per_expert = " + rows + " : i64} : ";
    compiled = Compiled::compile(
        "func.func @f(%x: " + x + " {peer.name = \"x\"}, %i: " + i + " {peer.name = \"i\"}, %w: " + w +
            " {peer.name = \"w\"}, %p: " + p + " {peer.name = \"p\"}, %dy: " + x + " {peer.name = \"dy\"}) -> (" + x +
            " {peer.name = \"y\"}, " + x + " {peer.name = \"dx\"}, " + w + " {peer.name = \"dw\"}, " + c +
            " {peer.name = \"c\"}) {\n  %y = peer.mix %x, %i, %w, %p " + attributes + x + ", " + i + ", " + w + ", " +
            p + "\n  %dx, %dw, %c = peer.mix_grad %x, %i, %w, %p, %dy " + attributes + x + ", " + i + ", " + w + ", " +
            p + ", " + x + "\n  return %y, %dx, %dw, %c : " + x + ", " + x + ", " + w + ", " + c + "\n}\n",
        Code::Gpu);
  }

  TensorMap call(const Array &x, const Array &idx, const Array &w, const Array &dy) {
    TensorMap inputs;
    inputs.emplace("x", toTensor(x));
    inputs.emplace("i", toTensor(idx, "i32"));
    inputs.emplace("w", toTensor(w));
    inputs.emplace("p", toTensor(pool, layer.element));
    inputs.emplace("dy", toTensor(dy));
    return compiled ? compiled->call("f", inputs) : TensorMap();
  }

  double act(double a) const {
    if (layer.activation == "relu")
      return std::max(a, 0.0);
    return layer.activation == "gelu" ? a * 0.5 * (1 + std::erf(a / std::sqrt(2.0))) : a / (1 + std::exp(-a));
  }
  double slope(double a) const {
    constexpr double kStep = 1e-6;
    return (act(a + kStep) - act(a - kStep)) / (2 * kStep);
  }

  /// Compares all four results; the error is relative to 1 + |expected|.
  void check(int64_t tokens, double tolerance = 1e-5) {
    std::vector<int64_t> pairs{tokens, layer.heads, layer.selected};
    check(random({tokens, layer.width}, 1), randomExperts(pairs, layer.experts, 2), random(pairs, 3),
          random({tokens, layer.width}, 5), tolerance);
  }

  void check(const Array &x, const Array &idx, const Array &w, const Array &dy, double tolerance) {
    int64_t tokens = x.shape[0], width = layer.width, vectors = layer.vectors, rows = layer.rows;
    auto numbers = static_cast<int64_t>(layer.heads * layer.selected);
    std::vector<double> y(x.values.size()), dx(y.size()), dw(w.values.size()),
        coef(w.values.size() * static_cast<size_t>(rows * vectors));
    for (int64_t t = 0; t < tokens; ++t)
      for (int64_t s = 0; s < numbers * rows; ++s) {
        int64_t pair = t * numbers + s / rows, expert = static_cast<int64_t>(idx.values[pair]);
        if (expert < 0)
          continue;
        const double *row = &pool.values[(expert * rows + s % rows) * vectors * width],
                     *v = row + (vectors - 1) * width;
        auto dot = [&](const double *vector, const Array &with) {
          double sum = 0;
          for (int64_t d = 0; d < width; ++d)
            sum += vector[d] * with.values[t * width + d];
          return sum;
        };
        double weight = w.values[pair], c = dot(v, dy), a = vectors > 1 ? dot(row, x) : 0;
        double u = vectors > 2 ? dot(row + width, x) : 1, value = vectors > 1 ? act(a) * u : 1;
        double da = vectors > 1 ? weight * slope(a) * u * c : 0, du = vectors > 2 ? weight * act(a) * c : 0;
        for (int64_t d = 0; d < width; ++d) {
          y[t * width + d] += weight * value * v[d];
          dx[t * width + d] += (vectors > 1 ? da * row[d] : 0) + (vectors > 2 ? du * row[width + d] : 0);
        }
        dw[pair] += value * c;
        double *out = &coef[(t * numbers * rows + s) * vectors];
        if (vectors > 1)
          out[0] = da;
        if (vectors > 2)
          out[1] = du;
        out[vectors - 1] = weight * value;
      }
    TensorMap results = call(x, idx, w, dy);
    ASSERT_EQ(results.size(), 4u);
    for (auto [name, expected] : {std::pair{"y", &y}, {"dx", &dx}, {"dw", &dw}, {"c", &coef}}) {
      compiled->expect(name, results.at(name).shape(), *expected, tolerance);
      Difference found = difference(results.at(name), *expected);
      EXPECT_LE(found.most, tolerance) << name << " at " << found.at << ", " << tokens << " tokens";
    }
  }

  Layer layer;
  Array pool;
  std::unique_ptr<Compiled> compiled;
};

TEST_F(GpuMix, EveryRegime) {
  open({.heads = 1, .selected = 3, .width = 8});
  for (int64_t tokens : {1, 2, 63, 64, 65, 2047, 2048, 2051})
    check(tokens);
}

TEST_F(GpuMix, PartsOfATokenInOrder) {
  // 70 rows: shares beside multiples of 32 and of the rows under way at once, the last block without any.
  open({.heads = 2, .selected = 35, .width = 12});
  for (int64_t tokens : {1, 5, 40, 70})
    check(tokens);
}

TEST_F(GpuMix, GatedNeuronsOfSeveralRows) {
  open({.heads = 2, .selected = 2, .width = 40, .vectors = 3, .rows = 3, .activation = "silu"});
  for (int64_t tokens : {2, 65, 2049})
    check(tokens, 3e-5);
}

TEST_F(GpuMix, Values) {
  open({.heads = 1, .selected = 5, .width = 20, .vectors = 1, .rows = 2});
  for (int64_t tokens : {3, 65, 2049})
    check(tokens);
}

TEST_F(GpuMix, ReluOfBF16) {
  open({.heads = 1, .selected = 7, .width = 64, .activation = "relu", .element = "bf16"});
  for (int64_t tokens : {3, 65})
    check(tokens);
}

/// Widths around what a warp takes in one access, and those that no wide access fits.
class GpuMixWidths : public GpuMix, public ::testing::WithParamInterface<std::tuple<int, const char *>> {};

TEST_P(GpuMixWidths, FewAndSomeTokens) {
  auto [width, element] = GetParam();
  open({.heads = 1, .selected = 6, .width = width, .element = element});
  check(3, 2e-5);
  check(65, 2e-5);
}
INSTANTIATE_TEST_SUITE_P(, GpuMixWidths,
                         ::testing::Combine(::testing::Values(1, 5, 17, 33, 100, 128, 256, 264, 300),
                                            ::testing::Values("f32", "bf16")),
                         [](const auto &info) {
                           return std::string(std::get<1>(info.param)) + "x" + std::to_string(std::get<0>(info.param));
                         });

TEST_F(GpuMix, WidthOfOneWarp) {
  open({.heads = 1, .selected = 3, .width = 1024, .element = "bf16"});
  check(2, 5e-5);
  check(65, 5e-5);
}

TEST_F(GpuMix, OddWidthOfOneWarp) {
  open({.heads = 1, .selected = 3, .width = 999});
  check(2, 5e-5);
  check(64, 5e-5);
}

TEST_F(GpuMix, SharedRows) {
  open({.heads = 1, .selected = 5, .width = 2048, .element = "bf16"});
  check(2, 1e-4);
  check(65, 1e-4);
}

TEST_F(GpuMix, RowsOfThreeWarps) {
  open({.heads = 1, .selected = 3, .width = 1300});
  check(2, 1e-4);
}

TEST_F(GpuMix, SharedRowsOfManyTokens) {
  // mix_grad shares, mix does not.
  open({.heads = 1, .selected = 2, .width = 520, .vectors = 3});
  check(2048, 1e-4);
}

TEST_F(GpuMix, SharedGatedRowsOfOddWidth) {
  open({.heads = 1, .selected = 3, .width = 4100, .vectors = 3, .rows = 2, .activation = "silu", .experts = 3});
  check(3, 5e-4);
}

TEST_F(GpuMix, NothingSelected) {
  open({.heads = 2, .selected = 3, .width = 24});
  for (int64_t tokens : {1, 64, 2048}) {
    Array idx({tokens, 2, 3});
    std::fill(idx.values.begin(), idx.values.end(), -1);
    check(random({tokens, 24}, 1), idx, random({tokens, 2, 3}, 3), random({tokens, 24}, 5), 0);
  }
}

TEST_F(GpuMix, NeverTouchesRowsNobodySelected) {
  open({.heads = 1, .selected = 40, .width = 33});
  for (int64_t d = 0; d < 66; ++d)
    pool.values[d] = NAN;
  Array idx({3, 1, 40}), w = random({3, 1, 40}, 3), x = random({3, 33}, 1), dy = random({3, 33}, 5);
  for (size_t i = 0; i < idx.values.size(); ++i)
    idx.values[i] = i % 3 == 0 ? static_cast<double>(1 + i % 8) : -1;
  check(x, idx, w, dy, 1e-5);
}

TEST_F(GpuMix, InfinityStaysInItsColumn) {
  // The last column of 33 is alone in its access: lanes beyond the row must not make not-a-number of it.
  open({.heads = 1, .selected = 1, .width = 33});
  pool.values[65] = INFINITY;
  Array idx({1, 1, 1}), w({1, 1, 1}), x = random({1, 33}, 1), dy({1, 33});
  w.values = {1};
  x.values[32] = 0.5;
  TensorMap results = call(x, idx, w, dy);
  ASSERT_EQ(results.size(), 4u);
  auto y = results.at("y").as<float>();
  for (size_t d = 0; d < 32; ++d)
    EXPECT_TRUE(std::isfinite(y[d])) << d;
  EXPECT_TRUE(std::isinf(y[32]));
}

TEST_F(GpuMix, SameOnEveryRun) {
  open({.heads = 2, .selected = 9, .width = 100, .activation = "silu"});
  for (int64_t tokens : {5, 70}) {
    std::vector<int64_t> pairs{tokens, 2, 9};
    auto once = [&] {
      return call(random({tokens, 100}, 1), randomExperts(pairs, 9, 2), random(pairs, 3), random({tokens, 100}, 5));
    };
    TensorMap first = once(), second = once();
    for (auto &[name, tensor] : first) {
      auto a = tensor.as<float>(), b = second.at(name).as<float>();
      EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size_bytes()), 0) << name;
    }
  }
}

} // namespace
} // namespace peer::numerics
