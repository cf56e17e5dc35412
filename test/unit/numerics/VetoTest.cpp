// Training steps that must not count: a loss or a gradient norm that is not finite leaves everything as it was.
#include "RoutingOpTest.h"

#include <cmath>
#include <cstring>

namespace peer::numerics {
namespace {

// Batch norm with running statistics, a pool that is updated row by row, adamw and momentum: all that a step writes.
const char *const kModel = R"(
func.func @loss(%x: tensor<?x8xf32> {peer.name = "x"}, %t: tensor<?xi32> {peer.name = "t"}) -> (tensor<f32> {peer.name = "loss"}) {
  %g = peer.param "gain" ones : tensor<8xf32>
  %b = peer.param "bias" zeros : tensor<8xf32>
  %m = peer.param "mean" zeros buffer : tensor<8xf32>
  %v = peer.param "var" ones buffer : tensor<8xf32>
  %n = peer.batch_norm %x, %g, %b, %m, %v : tensor<?x8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>
  %q = peer.reshape %n to tensor<?x1x1x8xf32> : tensor<?x8xf32>
  %k = peer.param "keys" normal(0.5) : tensor<1x1x4x8xf32>
  %s = peer.score %q, %k : tensor<?x1x1x8xf32>, tensor<1x1x4x8xf32>
  %i, %val = peer.select %s topk<2> : tensor<?x1x1x4xf32>
  %w = peer.gate %val softmax : tensor<?x1x2xf32>
  %p = peer.param "pool" normal(0.5) group("experts") : tensor<4x2x8xf32>
  %y = peer.mix %n, %i, %w, %p gelu : tensor<?x8xf32>, tensor<?x1x2xi32>, tensor<?x1x2xf32>, tensor<4x2x8xf32>
  %h = peer.param "head" zeros : tensor<8x5xf32>
  %z0 = peer.linear %x, %h : tensor<?x8xf32>, tensor<8x5xf32>
  %h2 = peer.param "head2" normal(0.5) : tensor<8x5xf32>
  %z1 = peer.linear %y, %h2 : tensor<?x8xf32>, tensor<8x5xf32>
  %z = arith.addf %z0, %z1 : tensor<?x5xf32>
  %l = peer.cross_entropy %z, %t : tensor<?x5xf32>, tensor<?xi32>
  %mean = peer.mean %l : tensor<?xf32>
  return %mean : tensor<f32>
}
)";

// The head throws gradients of the pool beyond what is finite, and nothing else.
const char *const kSteepModel = R"(
func.func @loss(%x: tensor<?x8xf32> {peer.name = "x"}, %t: tensor<?xi32> {peer.name = "t"}) -> (tensor<f32> {peer.name = "loss"}) {
  %q = peer.reshape %x to tensor<?x1x1x8xf32> : tensor<?x8xf32>
  %k = peer.param "keys" normal(0.5) : tensor<1x1x4x8xf32>
  %s = peer.score %q, %k : tensor<?x1x1x8xf32>, tensor<1x1x4x8xf32>
  %i, %val = peer.select %s topk<2> : tensor<?x1x1x4xf32>
  %w = peer.gate %val one : tensor<?x1x2xf32>
  %p = peer.param "pool" zeros group("experts") : tensor<4x1x8xf32>
  %y = peer.mix %x, %i, %w, %p gelu : tensor<?x8xf32>, tensor<?x1x2xi32>, tensor<?x1x2xf32>, tensor<4x1x8xf32>
  %h = peer.param "head" normal(1.0e30) : tensor<8x5xf32>
  %z = peer.linear %y, %h : tensor<?x8xf32>, tensor<8x5xf32>
  %l = peer.cross_entropy %z, %t : tensor<?x5xf32>, tensor<?xi32>
  %mean = peer.mean %l : tensor<?xf32>
  return %mean : tensor<f32>
}
)";

// A bias that is moved by the use of experts, which a step of whatever loss could count.
const char *const kBalancedModel = R"(
func.func @loss(%x: tensor<?x8xf32> {peer.name = "x"}, %t: tensor<?xi32> {peer.name = "t"}) -> (tensor<f32> {peer.name = "loss"}) {
  %q = peer.reshape %x to tensor<?x1x1x8xf32> : tensor<?x8xf32>
  %k = peer.param "keys" normal(0.5) : tensor<1x1x4x8xf32>
  %c = peer.param "router.bias" zeros buffer : tensor<1x4xf32>
  %s = peer.score %q, %k : tensor<?x1x1x8xf32>, tensor<1x1x4x8xf32>
  %b = peer.balance_bias %s, %c {rate = 0.25 : f32} : tensor<?x1x1x4xf32>, tensor<1x4xf32>
  %i, %biased = peer.select %b topk<1> : tensor<?x1x1x4xf32>
  %val = peer.gather %s, %i : tensor<?x1x1x4xf32>, tensor<?x1x1xi32>
  %w = peer.gate %val sigmoid : tensor<?x1x1xf32>
  %p = peer.param "pool" normal(0.5) group("experts") : tensor<4x2x8xf32>
  %y = peer.mix %x, %i, %w, %p gelu : tensor<?x8xf32>, tensor<?x1x1xi32>, tensor<?x1x1xf32>, tensor<4x2x8xf32>
  %h = peer.param "head" normal(0.5) : tensor<8x5xf32>
  %z0 = peer.linear %x, %h : tensor<?x8xf32>, tensor<8x5xf32>
  %z1 = peer.linear %y, %h : tensor<?x8xf32>, tensor<8x5xf32>
  %z = arith.addf %z0, %z1 : tensor<?x5xf32>
  %l = peer.cross_entropy %z, %t : tensor<?x5xf32>, tensor<?xi32>
  %mean = peer.mean %l : tensor<?xf32>
  return %mean : tensor<f32>
}
)";

