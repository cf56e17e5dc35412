// Memories of examples/layers/: outputs and every gradient, against central differences of their formulas in double precision.
#include "LayerTest.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace peer::numerics {
namespace {

using namespace reference;

constexpr int64_t kWidth = 64, kHeads = 2, kKeys = 16, kHalf = 16, kSelected = 4;

/// A half of a query, normed where the layer norms its queries.
std::vector<double> queryHalf(const Parameters &p, const double *q) {
  std::vector<double> half(q, q + kHalf);
  auto gain = p.find("query_norm.weight");
  if (gain == p.end())
    return half;
  double square = std::inner_product(q, q + kHalf, q, 0.0) / kHalf, root = std::sqrt(square + 1e-6);
  for (int64_t d = 0; d < kHalf; ++d)
    half[d] *= gain->second.values[d] / root;
  return half;
}

/// The sum of the values of the best pairs of keys, over all pairs, weighted by the softmax of their scores.
void addHead(const Parameters &p, const double *query, int64_t head, double *sum) {
  std::vector<double> halves[2];
  for (int64_t side : {0, 1}) {
    std::vector<double> q = queryHalf(p, query + side * kHalf);
    for (int64_t key = 0; key < kKeys; ++key)
      halves[side].push_back(
          std::inner_product(q.begin(), q.end(), &p.at("keys").values[((head * 2 + side) * kKeys + key) * kHalf], 0.0));
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

Array pkm(const Parameters &p, const Array &x) {
  Array query = linear(x, false, p.at("query.weight"), false), y(x.shape);
  for (int64_t t = 0; t < x.rows(); ++t)
    for (int64_t head = 0; head < kHeads; ++head)
      addHead(p, &query.values[t * kWidth + head * 2 * kHalf], head, &y.values[t * kWidth]);
  return y;
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

/// Scores of a token's two queries of rank 2: by side (rows, columns), rank, key.
std::vector<std::vector<double>> ultraScores(const Parameters &p, const double *query, int64_t side) {
  std::vector<std::vector<double>> scores(2, std::vector<double>(kKeys));
  for (int64_t rank : {0, 1}) {
    const double *q = query + (rank * 2 + side) * kHalf;
    double root = std::sqrt(std::inner_product(q, q + kHalf, q, 0.0) / kHalf + 1e-6);
    for (int64_t key = 0; key < kKeys; ++key)
      for (int64_t d = 0; d < kHalf; ++d)
        scores[rank][key] += q[d] / root * p.at("query_norm.weight").values[d] *
                             p.at("keys").values[((rank * 2 + side) * kKeys + key) * kHalf + d];
  }
  return scores;
}

/// The keys whose scores, weighted by a component for each rank, are largest.
std::vector<int64_t> bestKeys(const std::vector<std::vector<double>> &scores, const double *component) {
  std::vector<int64_t> order(kKeys);
  std::iota(order.begin(), order.end(), 0);
  auto value = [&](int64_t key) { return component[0] * scores[0][key] + component[1] * scores[1][key]; };
  std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return value(a) > value(b); });
  order.resize(kSelected);
  return order;
}

/// Adds what the selected addresses hold to the sums of both projections' inputs.
void addAddresses(const Parameters &p, const double *query, double (&sums)[2][kWidth]) {
  auto rows = ultraScores(p, query, 0), columns = ultraScores(p, query, 1);
  auto core = [&](int64_t which, int64_t r, int64_t s) { return p.at("cores").at(r, 2 * which + s); };
  // The leading left singular vector of the cores' sum C is an eigenvector of C C^T; u C is the right one.
  double c[2][2], g[2][2] = {};
  for (int64_t r : {0, 1})
    for (int64_t s : {0, 1})
      c[r][s] = core(0, r, s) + core(1, r, s);
  for (int64_t r : {0, 1})
    for (int64_t s : {0, 1})
      g[r][s] = c[r][0] * c[s][0] + c[r][1] * c[s][1];
  double largest = (g[0][0] + g[1][1]) / 2 + std::hypot((g[0][0] - g[1][1]) / 2, g[0][1]);
  double u[2] = {g[0][1], largest - g[0][0]};
  if (g[0][0] >= g[1][1])
    u[0] = largest - g[1][1], u[1] = g[0][1];
  double v[2] = {u[0] * c[0][0] + u[1] * c[1][0], u[0] * c[0][1] + u[1] * c[1][1]};
  struct Address {
    int64_t row, column;
    double scores[2];
  };
  std::vector<Address> found;
  for (int64_t row : bestKeys(rows, u))
    for (int64_t column : bestKeys(columns, v)) {
      found.push_back({row, column, {}});
      for (int64_t which : {0, 1})
        for (int64_t r : {0, 1})
          for (int64_t s : {0, 1})
            found.back().scores[which] += rows[r][row] * core(which, r, s) * columns[s][column];
    }
  std::sort(found.begin(), found.end(),
            [](const Address &a, const Address &b) { return a.scores[0] + a.scores[1] > b.scores[0] + b.scores[1]; });
  for (int64_t i = 0; i < kSelected; ++i)
    for (int64_t d = 0; d < kWidth; ++d)
      sums[found[i].column % 2][d] +=
          found[i].scores[d / 32] * p.at("values").values[(8 * found[i].row + found[i].column / 2) * kWidth + d];
}

Array ultramem(const Parameters &p, const Array &x) {
  Array query = linear(x, false, p.at("query.weight"), false), y(x.shape);
  for (int64_t t = 0; t < x.rows(); ++t) {
    double sums[2][kWidth] = {};
    addAddresses(p, &query.values[t * kWidth], sums);
    for (int64_t which : {0, 1})
      for (int64_t d = 0; d < kWidth; ++d)
        for (int64_t e = 0; e < kWidth; ++e)
          y.at(t, e) += sums[which][d] * p.at("projections." + std::to_string(which) + ".weight").at(d, e);
  }
  return y;
}

struct MemoryLayer : ::testing::TestWithParam<Code> {};

TEST_P(MemoryLayer, PKM) {
  checkLayer("pkm", GetParam(), 3, {}, [](const Parameters &p, const Array &x) {
    EXPECT_EQ(p.size(), 3u);
    return pkm(p, x);
  });
}
TEST_P(MemoryLayer, MemoryPlus) {
  checkLayer("memory_plus", GetParam(), 3, {}, [](const Parameters &p, const Array &x) {
    EXPECT_EQ(p.size(), 7u);
    return layer(p, x);
  });
}

TEST_P(MemoryLayer, UltraMem) {
  if (GetParam() == Code::Loops)
    GTEST_SKIP() << "it has some hundred kernels, which take seconds to compile; their loops have tests of their own";
  checkLayer("ultramem", GetParam(), 3, {}, [](const Parameters &p, const Array &x) {
    EXPECT_EQ(p.size(), 7u);
    return ultramem(p, x);
  });
}

INSTANTIATE_TEST_SUITE_P(, MemoryLayer, ::testing::Values(Code::Vectors, Code::Loops, Code::Gpu),
                         [](const auto &info) { return codeName(info.param, true); });

} // namespace
} // namespace peer::numerics
