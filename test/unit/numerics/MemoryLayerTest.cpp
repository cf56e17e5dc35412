// examples/layers/memory_plus.mlir: output and every gradient, against central differences of its formula in double precision.
#include "LayerTest.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace peer::numerics {
namespace {

using namespace reference;

constexpr int64_t kWidth = 64, kHeads = 2, kKeys = 16, kHalf = 16, kSelected = 4;

/// The sum of the values of the best pairs of keys, over all pairs, weighted by the softmax of their scores.
void addHead(const Parameters &p, const double *query, int64_t head, double *sum) {
  std::vector<double> halves[2];
  for (int64_t side : {0, 1}) {
    const double *q = query + side * kHalf;
    double square = std::inner_product(q, q + kHalf, q, 0.0) / kHalf, root = std::sqrt(square + 1e-6);
    for (int64_t key = 0; key < kKeys; ++key) {
      double score = 0;
      for (int64_t d = 0; d < kHalf; ++d)
        score += q[d] / root * p.at("query_norm.weight").values[d] *
                 p.at("keys").values[((head * 2 + side) * kKeys + key) * kHalf + d];
      halves[side].push_back(score);
    }
  }
  auto score = [&](int64_t value) { return halves[0][value / kKeys] + halves[1][value % kKeys]; };
  std::vector<int64_t> order(kKeys * kKeys);
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return score(a) > score(b); });
  double total = 0;
  for (int64_t rank = 0; rank < kSelected; ++rank)
    total += std::exp(score(order[rank]));
  for (int64_t rank = 0; rank < kSelected; ++rank)
    for (int64_t d = 0; d < kWidth; ++d)
      sum[d] += std::exp(score(order[rank])) / total * p.at("values").values[order[rank] * kWidth + d];
}

Array layer(const Parameters &p, const Array &x) {
  Array query = linear(x, false, p.at("query.weight"), false), swilu = linear(x, false, p.at("swilu.weight"), false),
        gate = linear(x, false, p.at("gate.weight"), false), hidden(x.shape);
  for (int64_t t = 0; t < x.rows(); ++t) {
    double *row = &hidden.values[t * kWidth];
    for (int64_t head = 0; head < kHeads; ++head)
      addHead(p, &query.values[t * kWidth + head * 2 * kHalf], head, row);
    for (int64_t d = 0; d < kWidth; ++d)
      row[d] *= swilu.at(t, d) / (1 + std::exp(-swilu.at(t, d)));
  }
  Array y = linear(hidden, false, p.at("output.weight"), false);
  for (int64_t t = 0; t < x.rows(); ++t)
    for (int64_t d = 0; d < kWidth; ++d)
      y.at(t, d) /= 1 + std::exp(-gate.at(t, 0));
  return y;
}

struct MemoryLayer : ::testing::TestWithParam<Code> {};

TEST_P(MemoryLayer, IsItsFormula) {
  checkLayer("memory_plus", GetParam(), 3, {}, [](const Parameters &p, const Array &x) {
    EXPECT_EQ(p.size(), 7u);
    return layer(p, x);
  });
}

INSTANTIATE_TEST_SUITE_P(, MemoryLayer, ::testing::Values(Code::Vectors, Code::Loops, Code::Gpu),
                         [](const auto &info) { return codeName(info.param, true); });

} // namespace
} // namespace peer::numerics
