// Layers of examples/layers/ with several inputs or results: outputs and every gradient, against central differences of their formulas in double
// precision.
#include "LayerTest.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace peer::numerics {
namespace {

using namespace reference;
/// Inputs, parameters or results by name.
using Arrays = std::map<std::string, Array>;

constexpr int64_t kTokens = 3, kWidth = 64;

double gelu(double a) { return a / 2 * (1 + std::erf(a / std::sqrt(2.0))); }
double silu(double a) { return a / (1 + std::exp(-a)); }
double sigmoid(double a) { return 1 / (1 + std::exp(-a)); }

double dot(const double *a, const double *b) { return std::inner_product(a, a + kWidth, b, 0.0); }

/// y += scale * act(u . x) * v, or of rows of three vectors act(g . x) * (u . x) * v, over rows of a table.
void addRows(const Array &table, int64_t first, int64_t count, double (*act)(double), const double *x, double scale,
             double *y) {
  int64_t vectors = table.shape[1];
  for (int64_t row = first; row < first + count; ++row) {
    const double *at = &table.values[row * vectors * kWidth], *last = at + (vectors - 1) * kWidth;
    double hidden = scale * act(dot(at, x)) * (vectors == 3 ? dot(at + kWidth, x) : 1);
    for (int64_t d = 0; d < kWidth; ++d)
      y[d] += hidden * last[d];
  }
}

std::vector<int64_t> ranked(const double *logits, int64_t count) {
  std::vector<int64_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return logits[a] > logits[b]; });
  return order;
}

Arrays matformer(const Arrays &in) {
  const Array &x = in.at("x");
  Arrays out;
  for (auto [name, rows] : {std::pair{"y", 128}, std::pair{"y64", 64}, std::pair{"y32", 32}, std::pair{"y16", 16}}) {
    Array y(x.shape);
    for (int64_t t = 0; t < kTokens; ++t)
      addRows(in.at("rows"), 0, rows, gelu, &x.values[t * kWidth], 1, &y.values[t * kWidth]);
    out[name] = y;
  }
  return out;
}

Arrays rmoe(const Arrays &in) {
  constexpr int64_t kState = 16, kExperts = 8;
  const Array &x = in.at("x"), &state = in.at("state");
  Array p = linear(x, false, in.at("projection.weight"), false), y(x.shape), next(state.shape);
  Array i = linear(p, false, in.at("gru.input.weight"), false),
        h = linear(state, false, in.at("gru.state.weight"), false);
  for (int64_t t = 0; t < kTokens; ++t) {
    auto input = [&](int64_t c) { return i.at(t, c) + in.at("gru.input.bias").values[c]; };
    auto old = [&](int64_t c) { return h.at(t, c) + in.at("gru.state.bias").values[c]; };
    double logits[kExperts] = {};
    for (int64_t c = 0; c < kState; ++c) {
      double z = sigmoid(input(c) + old(c)), r = sigmoid(input(kState + c) + old(kState + c));
      double n = std::tanh(input(2 * kState + c) + r * old(2 * kState + c));
      next.at(t, c) = (1 - z) * n + z * state.at(t, c);
      for (int64_t e = 0; e < kExperts; ++e)
        logits[e] += next.at(t, c) * in.at("router.weight").at(c, e);
    }
    std::vector<int64_t> order = ranked(logits, kExperts);
    double first = std::exp(logits[order[0]]), second = std::exp(logits[order[1]]);
    for (auto [rank, weight] : {std::pair{0, first}, std::pair{1, second}})
      addRows(in.at("experts"), order[rank] * 32, 32, silu, &x.values[t * kWidth], weight / (first + second),
              &y.values[t * kWidth]);
  }
  return {{"y", y}, {"next_state", next}};
}

Arrays e3(const Arrays &in) {
  constexpr int64_t kExperts = 8;
  Arrays out;
  for (int64_t member : {0, 1}) {
    const Array &x = in.at("x" + std::to_string(member));
    Array y(x.shape), logits = linear(x, false, in.at("router.weight"), false);
    for (int64_t t = 0; t < kTokens; ++t) {
      const double *own = &logits.values[t * 2 * kExperts + member * kExperts];
      std::vector<int64_t> order = ranked(own, kExperts);
      double total = 0;
      for (int64_t e = 0; e < kExperts; ++e)
        total += std::exp(own[e]);
      for (int64_t rank : {0, 1})
        addRows(in.at("experts"), (member * kExperts + order[rank]) * 32, 32, gelu, &x.values[t * kWidth],
                std::exp(own[order[rank]]) / total, &y.values[t * kWidth]);
    }
    out["y" + std::to_string(member)] = y;
  }
  return out;
}

