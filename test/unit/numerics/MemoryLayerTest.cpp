// examples/layers/memory_plus.mlir: output and every gradient, against central differences of its formula in double precision.
#include "NNOpTest.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <numeric>
#include <sstream>

namespace peer::numerics {
namespace {

using namespace reference;
using Parameters = std::map<std::string, Array>;

constexpr int64_t kTokens = 3, kWidth = 64, kHeads = 2, kKeys = 16, kHalf = 16, kSelected = 4;

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
  std::ostringstream text;
  text << std::ifstream(std::string(PEER_SOURCE) + "/examples/layers/memory_plus.mlir").rdbuf();
  auto compiled = Compiled::compile(text.str(), GetParam());
  ASSERT_TRUE(compiled && compiled->initParameters(11));
  Parameters p;
  for (const auto &[name, tensor] : compiled->session().parameters())
    p.emplace(name, toArray(tensor));
  ASSERT_EQ(p.size(), 7u);
  Array x = random({kTokens, kWidth}, 1, -1.5, 1.5), dy = random({kTokens, kWidth}, 2);
  runtime::TensorMap inputs;
  inputs.emplace("x", toTensor(x));
  Array y = layer(p, x);
  EXPECT_TRUE(compiled->agrees(compiled->call("layer", inputs), "y", y.shape, y.values, 5e-6));
  inputs.emplace("dy", toTensor(dy));
  runtime::TensorMap gradients = compiled->call("layer_grad", inputs);
  ASSERT_EQ(gradients.size(), 8u);
  auto loss = [&] {
    Array out = layer(p, x);
    return std::inner_product(out.values.begin(), out.values.end(), dy.values.begin(), 0.0);
  };
  auto check = [&](const std::string &name, Array &array) {
    Array actual = toArray(gradients.at(name));
    ASSERT_EQ(actual.shape, array.shape) << name;
    double largest = 0;
    for (double value : actual.values)
      largest = std::max(largest, std::abs(value));
    EXPECT_GT(largest, 1e-3) << name;
    for (size_t i = 0; i < array.values.size(); i += 1 + array.values.size() / 61)
      ASSERT_NEAR(actual.values[i], slope(array.values[i], loss), 5e-5 * largest) << name << " " << i;
  };
  check("dx", x);
  for (auto &[name, array] : p)
    check("grad." + name, array);
}

INSTANTIATE_TEST_SUITE_P(, MemoryLayer, ::testing::Values(Code::Vectors, Code::Loops, Code::Gpu),
                         [](const auto &info) { return codeName(info.param, true); });

} // namespace
} // namespace peer::numerics
