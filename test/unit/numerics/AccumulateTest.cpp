// A training step in parts is the step: gradients of the parts of a batch, then one update, against one call with the whole batch.
#include "RoutingOpTest.h"

#include <cmath>
#include <cstring>

namespace peer::numerics {
namespace {

using runtime::Tensor;
using runtime::TensorMap;

// All that gradients are handed over as: a dense one, a pool's by row and dense, two pools that share their x, of which two ops use one, and one that sees a token as two
// rows. Small integers, products and sums alone: every value is exact, in whatever order it is summed.
const char *const kExact = R"(
func.func @loss(%x: tensor<?x8xf32> {peer.name = "x"}, %i: tensor<?x1x2xi32> {peer.name = "i"}, %w: tensor<?x1x2xf32> {peer.name = "w"})
    -> (tensor<f32> {peer.name = "loss"}) {
  %p = peer.param "pool" uniform(-1.0, 1.0) group("experts") : tensor<6x2x8xf32>
  %y0 = peer.mix %x, %i, %w, %p relu : tensor<?x8xf32>, tensor<?x1x2xi32>, tensor<?x1x2xf32>, tensor<6x2x8xf32>
  %q = peer.param "values" uniform(-1.0, 1.0) group("values") : tensor<6x1x8xf32>
  %y1 = peer.mix %x, %i, %w, %q relu : tensor<?x8xf32>, tensor<?x1x2xi32>, tensor<?x1x2xf32>, tensor<6x1x8xf32>
  %i2 = peer.reshape %i to tensor<?x2x1xi32> : tensor<?x1x2xi32>
  %w2 = peer.reshape %w to tensor<?x2x1xf32> : tensor<?x1x2xf32>
  %y4 = peer.mix %x, %i2, %w2, %q : tensor<?x8xf32>, tensor<?x2x1xi32>, tensor<?x2x1xf32>, tensor<6x1x8xf32>
  %d = peer.param "dense_pool" uniform(-1.0, 1.0) : tensor<6x2x8xf32>
  %y2 = peer.mix %x, %i, %w, %d relu : tensor<?x8xf32>, tensor<?x1x2xi32>, tensor<?x1x2xf32>, tensor<6x2x8xf32>
  %xh = peer.reshape %x to tensor<?x4xf32> : tensor<?x8xf32>
  %ih = peer.reshape %i to tensor<?x1x1xi32> : tensor<?x1x2xi32>
  %wh = peer.reshape %w to tensor<?x1x1xf32> : tensor<?x1x2xf32>
  %h = peer.param "halves" uniform(-1.0, 1.0) group("experts") : tensor<6x3x4xf32>
  %yh = peer.mix %xh, %ih, %wh, %h relu : tensor<?x4xf32>, tensor<?x1x1xi32>, tensor<?x1x1xf32>, tensor<6x3x4xf32>
  %y3 = peer.reshape %yh to tensor<?x8xf32> : tensor<?x4xf32>
  %a0 = arith.addf %y0, %y1 : tensor<?x8xf32>
  %a = arith.addf %a0, %y4 : tensor<?x8xf32>
  %b = arith.addf %y2, %y3 : tensor<?x8xf32>
  %y = arith.addf %a, %b : tensor<?x8xf32>
  %g = peer.param "head" uniform(-1.0, 1.0) : tensor<8x1xf32>
  %z = peer.linear %y, %g : tensor<?x8xf32>, tensor<8x1xf32>
  %l = peer.reshape %z to tensor<?xf32> : tensor<?x1xf32>
  %m = peer.mean %l : tensor<?xf32>
  return %m : tensor<f32>
}
)";

// Selections, a softmax and a batch norm, whose running statistics must be those of the batch.
const char *const kRounded = R"(
func.func @loss(%x: tensor<?x8xf32> {peer.name = "x"}, %t: tensor<?xi32> {peer.name = "t"}) -> (tensor<f32> {peer.name = "loss"}) {
  %one = peer.param "one" ones buffer : tensor<8xf32>    %zero = peer.param "zero" zeros buffer : tensor<8xf32>
  %bm = peer.param "mean" constant(0.5) buffer : tensor<8xf32>  %bv = peer.param "var" ones buffer : tensor<8xf32>
  %n = peer.batch_norm %x, %one, %zero, %bm, %bv : tensor<?x8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>
  %none = peer.param "none" zeros buffer : tensor<8x5xf32>
  %z0 = peer.linear %n, %none : tensor<?x8xf32>, tensor<8x5xf32>
  %s0 = peer.reshape %x to tensor<?x1x1x8xf32> : tensor<?x8xf32>
  %k = peer.param "keys" normal(0.5) : tensor<1x1x6x8xf32>
  %s = peer.score %s0, %k : tensor<?x1x1x8xf32>, tensor<1x1x6x8xf32>
  %i, %v = peer.select %s topk<2> : tensor<?x1x1x6xf32>
  %w = peer.gate %v softmax : tensor<?x1x2xf32>
  %p = peer.param "pool" normal(0.5) group("experts") : tensor<6x2x8xf32>
  %y = peer.mix %x, %i, %w, %p gelu : tensor<?x8xf32>, tensor<?x1x2xi32>, tensor<?x1x2xf32>, tensor<6x2x8xf32>
  %h = peer.param "head" normal(0.5) : tensor<8x5xf32>
  %z1 = peer.linear %y, %h : tensor<?x8xf32>, tensor<8x5xf32>
  %z = arith.addf %z0, %z1 : tensor<?x5xf32>
  %l = peer.cross_entropy %z, %t : tensor<?x5xf32>, tensor<?xi32>
  %m = peer.mean %l : tensor<?xf32>
  return %m : tensor<f32>
}
)";

