// The layers of examples/layers/: outputs and every gradient, against central differences of their formulas in double precision.
#include "NNOpTest.h"
#include "RoutingReference.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <numeric>
#include <sstream>

namespace peer::numerics {
namespace {

using namespace reference;

constexpr int64_t kTokens = 5, kWidth = 64, kExperts = 16, kRows = 32;

/// Weights of a token's experts: 0 of those it does not take.
using Router = std::vector<double> (*)(const std::vector<double> &logits);

std::vector<int64_t> ranked(const std::vector<double> &logits) {
  std::vector<int64_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return logits[a] > logits[b]; });
  return order;
}

std::vector<double> probabilities(const std::vector<double> &logits) {
  std::vector<double> result;
  double total = 0;
  for (double logit : logits)
    total += std::exp(logit);
  for (double logit : logits)
    result.push_back(std::exp(logit) / total);
  return result;
}

std::vector<double> xmoe(const std::vector<double> &logits) {
  std::vector<double> all = probabilities(logits), weights(logits.size());
  double before = 0;
  for (int64_t expert : ranked(logits)) {
    if (before < 0.9)
      weights[expert] = all[expert];
    before += all[expert];
  }
  return weights;
}

std::vector<double> switchMoE(const std::vector<double> &logits) {
  std::vector<double> weights(logits.size());
  int64_t best = ranked(logits)[0];
  weights[best] = probabilities(logits)[best];
  return weights;
}

/// Of all probabilities those of the best two, renormalised.
std::vector<double> mixtral(const std::vector<double> &logits) {
  std::vector<double> all = probabilities(logits), weights(logits.size());
  std::vector<int64_t> order = ranked(logits);
  for (int64_t i : {0, 1})
    weights[order[i]] = all[order[i]] / (all[order[0]] + all[order[1]]);
  return weights;
}

/// Selected by scores with a bias, weighted without it.
std::vector<double> lossFree(const std::vector<double> &logits, const std::vector<double> &bias) {
  std::vector<double> weights(logits.size()), biased = logits;
  for (size_t e = 0; e < biased.size(); ++e)
    biased[e] += bias[e];
  std::vector<int64_t> order = ranked(biased);
  for (int64_t rank = 0; rank < 4; ++rank)
    weights[order[rank]] = 1 / (1 + std::exp(-logits[order[rank]]));
  return weights;
}

struct Layer {
  const char *name;
  Router router;
  /// Whether one token takes more experts than another.
  bool varies;
  /// In place of `router`, one that has the parameter 'router.bias'.
  std::vector<double> (*biased)(const std::vector<double> &logits, const std::vector<double> &bias) = nullptr;
  std::vector<double> bias = {};
};

/// Every expert in full, then the weighted sum.
Array forward(const Layer &layer, const Array &x, const Array &router, const Array &experts,
              std::vector<int64_t> *taken) {
  Array y(x.shape);
  for (int64_t t = 0; t < x.shape[0]; ++t) {
    std::vector<double> logits(kExperts);
    for (int64_t e = 0; e < kExperts; ++e)
      for (int64_t d = 0; d < kWidth; ++d)
        logits[e] += x.at(t, d) * router.at(d, e);
    std::vector<double> weights = layer.biased ? layer.biased(logits, layer.bias) : layer.router(logits);
    if (taken)
      taken->push_back(std::count_if(weights.begin(), weights.end(), [](double w) { return w != 0; }));
    for (int64_t row = 0; row < kExperts * kRows; ++row) {
      double weight = weights[row / kRows];
      auto dot = [&](int64_t f) {
        double sum = 0;
        for (int64_t d = 0; d < kWidth; ++d)
          sum += el(experts, {row, f, d}) * x.at(t, d);
        return sum;
      };
      if (weight == 0)
        continue;
      int64_t last = experts.shape[1] - 1;
      double a = dot(0), hidden = last == 1 ? std::max(a, 0.0) : a / (1 + std::exp(-a)) * dot(1);
      for (int64_t d = 0; d < kWidth; ++d)
        y.at(t, d) += weight * hidden * el(experts, {row, last, d});
    }
  }
  return y;
}

struct ExampleLayers : ::testing::TestWithParam<Code> {
  void check(Layer layer) {
    std::ostringstream text;
    text << std::ifstream(std::string(PEER_SOURCE) + "/examples/layers/" + layer.name + ".mlir").rdbuf();
    auto compiled = Compiled::compile(text.str(), GetParam());
    ASSERT_TRUE(compiled && compiled->initParameters(11));
    Array x = random({kTokens, kWidth}, 1, -1.5, 1.5), dy = random({kTokens, kWidth}, 2);
    Array router = toArray(compiled->session().parameters().at("router.weight"));
    Array experts = toArray(compiled->session().parameters().at("experts"));
    if (layer.biased)
      layer.bias = toArray(compiled->session().parameters().at("router.bias")).values;
    runtime::TensorMap inputs;
    inputs.emplace("x", toTensor(x));
    std::vector<int64_t> taken;
    Array y = forward(layer, x, router, experts, &taken);
    auto [fewest, most] = std::minmax_element(taken.begin(), taken.end());
    EXPECT_EQ(*fewest < *most, layer.varies) << *fewest << " to " << *most;
    EXPECT_TRUE(compiled->agrees(compiled->call("layer", inputs), "y", y.shape, y.values, 2e-6));
    inputs.emplace("dy", toTensor(dy));
    runtime::TensorMap gradients = compiled->call("layer_grad", inputs);
    ASSERT_EQ(gradients.size(), 3u);
    auto loss = [&] {
      Array out = forward(layer, x, router, experts, nullptr);
      return std::inner_product(out.values.begin(), out.values.end(), dy.values.begin(), 0.0);
    };
    for (auto [name, array, stride] :
         {std::tuple{"dx", &x, size_t(3)}, std::tuple{"grad.router.weight", &router, size_t(7)},
          std::tuple{"grad.experts", &experts, size_t(197)}}) {
      Array actual = toArray(gradients.at(name));
      double largest = 0;
      for (double value : actual.values)
        largest = std::max(largest, std::abs(value));
      EXPECT_GT(largest, 1e-3) << name;
      for (size_t i = 0; i < array->values.size(); i += stride)
        ASSERT_NEAR(actual.values[i], slope(array->values[i], loss), 2e-5 * largest) << name << " " << i;
    }
  }
};

TEST_P(ExampleLayers, XMoE) { check({"xmoe", xmoe, true}); }
TEST_P(ExampleLayers, SwitchMoE) { check({"switch_moe", switchMoE, false}); }
TEST_P(ExampleLayers, MixtralMoE) { check({"mixtral_moe", mixtral, false}); }
TEST_P(ExampleLayers, LossFreeMoE) { check({"loss_free_moe", nullptr, false, lossFree}); }

INSTANTIATE_TEST_SUITE_P(, ExampleLayers, ::testing::Values(Code::Vectors, Code::Loops, Code::Gpu),
                         [](const auto &info) { return codeName(info.param, true); });

} // namespace
} // namespace peer::numerics
