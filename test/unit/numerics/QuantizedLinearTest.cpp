// quantized_linear every way it is compiled, against the product with scaled weights in double precision.
#include "NNOpTest.h"
#include "StoredReference.h"

namespace peer::numerics {
namespace {

using namespace reference;

/// Bits of fp8, where int8 and int4 say 8 and 4.
constexpr int kFloat = 0;

struct Weight {
  int64_t rows, width;
  int bits = 8;
  int64_t group = 0; // elements of a scale; 0: a row
  bool bias = false;
};

struct QuantizedLinear : NNOpTest {
  void checkTokens(int64_t tokens, const Weight &of) {
    bool isFP8 = of.bits == kFloat;
    Array x = random({tokens, of.width}, 1);
    Array numbers = isFP8 ? randomFP8({of.rows, of.width}, 2) : randomNumbers({of.rows, of.width}, of.bits, 2);
    std::vector<int64_t> scaleShape{of.rows};
    if (of.group)
      scaleShape.push_back(of.width / of.group);
    double step = of.bits == 4 ? 1.0 / 7 : isFP8 ? 1.0 / 448 : 1.0 / 127;
    Array scales = random(scaleShape, 3, 0.2 * step, step), bias = random({of.rows}, 4);
    Array expected = linear(x, false, scaled(numbers, scales), true);
    std::vector<Input> inputs{
        {"x", x, true}, {"w", of.bits == 4 ? packed(numbers) : numbers, false, isFP8 ? kFP8 : "i8"}, {"s", scales}};
    if (of.bias) {
      inputs.push_back({"b", bias});
      for (size_t i = 0; i < expected.values.size(); ++i)
        expected.values[i] += bias.values[i % bias.values.size()];
    }
    check("quantized_linear", "", inputs, {{expected, true}}, 1e-5);
  }
};

// As many tokens as take dots, wide and tall tiles, on CPUs and GPUs; 300 rows end in the middle of what is taken at once.
TEST_P(QuantizedLinear, OneToken) { checkTokens(1, {300, 96}); }
TEST_P(QuantizedLinear, FewTokens) { checkTokens(3, {300, 48}); }
TEST_P(QuantizedLinear, SomeTokens) { checkTokens(20, {140, 40}); }
TEST_P(QuantizedLinear, ManyTokens) { checkTokens(70, {140, 24}); }
TEST_P(QuantizedLinear, OddWidth) {
  for (int64_t tokens : {1, 9})
    checkTokens(tokens, {24, 37});
}
TEST_P(QuantizedLinear, Bias) {
  for (int64_t tokens : {1, 9})
    checkTokens(tokens, {37, 16, 8, 0, true});
}
TEST_P(QuantizedLinear, Groups) {
  for (int64_t tokens : {1, 40})
    checkTokens(tokens, {24, 192, 8, 64});
}
TEST_P(QuantizedLinear, Nibbles) {
  for (int64_t tokens : {1, 40})
    checkTokens(tokens, {24, 96, 4});
}
TEST_P(QuantizedLinear, NibblesOfGroups) {
  for (int64_t tokens : {1, 3, 9})
    checkTokens(tokens, {140, 64, 4, 32, true});
}

TEST_P(QuantizedLinear, FP8) {
  for (int64_t tokens : {1, 20})
    checkTokens(tokens, {140, 48, kFloat, 0, true});
}
TEST_P(QuantizedLinear, FP8OfOddWidthAndOfGroups) {
  checkTokens(9, {24, 37, kFloat});
  checkTokens(1, {24, 192, kFloat, 64});
}
// All 256, in rows of 4; where one is NaN so is what its row makes.
TEST_P(QuantizedLinear, EveryFP8) {
  Array weight({64, 4}), scales({64}), x({4, 4});
  for (size_t i = 0; i < weight.values.size(); ++i)
    weight.values[i] = numberOfFP8(static_cast<uint8_t>(i));
  std::fill(scales.values.begin(), scales.values.end(), 1);
  for (int64_t i = 0; i < 4; ++i)
    x.at(i, i) = 1;
  for (int64_t tokens : {1, 4}) {
    Array some({tokens, 4});
    std::copy_n(x.values.begin(), some.values.size(), some.values.begin());
    check("quantized_linear", "", {{"x", some, true}, {"w", weight, false, kFP8}, {"s", scales}},
          {{linear(some, false, weight, true), true}}, 0);
  }
}

INSTANTIATE_NN_OPS(QuantizedLinear);

} // namespace
} // namespace peer::numerics