/// Rows [part, part + 1) * rows / of.
Tensor slice(const Tensor &whole, int64_t part, int64_t of) {
  runtime::Shape shape = whole.shape();
  shape[0] /= of;
  Tensor piece = std::move(*Tensor::zeros(whole.dtype(), shape, "a part"));
  std::memcpy(piece.data(), static_cast<const char *>(whole.data()) + part * piece.bytes(), piece.bytes());
  return piece;
}

struct Accumulate : RoutingOpTest {
  /// Two of the same: one is called with the whole batch, one with its parts.
  std::unique_ptr<Compiled> whole, parts;

  void compile(const std::string &text) {
    whole = Compiled::compile(text, code());
    parts = Compiled::compile(text, code(), "--accumulate");
    ASSERT_TRUE(whole && parts);
    for (auto *program : {&whole, &parts})
      ASSERT_TRUE((*program)->initParameters(3));
  }

  void roundParameters() {
    for (auto *program : {&whole, &parts})
      for (auto &[name, tensor] : (*program)->session().parameters())
        for (float &value : tensor.as<float>())
          value = std::round(1.5f * value);
  }

  static runtime::ScalarMap scalars(Compiled &program, const char *entry, double step) {
    runtime::ScalarMap given = program.session().defaultScalars(**program.session().entry(entry));
    given["step"] = step;
    return given;
  }

  /// One step in `count` parts. The loss is there as the train entry has it.
  TensorMap stepInParts(const TensorMap &inputs, int64_t count, double step) {
    TensorMap rows;
    double loss = 0;
    const runtime::Entry *update = *parts->session().entry("step_update");
    for (int64_t part = 0; part < count; ++part) {
      TensorMap piece;
      for (const auto &[name, tensor] : inputs)
        piece.emplace(name, slice(tensor, part, count));
      TensorMap results = parts->call(
          "step_accumulate", piece, {{"gradient_weight", 1.0 / static_cast<double>(count)}, {"first_part", part == 0}});
      loss += results.at("loss").as<float>()[0] / static_cast<double>(count);
      for (const runtime::Argument &argument : update->arguments) {
        if (argument.role != runtime::Role::Input)
          continue;
        const Tensor &piece = results.at(argument.name);
        runtime::Shape shape = piece.shape();
        shape[0] *= count;
        if (part == 0)
          rows.emplace(argument.name, std::move(*Tensor::zeros(piece.dtype(), shape, "rows")));
        std::memcpy(static_cast<char *>(rows.at(argument.name).data()) + part * piece.bytes(), piece.data(),
                    piece.bytes());
      }
    }
    runtime::ScalarMap given = scalars(*parts, "step_update", step);
    given["loss"] = loss;
    TensorMap results = parts->call("step_update", rows, given);
    results["loss"] = std::move(*Tensor::zeros(runtime::DType::F32, {}, "loss"));
    results["loss"].as<float>()[0] = static_cast<float>(loss);
    return results;
  }

  /// Equal, bit for bit where `tolerance` is 0; `second` may hold more: sums.
  static void compare(const TensorMap &first, const TensorMap &second, double tolerance) {
    for (const auto &[name, tensor] : second) {
      auto found = first.find(name);
      if (found == first.end())
        continue;
      ASSERT_EQ(tensor.shape(), found->second.shape()) << name;
      if (tolerance == 0) {
        EXPECT_EQ(std::memcmp(tensor.data(), found->second.data(), tensor.bytes()), 0) << name;
        continue;
      }
      for (size_t i = 0; tensor.dtype() == runtime::DType::F32 && i < tensor.as<float>().size(); ++i)
        EXPECT_NEAR(tensor.as<float>()[i], found->second.as<float>()[i],
                    tolerance * (1 + std::abs(tensor.as<float>()[i])))
            << name << " " << i;
    }
    for (const auto &[name, tensor] : first)
      EXPECT_TRUE(second.contains(name)) << name;
  }