struct Veto : RoutingOpTest {
  std::unique_ptr<Compiled> program;
  runtime::TensorMap inputs;

  void compile(const std::string &request, const std::string &model = kModel) {
    program = Compiled::compile(model + request, code());
    ASSERT_TRUE(program);
    ASSERT_TRUE(program->initParameters(1));
    inputs.emplace("x", toTensor(reference::random({12, 8}, 2)));
    Array targets({12});
    for (size_t i = 0; i < 12; ++i)
      targets.values[i] = static_cast<double>(i % 5);
    inputs.emplace("t", toTensor(targets, "i32"));
  }

  /// Everything a step may write, by name.
  std::map<std::string, std::string> written() {
    std::map<std::string, std::string> bytes;
    auto take = [&](const char *kind, const runtime::TensorMap &tensors) {
      for (const auto &[name, tensor] : tensors)
        bytes[kind + name] = std::string(static_cast<const char *>(tensor.data()), tensor.bytes());
    };
    take("", program->session().parameters());
    take("state ", program->session().states());
    take("usage ", program->session().usage());
    return bytes;
  }

  runtime::TensorMap step(double number) {
    const runtime::Entry *entry = *program->session().entry("train_step");
    runtime::ScalarMap scalars = program->session().defaultScalars(*entry);
    scalars["step"] = number;
    return program->call("train_step", inputs, scalars);
  }

  /// One step with inputs of ordinary size changes all; the next, with `bad` in one place, nothing.
  void check(float bad, bool lossIsFinite) {
    auto before = written();
    step(1);
    auto good = written();
    for (const auto &[name, bytes] : before)
      EXPECT_NE(bytes, good[name]) << name;
    inputs.at("x").as<float>()[3] = bad;
    runtime::TensorMap results = step(2);
    ASSERT_TRUE(results.contains("loss"));
    EXPECT_EQ(std::isfinite(results.at("loss").as<float>()[0]), lossIsFinite);
    EXPECT_FALSE(std::isfinite(results.at("gradient_norm.default").as<float>()[0]));
    for (const auto &[name, bytes] : written())
      EXPECT_EQ(bytes, good[name]) << name;
  }
};

// The token that is far off is far from its target: the head's gradient is as large as x, and its square is no f32; the loss is finite.
TEST_P(Veto, AdamW) {
  compile("peer.train @train_step of @loss {optimizer = #peer.adamw, groups = {experts = #peer.adamw<lazy = true>}}");
  if (!HasFatalFailure())
    check(-3e30f, true);
}
TEST_P(Veto, ClippedMomentum) {
  compile(
      "peer.train @train_step of @loss {optimizer = #peer.sgd<momentum = 0.9, clip_norm = 1.0>, groups = {experts = "
      "#peer.sgd<momentum = 0.9, clip_norm = 1.0, lazy = true>}}");
  if (!HasFatalFailure())
    check(NAN, false);
}
TEST_P(Veto, RowsWithoutNorm) {
  compile("peer.train @train_step of @loss {optimizer = #peer.sgd, groups = {experts = #peer.sgd<lazy = true>}}",
          kSteepModel);
  ASSERT_TRUE(program);
  auto before = written();
  runtime::TensorMap results = step(1);
  ASSERT_TRUE(results.contains("gradient_fault.experts"));
  EXPECT_TRUE(std::isfinite(results.at("loss").as<float>()[0]));
  EXPECT_TRUE(std::isfinite(results.at("gradient_norm.default").as<float>()[0]));
  EXPECT_TRUE(std::isnan(results.at("gradient_fault.experts").as<float>()[0]));
  for (const auto &[name, bytes] : written())
    EXPECT_EQ(bytes, before.contains(name) ? before[name] : std::string(bytes.size(), '\0')) << name;
}

TEST_P(Veto, BalanceBias) {
  compile("peer.train @train_step of @loss {optimizer = #peer.adamw, groups = {experts = #peer.adamw<lazy = true>}}",
          kBalancedModel);
  if (!HasFatalFailure())
    check(-3e30f, true);
}

INSTANTIATE_TEST_SUITE_P(, Veto,
                         ::testing::Combine(::testing::Values(Code::Vectors, Code::Loops, Code::Gpu),
                                            ::testing::Values(true)),
                         [](const auto &info) { return codeName(std::get<0>(info.param), std::get<1>(info.param)); });

} // namespace
} // namespace peer::numerics
