#include "NNOpTest.h"

namespace peer::numerics {
namespace {

using namespace reference;

struct NNLoss : NNOpTest {
  void checkActivation(Activation kind, const std::string &name) {
    Array x = random({70, 40}, 1, -6, 6), dy = random({70, 40}, 2);
    Forward forward = [&](const std::vector<Array> &in) { return activation(in[0], kind); };
    // Elementwise, so one difference per element is enough.
    Array above = x, below = x, dx = x;
    for (double &value : above.values)
      value += 1e-5;
    for (double &value : below.values)
      value -= 1e-5;
    Array high = forward({above}), low = forward({below});
    for (size_t i = 0; i < dx.values.size(); ++i)
      dx.values[i] = dy.values[i] * (high.values[i] - low.values[i]) / 2e-5;
    check("activation", name, {{"x", x, true}}, {{activation(x, kind), true}});
    check("activation_grad", name, {{"x", x, true}, {"dy", dy, true}}, {{dx, true}});
  }
};

TEST_P(NNLoss, Gelu) { checkActivation(Activation::Gelu, "gelu"); }
TEST_P(NNLoss, Silu) { checkActivation(Activation::Silu, "silu"); }
TEST_P(NNLoss, Relu) { checkActivation(Activation::Relu, "relu"); }
TEST_P(NNLoss, Sigmoid) { checkActivation(Activation::Sigmoid, "sigmoid"); }
TEST_P(NNLoss, Tanh) { checkActivation(Activation::Tanh, "tanh"); }

// The tails are 0 and x, with derivatives 0 and 1: infinity times 0 is neither.
TEST_P(NNLoss, ActivationsOfInfinities) {
  const double inf = INFINITY;
  const double values[] = {-inf, inf, NAN, -1e30, 1e30, -3e38, 3e38, -0.0, -21, 21, -111, 111};
  Array x({9, 41}), y = x, dy = x, dx = x;
  for (size_t i = 0; i < x.values.size(); ++i) {
    double v = x.values[i] = values[i % std::size(values)];
    y.values[i] = v < 0 ? 0 : v;
    dy.values[i] = 2;
    dx.values[i] = std::isnan(v) ? v : v < 0 ? 0 : v > 0 ? 2 : 1;
  }
  for (const char *kind : {"gelu", "silu"}) {
    check("activation", kind, {{"x", x, true}}, {{y, true}});
    check("activation_grad", kind, {{"x", x, true}, {"dy", dy, true}}, {{dx, true}});
  }
  check("activation", "relu", {{"x", x, true}}, {{y, true}});
}

TEST_P(NNLoss, CrossEntropy) {
  Array logits = random({70, 101}, 1, -8, 8), targets = randomTokens(70, 101, 2);
  check("cross_entropy", "", {{"logits", logits, true}, {"targets", targets, true, "i32"}},
        {{crossEntropy(logits, targets), true}});
}

TEST_P(NNLoss, CrossEntropyOfLargeLogits) {
  Array logits = random({5, 33}, 1, 200, 220), targets = randomTokens(5, 33, 2);
  check("cross_entropy", "", {{"logits", logits, true}, {"targets", targets, true, "i32"}},
        {{crossEntropy(logits, targets), true}}, 2e-5);
}

TEST_P(NNLoss, CrossEntropyGrad) {
  Array logits = random({40, 37}, 1, -8, 8), targets = randomTokens(40, 37, 2), dloss = random({40}, 3);
  Forward forward = [&](const std::vector<Array> &in) { return crossEntropy(in[0], targets); };
  check("cross_entropy_grad", "", {{"logits", logits, true}, {"targets", targets, true, "i32"}, {"dloss", dloss, true}},
        {{gradient(forward, {logits}, 0, dloss), true}});
}

TEST_P(NNLoss, Mean) {
  Array x = random({701}, 1, 0, 5), dmean = random({}, 2), dx({701});
  for (double &value : dx.values)
    value = dmean.values[0] / 701;
  check("mean", "", {{"x", x, true}}, {{mean(x)}});
  check("mean_grad", "", {{"x", x, true}, {"dmean", dmean}}, {{dx, true}});
}

INSTANTIATE_NN_OPS(NNLoss);

} // namespace
} // namespace peer::numerics
