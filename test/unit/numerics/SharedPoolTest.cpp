// A pool that several ops use is updated row by row, from the pairs of all of them: as the dense gradient does it.
#include "RoutingOpTest.h"

#include <cmath>

namespace peer::numerics {
namespace {

using namespace reference;

// Three ops with other heads and selections, one of which has two rows for a token.
const char *const kLoss = R"(
func.func @loss(%x: tensor<?x8xf32> {peer.name = "x"}, %i: tensor<?x1x4xi32> {peer.name = "i"}, %w: tensor<?x1x4xf32> {peer.name = "w"},
                %x2: tensor<?x16xf32> {peer.name = "x2"}, %i2: tensor<?x2x1xi32> {peer.name = "i2"},
                %i6: tensor<?x2x3xi32> {peer.name = "i6"}, %w6: tensor<?x2x3xf32> {peer.name = "w6"}) -> (tensor<f32> {peer.name = "loss"}) {
  %p = peer.param "pool" normal(0.5) group("experts") : tensor<ROWSx2x8xf32>
  %y0 = peer.mix %x, %i, %w, %p gelu EXPERTS : tensor<?x8xf32>, tensor<?x1x4xi32>, tensor<?x1x4xf32>, tensor<ROWSx2x8xf32>
  %y1 = peer.mix %y0, %i6, %w6, %p gelu EXPERTS : tensor<?x8xf32>, tensor<?x2x3xi32>, tensor<?x2x3xf32>, tensor<ROWSx2x8xf32>
  %xh = peer.reshape %x2 to tensor<?x8xf32> : tensor<?x16xf32>
  %ih = peer.reshape %i2 to tensor<?x1x1xi32> : tensor<?x2x1xi32>
  %v = peer.reshape %xh to tensor<?x1x1x8xf32> : tensor<?x8xf32>
  %vr = peer.reduce mean %v along [3] : tensor<?x1x1x8xf32>
  %yh = peer.mix %xh, %ih, %vr, %p gelu EXPERTS : tensor<?x8xf32>, tensor<?x1x1xi32>, tensor<?x1x1xf32>, tensor<ROWSx2x8xf32>
  %y2 = peer.reshape %yh to tensor<?x16xf32> : tensor<?x8xf32>
  %s1 = peer.reduce sum %y1 along [1] : tensor<?x8xf32>
  %s2 = peer.reduce sum %y2 along [1] : tensor<?x16xf32>
  %s = arith.addf %s1, %s2 : tensor<?xf32>
  %q = arith.mulf %s, %s : tensor<?xf32>
  %m = peer.mean %q : tensor<?xf32>
  return %m : tensor<f32>
}
)";

struct SharedPool : ::testing::TestWithParam<Code> {
  static std::string replace(std::string text, const std::string &from, const std::string &to) {
    for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
      text.replace(at, from.size(), to);
    return text;
  }

  /// The pool after two steps.
  std::vector<float> train(int64_t rowsPerExpert, const std::string &optimizer) {
    constexpr int64_t kExperts = 12, kTokens = 9;
    std::string text = replace(kLoss, "ROWS", std::to_string(kExperts * rowsPerExpert));
    text = replace(text, "EXPERTS", "{rows_per_expert = " + std::to_string(rowsPerExpert) + "}");
    auto compiled = Compiled::compile(
        text + "peer.train @step of @loss {optimizer = #peer.sgd, groups = {experts = #peer." + optimizer + "}}",
        GetParam());
    if (!compiled || !compiled->initParameters(3))
      return {};
    for (int64_t step = 1; step <= 2; ++step) {
      runtime::TensorMap inputs;
      inputs.emplace("x", toTensor(random({kTokens, 8}, 10 * step)));
      inputs.emplace("w", toTensor(random({kTokens, 1, 4}, 10 * step + 1)));
      inputs.emplace("w6", toTensor(random({kTokens, 2, 3}, 10 * step + 2)));
      inputs.emplace("x2", toTensor(random({kTokens, 16}, 10 * step + 3)));
      inputs.emplace("i", toTensor(randomExperts({kTokens, 1, 4}, kExperts, 10 * step), "i32"));
      inputs.emplace("i6", toTensor(randomExperts({kTokens, 2, 3}, kExperts, 10 * step + 1), "i32"));
      inputs.emplace("i2", toTensor(randomExperts({kTokens, 2, 1}, kExperts, 10 * step + 2), "i32"));
      runtime::ScalarMap scalars = compiled->session().defaultScalars(**compiled->session().entry("step"));
      scalars["step"] = static_cast<double>(step);
      compiled->call("step", inputs, scalars);
    }
    auto values = compiled->session().parameters().at("pool").as<float>();
    return {values.begin(), values.end()};
  }

  void check(int64_t rowsPerExpert, const std::string &settings) {
    std::vector<float> dense = train(rowsPerExpert, "sgd<" + settings + ">"),
                       lazy = train(rowsPerExpert, "sgd<" + settings + ", lazy>");
    ASSERT_FALSE(dense.empty());
    ASSERT_EQ(dense.size(), lazy.size());
    for (size_t i = 0; i < dense.size(); ++i)
      ASSERT_NEAR(dense[i], lazy[i], 1e-5 * (1 + std::abs(dense[i]))) << i;
  }
};

TEST_P(SharedPool, IsTheDenseStep) { check(1, "learning_rate = 0.01"); }
// The norm is that of the sum, too.
TEST_P(SharedPool, ClippedIsTheDenseStep) { check(2, "learning_rate = 1.0, clip_norm = 0.125"); }

INSTANTIATE_TEST_SUITE_P(, SharedPool, ::testing::Values(Code::Vectors, Code::Loops, Code::Gpu),
                         [](const auto &info) { return codeName(info.param, true); });

} // namespace
} // namespace peer::numerics
