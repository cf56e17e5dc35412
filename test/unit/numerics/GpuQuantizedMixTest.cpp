// quantized_mix on GPUs: every regime of T, widths beside what warps and accesses take, rows that several warps share.
#include "RoutingOpTest.h"

#include <cmath>
#include <cstring>

namespace peer::numerics {
namespace {

using namespace reference;
using runtime::TensorMap;

struct Layer {
  int64_t heads, selected, width, vectors = 2, rows = 1;
  std::string activation = "gelu";
  int64_t experts = 9;
};

/// Compiled once for any number of tokens, called for several.
class GpuQuantizedMix : public ::testing::Test {
protected:
  void open(const Layer &of) {
    layer = of;
    int64_t rows = layer.experts * layer.rows;
    pool = random({rows, layer.vectors, layer.width}, 4, -128, 128);
    for (double &value : pool.values)
      value = std::floor(value);
    scales = random({rows, layer.vectors}, 5, 0.2 / 127, 1.0 / 127);
    auto sizes = [](const std::vector<int64_t> &shape) {
      std::string text;
      for (int64_t size : shape)
        text += std::to_string(size) + "x";
      return text;
    };
    std::string x = "tensor<?x" + sizes({layer.width}) + "f32>", pairs = sizes({layer.heads, layer.selected}),
                i = "tensor<?x" + pairs + "i32>", w = "tensor<?x" + pairs + "f32>",
                p = "tensor<" + sizes(pool.shape) + "i8>", s = "tensor<" + sizes(scales.shape) + "f32>";
    compiled = Compiled::compile(
        "func.func @f(%x: " + x + " {peer.name = \"x\"}, %i: " + i + " {peer.name = \"i\"}, %w: " + w +
            " {peer.name = \"w\"}, %p: " + p + " {peer.name = \"p\"}, %s: " + s + " {peer.name = \"s\"}) -> (" + x +
            " {peer.name = \"y\"}) {\n  %y = peer.quantized_mix %x, %i, %w, %p, %s " + layer.activation +
            " {rows_per_expert = " + std::to_string(layer.rows) + " : i64} : " + x + ", " + i + ", " + w + ", " + p +
            ", " + s + "\n  return %y : " + x + "\n}\n",
        Code::Gpu);
  }

  TensorMap call(const Array &x, const Array &idx, const Array &w) {
    TensorMap inputs;
    inputs.emplace("x", toTensor(x));
    inputs.emplace("i", toTensor(idx, "i32"));
    inputs.emplace("w", toTensor(w));
    inputs.emplace("p", toTensor(pool, "i8"));
    inputs.emplace("s", toTensor(scales));
    return compiled ? compiled->call("f", inputs) : TensorMap();
  }

  /// The error is relative to 1 + |expected|.
  void check(int64_t tokens, double tolerance = 1e-5, bool none = true) {
    std::vector<int64_t> pairs{tokens, layer.heads, layer.selected};
    check(random({tokens, layer.width}, 1), randomExperts(pairs, layer.experts, 2, none), random(pairs, 3), tolerance);
  }

  void check(const Array &x, const Array &idx, const Array &w, double tolerance) {
    Array rows = pool;
    for (size_t i = 0; i < rows.values.size(); ++i)
      rows.values[i] *= scales.values[i / static_cast<size_t>(layer.width)];
    Activation kind = layer.activation == "gelu"   ? Activation::Gelu
                      : layer.activation == "silu" ? Activation::Silu
                                                   : Activation::Relu;
    TensorMap results = call(x, idx, w);
    ASSERT_EQ(results.size(), 1u);
    Array expected = mix(x, idx, w, rows, kind, layer.rows);
    compiled->expect("y", expected.shape, expected.values, tolerance);
    Difference found = difference(results.at("y"), expected.values);
    EXPECT_LE(found.most, tolerance) << "at " << found.at << ", " << x.shape[0] << " tokens";
  }

