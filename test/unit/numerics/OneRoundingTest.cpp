// The formulas of lowering/emit/ExpertMath.h round alike every way they are compiled: where no more than two terms are added, so
// that no order can matter, results are the same bits. No reference here.
#include "RoutingOpTest.h"

#include <bit>

namespace peer::numerics {
namespace {

using namespace runtime;

std::vector<uint32_t> bitsOf(const Tensor &tensor) {
  std::vector<uint32_t> bits;
  for (float value : tensor.as<float>())
    bits.push_back(std::bit_cast<uint32_t>(value));
  return bits;
}

/// The bits of the result "r" of a function @f whose inputs, of 64 tokens, have these names and arrays.
std::vector<uint32_t> run(Code code, const std::string &function, const std::vector<Input> &inputs) {
  auto compiled = Compiled::compile(function, code);
  if (!compiled)
    return {};
  TensorMap tensors;
  for (const Input &input : inputs)
    tensors.emplace(input.name, toTensor(input.array, input.element));
  TensorMap results = compiled->call("f", tensors);
  auto found = results.find("r");
  return found == results.end() ? std::vector<uint32_t>() : bitsOf(found->second);
}

Array positive(std::vector<int64_t> shape, uint64_t seed) { return reference::random(std::move(shape), seed, 0.1, 3); }

void expectEqual(const std::vector<Code> &ways, const std::string &function, const std::vector<Input> &inputs) {
  std::vector<uint32_t> first = run(ways[0], function, inputs);
  ASSERT_FALSE(first.empty());
  for (size_t i = 1; i < ways.size(); ++i)
    EXPECT_EQ(run(ways[i], function, inputs), first) << codeName(ways[i], false);
}

void checkGate(const std::string &kind) {
  std::string function = R"(
func.func @f(%v: tensor<64x2x2xf32> {peer.name = "v"}) -> (tensor<64x2x2xf32> {peer.name = "r"}) {
  %r = peer.gate %v )" + kind +
                         R"( : tensor<64x2x2xf32>
  return %r : tensor<64x2x2xf32>
})";
  std::vector<Input> inputs{{"v", reference::random({64, 2, 2}, 1, -9, 9)}};
  // A GPU fuses products and sums in the polynomial of exp.
  expectEqual({Code::Loops, Code::Vectors}, function, inputs);
  expectEqual({Code::GpuLoops, Code::Gpu}, function, inputs);
}

TEST(OneRounding, GateSoftmax) { checkGate("softmax"); }
TEST(OneRounding, GateSigmoid) { checkGate("sigmoid"); }

// What a route writes is what its parts write: lists in registers and rows of a warp.
TEST(OneRounding, GateOfRoute) {
  std::string function = R"(
func.func @f(%q: tensor<64x2x1x8xf32> {peer.name = "q"}, %k: tensor<2x1x32x8xf32> {peer.name = "k"}) -> (tensor<64x2x2xf32> {peer.name = "r"}) {
  %s = peer.score %q, %k : tensor<64x2x1x8xf32>, tensor<2x1x32x8xf32>
  %i, %v = peer.select %s topk<2> : tensor<64x2x1x32xf32>
  %w = peer.gate %v softmax : tensor<64x2x2xf32>
  return %w : tensor<64x2x2xf32>
})";
  std::string apart = R"(
func.func @f(%v: tensor<64x2x2xf32> {peer.name = "v"}) -> (tensor<64x2x2xf32> {peer.name = "r"}) {
  %w = peer.gate %v softmax : tensor<64x2x2xf32>
  return %w : tensor<64x2x2xf32>
})";
  std::string scores = function;
  scores.replace(scores.find("return %w"), 9, "return %v");
  std::vector<Input> inputs{{"q", reference::random({64, 2, 1, 8}, 1)}, {"k", reference::random({2, 1, 32, 8}, 2)}};
  Array val({64, 2, 2});
  std::vector<uint32_t> bits = run(Code::Gpu, scores, inputs);
  ASSERT_EQ(bits.size(), val.values.size());
  for (size_t i = 0; i < bits.size(); ++i)
    val.values[i] = std::bit_cast<float>(bits[i]);
  EXPECT_EQ(run(Code::Gpu, function, inputs), run(Code::Gpu, apart, {{"v", val}}));
}

const std::string kPool = R"(
func.func @f(%x: tensor<64x1xf32> {peer.name = "x"}, %i: tensor<64x1x1xi32> {peer.name = "i"}, %w: tensor<64x1x1xf32> {peer.name = "w"},
             %p: tensor<7x3x1xTYPE> {peer.name = "p"}, )";

std::vector<Input> poolInputs(const std::string &element) {
  Array pool = positive({7, 3, 1}, 4);
  for (double &value : pool.values)
    value = element == "i8" ? double(int64_t(value * 40)) : value;
  return {{"x", positive({64, 1}, 1)},
          {"i", reference::randomExperts({64, 1, 1}, 7, 2), false, "i32"},
          {"w", positive({64, 1, 1}, 3)},
          {"p", pool, false, element}};
}

std::string withPool(const std::string &element, const std::string &rest) {
  std::string text = kPool + rest;
  return text.replace(text.find("TYPE"), 4, element);
}

const std::vector<Code> kAll{Code::Loops, Code::Vectors, Code::Gpu, Code::GpuLoops};

// relu is exact everywhere, so that products alone round.
TEST(OneRounding, QuantizedMix) {
  std::vector<Input> inputs = poolInputs("i8");
  inputs.push_back({"s", positive({7, 3}, 5)});
  expectEqual(kAll, withPool("i8", R"(%s: tensor<7x3xf32> {peer.name = "s"}) -> (tensor<64x1xf32> {peer.name = "r"}) {
  %r = peer.quantized_mix %x, %i, %w, %p, %s relu : tensor<64x1xf32>, tensor<64x1x1xi32>, tensor<64x1x1xf32>, tensor<7x3x1xi8>, tensor<7x3xf32>
  return %r : tensor<64x1xf32>
})"),
              inputs);
}

TEST(OneRounding, MixGradientCoefficients) {
  std::vector<Input> inputs = poolInputs("f32");
  inputs.push_back({"d", positive({64, 1}, 5)});
  expectEqual(kAll,
              withPool("f32", R"(%d: tensor<64x1xf32> {peer.name = "d"}) -> (tensor<64x1x1x1x3xf32> {peer.name = "r"}) {
  %dx, %dw, %r = peer.mix_grad %x, %i, %w, %p, %d relu : tensor<64x1xf32>, tensor<64x1x1xi32>, tensor<64x1x1xf32>, tensor<7x3x1xf32>, tensor<64x1xf32>
  return %r : tensor<64x1x1x1x3xf32>
})"),
              inputs);
}

} // namespace
} // namespace peer::numerics
