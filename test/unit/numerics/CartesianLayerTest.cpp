// examples/layers/cartesian_moe.mlir: output and every gradient, against central differences of its formula in double precision.
#include "LayerTest.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace peer::numerics {
namespace {

using namespace reference;

constexpr int64_t kWidth = 64, kExperts = 8, kRows = 32;

/// y += scale * sum over the rows of silu(g . n) * (u . n) * v.
void addExpert(const Array &pool, int64_t first, const double *n, double scale, double *y) {
  for (int64_t row = first; row < first + kRows; ++row) {
    const double *g = &pool.values[row * 3 * kWidth], *u = g + kWidth, *v = u + kWidth;
    double a = std::inner_product(g, g + kWidth, n, 0.0), b = std::inner_product(u, u + kWidth, n, 0.0);
    double hidden = scale * a / (1 + std::exp(-a)) * b;
    for (int64_t d = 0; d < kWidth; ++d)
      y[d] += hidden * v[d];
  }
}

/// x + c1 * routed(norm(x)) + c2 * shared(norm(x)).
Array sublayer(const Parameters &p, const std::string &name, const Array &x) {
  auto at = [&](const char *part) -> const Array & { return p.at(name + "." + part); };
  Array n = rmsNorm(x, at("norm.weight"), 1e-6), y = x;
  Array logits = linear(n, false, at("router.weight"), false), blend = linear(n, false, at("blend.weight"), false);
  for (int64_t t = 0; t < x.rows(); ++t) {
    double b0 = std::exp(blend.at(t, 0) + at("blend.bias").values[0]);
    double b1 = std::exp(blend.at(t, 1) + at("blend.bias").values[1]);
    std::vector<int64_t> order(kExperts);
    std::iota(order.begin(), order.end(), 0);
    std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return logits.at(t, a) > logits.at(t, b); });
    // Of the softmax over all, renormalised over the best two.
    double first = std::exp(logits.at(t, order[0])), second = std::exp(logits.at(t, order[1]));
    const double *row = &n.values[t * kWidth];
    double *out = &y.values[t * kWidth];
    addExpert(at("experts"), order[0] * kRows, row, b0 / (b0 + b1) * first / (first + second), out);
    addExpert(at("experts"), order[1] * kRows, row, b0 / (b0 + b1) * second / (first + second), out);
    addExpert(at("shared"), 0, row, b1 / (b0 + b1), out);
  }
  return y;
}

struct CartesianLayer : ::testing::TestWithParam<Code> {};

TEST_P(CartesianLayer, IsItsFormula) {
  checkLayer("cartesian_moe", GetParam(), 3, {}, [](const Parameters &p, const Array &x) {
    EXPECT_EQ(p.size(), 12u);
    return sublayer(p, "b", sublayer(p, "a", x));
  });
}

INSTANTIATE_TEST_SUITE_P(, CartesianLayer, ::testing::Values(Code::Vectors, Code::Loops, Code::Gpu),
                         [](const auto &info) { return codeName(info.param, true); });

} // namespace
} // namespace peer::numerics