  void compareAll(double tolerance) {
    compare(whole->session().parameters(), parts->session().parameters(), tolerance);
    compare(whole->session().states(), parts->session().states(), tolerance);
    compare(whole->session().usage(), parts->session().usage(), tolerance);
  }

  TensorMap exactInputs(uint64_t seed) {
    auto integers = [&](std::vector<int64_t> shape, double range, uint64_t seed) {
      Array array = reference::random(shape, seed);
      for (double &value : array.values)
        value = std::round(range * std::tanh(value));
      return array;
    };
    Array indices = integers({16, 1, 2}, 1, seed);
    for (size_t i = 0; i < indices.values.size(); ++i)
      indices.values[i] = static_cast<double>((i * i + seed + i / 5) % 7) - 1; // -1 is none
    TensorMap inputs;
    inputs.emplace("x", toTensor(integers({16, 8}, 2, seed)));
    inputs.emplace("i", toTensor(indices, "i32"));
    inputs.emplace("w", toTensor(integers({16, 1, 2}, 2, seed + 1)));
    return inputs;
  }

  void checkExact(const std::string &request) {
    compile(kExact + request);
    if (HasFatalFailure())
      return;
    roundParameters();
    int64_t counts[] = {2, 4, 1};
    for (int step = 0; step < 3; ++step) {
      TensorMap inputs = exactInputs(10 * step + 1);
      TensorMap expected = whole->call("step", inputs, scalars(*whole, "step", step + 1));
      compare(expected, stepInParts(inputs, counts[step], step + 1), 0);
      compareAll(0);
      // What a step makes of small integers is none.
      roundParameters();
    }
  }
};

TEST_P(Accumulate, ExactMomentum) {
  checkExact(
      "peer.train @step of @loss {optimizer = #peer.sgd<learning_rate = 0.25, momentum = 0.5>, groups = {experts = "
      "#peer.sgd<learning_rate = 0.5, lazy = true>, values = #peer.sgd<momentum = 0.5, lazy = true>}}");
}
TEST_P(Accumulate, ExactClippedAdamW) {
  checkExact(
      "peer.train @step of @loss {optimizer = #peer.adamw<clip_norm = 0.5, weight_decay = 0.1>, groups = {experts = "
      "#peer.adamw<clip_norm = 0.25, lazy = true>, values = #peer.adamw<lazy = true>}}");
}

TEST_P(Accumulate, OddPartsAndStatistics) {
  compile(std::string(kRounded) +
          "peer.train @step of @loss {optimizer = #peer.sgd<clip_norm = 1.0>, groups = {experts = "
          "#peer.sgd<learning_rate = 0.5, clip_norm = 1.0, lazy = true>}}");
  ASSERT_TRUE(whole && parts);
  TensorMap inputs;
  Array x = reference::random({12, 8}, 2), targets({12});
  for (size_t i = 0; i < x.values.size(); ++i)
    x.values[i] += i < x.values.size() / 3 ? 3 : 1; // parts with means of their own
  for (size_t i = 0; i < 12; ++i)
    targets.values[i] = static_cast<double>(i % 5);
  inputs.emplace("x", toTensor(x));
  inputs.emplace("t", toTensor(targets, "i32"));
  TensorMap expected = whole->call("step", inputs, scalars(*whole, "step", 1));
  compare(expected, stepInParts(inputs, 3, 1), 2e-6);
  compareAll(2e-6);
}

TEST_P(Accumulate, VetoedStepLeavesNothing) {
  compile(std::string(kRounded) +
          "peer.train @step of @loss {optimizer = #peer.adamw, groups = {experts = #peer.adamw<lazy = true>}}");
  ASSERT_TRUE(whole && parts);
  TensorMap inputs;
  inputs.emplace("x", toTensor(reference::random({12, 8}, 2)));
  inputs.emplace("t", toTensor(Array({12}), "i32"));
  inputs.at("x").as<float>()[50] = NAN;
  whole->call("step", inputs, scalars(*whole, "step", 1));
  EXPECT_TRUE(std::isnan(stepInParts(inputs, 2, 1).at("gradient_norm.default").as<float>()[0]));
  compare(whole->session().parameters(), parts->session().parameters(), 0);
  compare(whole->session().states(), parts->session().states(), 0);
}

INSTANTIATE_TEST_SUITE_P(, Accumulate,
                         ::testing::Combine(::testing::Values(Code::Vectors, Code::Loops, Code::Gpu),
                                            ::testing::Values(true)),
                         [](const auto &info) { return codeName(std::get<0>(info.param), std::get<1>(info.param)); });

} // namespace
} // namespace peer::numerics
