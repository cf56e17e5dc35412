// Dropout in training steps: which elements are kept, and that losses and gradients agree about it, on every target.
#include "NNOpTest.h"

#include <cmath>

namespace peer::numerics {
namespace {

using namespace reference;

constexpr double kRate = 0.3;
constexpr int64_t kTokens = 5, kWidth = 37;

// The gradient of `w` is 1 where an element is kept by both, times what it is scaled by, and of `v` where by the second one.
const char *const kModel = R"(
func.func @loss(%x: tensor<?x37xf32> {peer.name = "x"}) -> (tensor<f32> {peer.name = "loss"}) {
  %w = peer.param "w" ones : tensor<5x37xf32>
  %v = peer.param "v" ones : tensor<5x37xf32>
  %a = peer.dropout %w {rate = 0.3 : f32} : tensor<5x37xf32>
  %b = arith.addf %a, %v : tensor<5x37xf32>
  %c = peer.dropout %b {rate = 0.5 : f32} : tensor<5x37xf32>
  %s = peer.reduce sum %c along [0, 1] : tensor<5x37xf32>
  %d = peer.dropout %x {rate = 0.3 : f32} : tensor<?x37xf32>
  %e = peer.reduce sum %d along [1] : tensor<?x37xf32>
  %m = peer.mean %e : tensor<?xf32>
  %y = arith.addf %s, %m : tensor<f32>
  return %y : tensor<f32>
}
peer.train @step of @loss {optimizer = #peer.sgd<learning_rate = 1.0>}
)";

/// What element `number` is multiplied by.
double factor(uint32_t seed, uint32_t place, uint32_t number, double rate) {
  bool kept = mixBits(mixBits(number ^ place * 0x9e3779b9) ^ seed) >= std::round(rate * 0x1p32);
  return kept ? 1 / (1 - rate) : 0;
}

struct Dropout : ::testing::TestWithParam<Code> {};

TEST_P(Dropout, DropsTheSameInLossAndGradient) {
  double rate = static_cast<float>(kRate), counted = 0;
  for (int32_t seed : {0, 1, -123456789}) {
    // One for each, since calls that are made again elsewhere begin with what parameters are at first.
    auto compiled = Compiled::compile(kModel, GetParam(), "--accumulate");
    ASSERT_TRUE(compiled);
    ASSERT_TRUE(compiled->initParameters(1));
    Array x = random({kTokens, kWidth}, 3), w({kTokens, kWidth}), v({kTokens, kWidth});
    runtime::TensorMap inputs;
    inputs.emplace("x", toTensor(x));
    double loss = 0, evaluated = 0;
    for (uint32_t i = 0; i < kTokens * kWidth; ++i) {
      double first = factor(seed, 0, i, rate), second = factor(seed, 1, i, 0.5), third = factor(seed, 2, i, rate);
      loss += (first + 1) * second + x.values[i] * third / kTokens;
      evaluated += 2 + x.values[i] / kTokens;
      w.values[i] = 1 - first * second;
      v.values[i] = 1 - second;
      counted += third > 0;
    }
    EXPECT_TRUE(compiled->agrees(compiled->call("loss", inputs), "loss", {}, {evaluated}, 1e-6));
    runtime::TensorMap part = compiled->call(
        "step_accumulate", inputs, {{"gradient_weight", 1.0}, {"first_part", 1.0}, {"dropout_seed", double(seed)}});
    EXPECT_TRUE(compiled->agrees(part, "loss", {}, {loss}, 1e-6));
    runtime::ScalarMap scalars = compiled->session().defaultScalars(**compiled->session().entry("step"));
    EXPECT_EQ(scalars.at("dropout_seed"), 0);
    scalars["dropout_seed"] = seed;
    EXPECT_TRUE(compiled->agrees(compiled->call("step", inputs, scalars), "loss", {}, {loss}, 1e-6));
    for (auto [name, expected] : {std::pair{"w", &w}, std::pair{"v", &v}}) {
      Array now = toArray(compiled->session().parameters().at(name));
      for (size_t i = 0; i < now.values.size(); ++i)
        ASSERT_NEAR(now.values[i], expected->values[i], 1e-6) << name << " " << i;
    }
  }
  // Five standard deviations of 555 draws.
  EXPECT_NEAR(counted / (3 * kTokens * kWidth), 1 - rate, 0.1);
}

INSTANTIATE_TEST_SUITE_P(, Dropout, ::testing::Values(Code::Vectors, Code::Loops, Code::Gpu, Code::GpuLoops),
                         [](const auto &info) { return codeName(info.param, true); });

} // namespace
} // namespace peer::numerics