Arrays pesc(const Arrays &in) {
  constexpr int64_t kExperts = 8, kRows = 64;
  const Array &x = in.at("x");
  Array hidden = linear(x, false, in.at("ffw.up.weight"), false),
        logits = linear(x, false, in.at("router.weight"), false);
  for (double &value : hidden.values)
    value = gelu(value);
  Array f = linear(hidden, false, in.at("ffw.down.weight"), false), y(x.shape);
  for (int64_t t = 0; t < kTokens; ++t) {
    std::vector<int64_t> order = ranked(&logits.values[t * kExperts], kExperts);
    double first = std::exp(logits.at(t, order[0])), second = std::exp(logits.at(t, order[1]));
    for (auto [rank, weight] : {std::pair{0, first / (first + second)}, std::pair{1, second / (first + second)}}) {
      addRows(in.at("experts"), order[rank] * kRows, kRows, gelu, &f.values[t * kWidth], weight, &y.values[t * kWidth]);
      for (int64_t d = 0; d < kWidth; ++d)
        y.at(t, d) += weight * f.at(t, d);
    }
  }
  return {{"y", y}};
}

struct LayerFormulas : ::testing::TestWithParam<Code> {
  void check(const std::string &name, Arrays inputs, Arrays (*formula)(const Arrays &)) {
    auto compiled = compileLayer(name, GetParam());
    ASSERT_TRUE(compiled);
    runtime::TensorMap given;
    std::vector<std::pair<std::string, std::string>> wanted;
    for (const auto &[input, array] : inputs) {
      given.emplace(input, toTensor(array));
      wanted.emplace_back("d" + input, input);
    }
    for (const runtime::Parameter &parameter : compiled->session().manifest().parameters) {
      inputs.emplace(parameter.name, toArray(compiled->session().parameters().at(parameter.name)));
      if (parameter.trainable)
        wanted.emplace_back("grad." + parameter.name, parameter.name);
    }
    Arrays outputs = formula(inputs), seeds;
    runtime::TensorMap results = compiled->call("layer", given);
    ASSERT_EQ(results.size(), outputs.size());
    for (const auto &[output, array] : outputs) {
      EXPECT_TRUE(compiled->agrees(results, output, array.shape, array.values, 5e-6));
      seeds[output] = random(array.shape, 20 + seeds.size());
      given.emplace("d" + output, toTensor(seeds[output]));
    }
    runtime::TensorMap gradients = compiled->call("layer_grad", given);
    ASSERT_EQ(gradients.size(), wanted.size());
    auto loss = [&] {
      double sum = 0;
      for (const auto &[output, array] : formula(inputs))
        sum += std::inner_product(array.values.begin(), array.values.end(), seeds.at(output).values.begin(), 0.0);
      return sum;
    };
    for (const auto &[gradient, of] : wanted)
      expectGradient(gradient, toArray(gradients.at(gradient)), inputs.at(of), loss);
  }
};

TEST_P(LayerFormulas, MatFormer) { check("matformer", {{"x", random({kTokens, kWidth}, 1, -1.5, 1.5)}}, matformer); }
TEST_P(LayerFormulas, RMoE) {
  check("rmoe", {{"x", random({kTokens, kWidth}, 1, -1.5, 1.5)}, {"state", random({kTokens, 16}, 2)}}, rmoe);
}
TEST_P(LayerFormulas, E3) {
  check("e3", {{"x0", random({kTokens, kWidth}, 1, -1.5, 1.5)}, {"x1", random({kTokens, kWidth}, 2, -1.5, 1.5)}}, e3);
}

// Its feed-forward layer is frozen.
TEST_P(LayerFormulas, PESC) { check("pesc", {{"x", random({kTokens, kWidth}, 1, -1.5, 1.5)}}, pesc); }

INSTANTIATE_TEST_SUITE_P(, LayerFormulas, ::testing::Values(Code::Vectors, Code::Loops, Code::Gpu),
                         [](const auto &info) { return codeName(info.param, true); });

} // namespace
} // namespace peer::numerics
