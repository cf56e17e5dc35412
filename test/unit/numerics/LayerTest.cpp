#include "LayerTest.h"

#include "RoutingReference.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <numeric>
#include <sstream>

namespace peer::numerics {

using namespace reference;

Array softmax(const Array &logits) {
  Array result(logits.shape);
  for (int64_t t = 0; t < logits.rows(); ++t) {
    double total = 0;
    for (int64_t e = 0; e < logits.columns(); ++e)
      total += std::exp(logits.at(t, e));
    for (int64_t e = 0; e < logits.columns(); ++e)
      result.at(t, e) = std::exp(logits.at(t, e)) / total;
  }
  return result;
}

std::vector<int64_t> rankedColumns(const Array &array, int64_t row) {
  std::vector<int64_t> order(array.columns());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return array.at(row, a) > array.at(row, b); });
  return order;
}

void addExperts(const Array &x, const Array &weights, const Array &pool, int64_t rows, bool gated, Array &y) {
  int64_t vectors = pool.shape[1], width = pool.shape[2];
  for (int64_t t = 0; t < x.rows(); ++t)
    for (int64_t row = 0; row < pool.shape[0]; ++row) {
      double weight = weights.at(t, row / rows);
      if (weight == 0)
        continue;
      auto dot = [&](int64_t f) {
        double sum = 0;
        for (int64_t d = 0; d < width; ++d)
          sum += el(pool, {row, f, d}) * x.at(t, d);
        return sum;
      };
      double a = dot(0), hidden = weight * (gated ? a / (1 + std::exp(-a)) : std::max(a, 0.0));
      if (vectors == 3)
        hidden *= dot(1);
      for (int64_t d = 0; d < width; ++d)
        y.at(t, d) += hidden * el(pool, {row, vectors - 1, d});
    }
}

std::unique_ptr<Compiled> compileLayer(const std::string &name, Code code) {
  std::ostringstream text;
  text << std::ifstream(std::string(PEER_SOURCE) + "/examples/layers/" + name + ".mlir").rdbuf();
  auto compiled = Compiled::compile(text.str(), code);
  return compiled && compiled->initParameters(11) ? std::move(compiled) : nullptr;
}

void expectGradient(const std::string &name, const Array &actual, Array &array, const std::function<double()> &loss) {
  ASSERT_EQ(actual.shape, array.shape) << name;
  double largest = 0;
  for (double value : actual.values)
    largest = std::max(largest, std::abs(value));
  EXPECT_GT(largest, 1e-3) << name;
  for (size_t i = 0; i < array.values.size(); i += 1 + array.values.size() / 67)
    ASSERT_NEAR(actual.values[i], slope(array.values[i], loss), 5e-5 * largest) << name << " " << i;
}

void checkLayer(const std::string &name, Code code, int64_t tokens, const std::vector<LayerInput> &others,
                const std::function<Array(const Parameters &, const Array &x)> &formula) {
  constexpr int64_t kWidth = 64;
  auto compiled = compileLayer(name, code);
  ASSERT_TRUE(compiled);
  Parameters p;
  for (const auto &[parameter, tensor] : compiled->session().parameters())
    p.emplace(parameter, toArray(tensor));
  Array x = random({tokens, kWidth}, 1, -1.5, 1.5), dy = random({tokens, kWidth}, 2);
  runtime::TensorMap inputs;
  inputs.emplace("x", toTensor(x));
  for (const LayerInput &input : others)
    inputs.emplace(input.name, toTensor(input.array, input.element));
  Array y = formula(p, x);
  EXPECT_TRUE(compiled->agrees(compiled->call("layer", inputs), "y", y.shape, y.values, 5e-6));
  inputs.emplace("dy", toTensor(dy));
  runtime::TensorMap gradients = compiled->call("layer_grad", inputs);
  ASSERT_EQ(gradients.size(), 1 + p.size());
  auto loss = [&] {
    Array out = formula(p, x);
    return std::inner_product(out.values.begin(), out.values.end(), dy.values.begin(), 0.0);
  };
  expectGradient("dx", toArray(gradients.at("dx")), x, loss);
  for (auto &[parameter, array] : p)
    expectGradient(parameter, toArray(gradients.at("grad." + parameter)), array, loss);
}

} // namespace peer::numerics