  Layer layer;
  Array pool, scales;
  std::unique_ptr<Compiled> compiled;
};

TEST_F(GpuQuantizedMix, EveryRegime) {
  open({.heads = 1, .selected = 3, .width = 16});
  for (int64_t tokens : {1, 2, 63, 64, 65, 2047, 2048, 2051})
    check(tokens);
}

TEST_F(GpuQuantizedMix, PartsOfATokenInOrder) {
  // 70 rows: shares beside multiples of 32 and of the rows under way at once, the last block without any.
  open({.heads = 2, .selected = 35, .width = 12});
  for (int64_t tokens : {1, 5, 40, 70})
    check(tokens);
}

TEST_F(GpuQuantizedMix, GatedNeuronsOfSeveralRows) {
  open({.heads = 2, .selected = 2, .width = 40, .vectors = 3, .rows = 3, .activation = "silu"});
  for (int64_t tokens : {2, 65, 2049})
    check(tokens, 3e-5);
}

TEST_F(GpuQuantizedMix, Values) {
  open({.heads = 1, .selected = 5, .width = 20, .vectors = 1, .rows = 2});
  for (int64_t tokens : {3, 65, 2049})
    check(tokens);
}

/// Widths around what a warp takes in one access of 1, 2, 4, 8 or 16 bytes per lane.
class GpuQuantizedMixWidths : public GpuQuantizedMix, public ::testing::WithParamInterface<int> {};

TEST_P(GpuQuantizedMixWidths, FewAndSomeTokens) {
  open({.heads = 1, .selected = 6, .width = GetParam(), .activation = "relu"});
  check(3, 3e-5);
  check(65, 3e-5);
}
INSTANTIATE_TEST_SUITE_P(, GpuQuantizedMixWidths,
                         ::testing::Values(1, 5, 17, 33, 34, 100, 128, 256, 264, 272, 300, 512, 528));

TEST_F(GpuQuantizedMix, WidthOfOneWarp) {
  open({.heads = 1, .selected = 3, .width = 1024});
  check(2, 5e-5);
  check(65, 5e-5);
}

TEST_F(GpuQuantizedMix, OddWidthOfOneWarp) {
  open({.heads = 1, .selected = 3, .width = 999});
  check(2, 5e-5);
  check(64, 5e-5);
}

TEST_F(GpuQuantizedMix, SharedRows) {
  open({.heads = 1, .selected = 5, .width = 2048});
  check(2, 1e-4);
  check(65, 1e-4);
}

TEST_F(GpuQuantizedMix, SharedGatedRowsOfOddWidth) {
  open({.heads = 1, .selected = 3, .width = 4100, .vectors = 3, .rows = 2, .activation = "silu", .experts = 3});
  check(3, 5e-4);
}

TEST_F(GpuQuantizedMix, NothingSelected) {
  open({.heads = 2, .selected = 3, .width = 24});
  for (int64_t tokens : {1, 64, 2048}) {
    Array idx({tokens, 2, 3});
    std::fill(idx.values.begin(), idx.values.end(), -1);
    check(random({tokens, 24}, 1), idx, random({tokens, 2, 3}, 3), 0);
  }
}

TEST_F(GpuQuantizedMix, NeverUsesRowsNobodySelected) {
  open({.heads = 1, .selected = 40, .width = 33});
  scales.values[0] = scales.values[1] = NAN;
  Array idx({3, 1, 40});
  for (size_t i = 0; i < idx.values.size(); ++i)
    idx.values[i] = i % 3 == 0 ? static_cast<double>(1 + i % 8) : -1;
  check(random({3, 33}, 1), idx, random({3, 1, 40}, 3), 1e-5);
}

TEST_F(GpuQuantizedMix, EveryByteIsExact) {
  // One value per row, weight and scale 1: what comes out is the byte.
  open({.heads = 1, .selected = 1, .width = 256, .vectors = 1, .experts = 1});
  for (size_t i = 0; i < 256; ++i)
    pool.values[i] = static_cast<double>(i) - 128;
  scales.values[0] = 1;
  Array idx({1, 1, 1}), w({1, 1, 1});
  w.values[0] = 1;
  check(random({1, 256}, 1), idx, w, 0);
}

TEST_F(GpuQuantizedMix, SameOnEveryRun) {
  open({.heads = 2, .selected = 9, .width = 100, .activation = "silu"});
  for (int64_t tokens : {5, 70}) {
    std::vector<int64_t> pairs{tokens, 2, 9};
    auto once = [&] { return call(random({tokens, 100}, 1), randomExperts(pairs, 9, 2), random(pairs, 3)); };
    TensorMap first = once(), second = once();
    ASSERT_EQ(first.size() + second.size(), 2u);
    auto a = first.at("y").as<float>(), b = second.at("y").as<float>();
    EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size_bytes()), 0);
  }
}

} // namespace
} // namespace peer::numerics
