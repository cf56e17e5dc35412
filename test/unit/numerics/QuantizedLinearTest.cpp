// quantized_linear every way it is compiled, against the product with scaled weights in double precision.
#include "NNOpTest.h"
#include "StoredReference.h"

namespace peer::numerics {
namespace {

using namespace reference;

struct Weight {
  int64_t rows, width;
  int bits = 8;
  int64_t group = 0; // elements of a scale; 0: a row
  bool bias = false;
};

struct QuantizedLinear : NNOpTest {
  void checkTokens(int64_t tokens, const Weight &of) {
    Array x = random({tokens, of.width}, 1), numbers = randomNumbers({of.rows, of.width}, of.bits, 2);
    std::vector<int64_t> scaleShape{of.rows};
    if (of.group)
      scaleShape.push_back(of.width / of.group);
    double step = of.bits == 4 ? 1.0 / 7 : 1.0 / 127;
    Array scales = random(scaleShape, 3, 0.2 * step, step), bias = random({of.rows}, 4);
    Array expected = linear(x, false, scaled(numbers, scales), true);
    std::vector<Input> inputs{
        {"x", x, true}, {"w", of.bits == 4 ? packed(numbers) : numbers, false, "i8"}, {"s", scales}};
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

INSTANTIATE_NN_OPS(QuantizedLinear);

} // namespace
} // namespace peer::numerics
