// Experts that choose tokens, thresholds that are known at run time, steps with a straight-through gradient, and hashes.
#include "RoutingOpTest.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

namespace peer::numerics {
namespace {

using namespace reference;

/// Each expert of each head sorts all tokens.
Selection expertChoice(const Array &logits, double factor) {
  int64_t tokens = logits.shape[0], heads = logits.shape[1], n = logits.shape[3];
  Selection result{Array({tokens, heads, n}), Array({tokens, heads, n})};
  std::fill(result.idx.values.begin(), result.idx.values.end(), -1);
  std::fill(result.val.values.begin(), result.val.values.end(), -INFINITY);
  auto most = std::min(tokens, static_cast<int64_t>(std::ceil(factor * double(tokens) / double(n))));
  for (int64_t h = 0; h < heads; ++h)
    for (int64_t e = 0; e < n; ++e) {
      auto score = [&](int64_t t) {
        double value = el(logits, {t, h, 0, e});
        return std::isnan(value) ? -INFINITY : value;
      };
      std::vector<int64_t> order(tokens);
      std::iota(order.begin(), order.end(), 0);
      std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return score(a) > score(b); });
      for (int64_t i = 0; i < most; ++i)
        el(result.idx, {order[i], h, e}) = double(e), el(result.val, {order[i], h, e}) = score(order[i]);
    }
  return result;
}

struct RoutingChoice : RoutingOpTest {
  void checkChoice(const Array &values, const std::string &factor) {
    Input logits{"logits", values, true};
    Selection expected = expertChoice(values, std::stod(factor));
    check({logits}, "  %idx, %val = peer.select %logits expert_choice<" + factor + "> : " + type(logits),
          {{"%idx", expected.idx, true, "i32"}, {"%val", expected.val, true, "f32", 0}});
  }

  /// What `policy max = 7>` keeps of each head with each of these operands: as many of the best as `keeps` says.
  void checkOperands(const std::string &policy, const std::vector<double> &thresholds,
                     const std::function<int64_t(double threshold, const double *best, const double *all)> &keeps) {
    Input logits{"logits", random({6, 2, 1, kKeys}, 10, -3, 3), true};
    for (int64_t j = 0; j < kKeys; ++j)
      el(logits.array, {1, 0, 0, j}) = NAN;
    std::vector<Input> inputs{logits};
    std::vector<Result> results;
    std::string body;
    for (double threshold : thresholds) {
      std::string n = std::to_string(inputs.size());
      inputs.push_back({"bound" + n, Array(std::vector<int64_t>{}), false});
      inputs.back().array.values = {threshold};
      Selection expected = select(logits.array, kMost);
      for (int64_t row = 0; row < 12; ++row) {
        double *val = &expected.val.values[row * kMost], *idx = &expected.idx.values[row * kMost];
        for (int64_t k = keeps(threshold, val, &logits.array.values[row * kKeys]); k < kMost; ++k)
          val[k] = -INFINITY, idx[k] = -1;
      }
      body += "  %idx" + n + ", %val" + n + " = peer.select %logits, %bound" + n + " " + policy +
              "max = 7> : " + type(logits) + ", tensor<f32>\n";
      results.push_back({"%idx" + n, expected.idx, true, "i32"});
      results.push_back({"%val" + n, expected.val, true, "f32", 0});
    }
    check(inputs, body, results);
  }

  static constexpr int64_t kMost = 7, kKeys = 21;
};

TEST_P(RoutingChoice, Experts) { checkChoice(random({37, 1, 1, 16}, 1, -5, 5), "2.0"); }
TEST_P(RoutingChoice, ExpertsOfHeads) { checkChoice(random({9, 2, 1, 7}, 2, -5, 5), "1.5"); }
TEST_P(RoutingChoice, ManyExperts) { checkChoice(random({11, 1, 1, 33}, 3), "0.25"); }
TEST_P(RoutingChoice, OneExpert) { checkChoice(random({5, 2, 1, 1}, 4), "0.5"); }
TEST_P(RoutingChoice, FewerTokensThanExperts) { checkChoice(random({3, 1, 1, 8}, 5), "1"); }
TEST_P(RoutingChoice, ExpertsTakeAll) { checkChoice(random({6, 1, 1, 4}, 6), "4"); }
TEST_P(RoutingChoice, MoreTokensThanThreads) {
  Array logits = random({301, 1, 1, 2}, 7, -4, 4);
  for (double &value : logits.values)
    value = std::floor(value);
  checkChoice(logits, "0.7");
}

TEST_P(RoutingChoice, TiesGoToTheFirstToken) {
  Array logits = random({29, 2, 1, 8}, 8, -2, 2);
  for (double &value : logits.values)
    value = std::floor(value);
  for (int64_t t = 0; t < 29; ++t) {
    el(logits, {t, 0, 0, 0}) = 1;
    el(logits, {t, 0, 0, 1}) = t % 2 ? 0.0 : -0.0;
  }
  checkChoice(logits, "3.0");
}

TEST_P(RoutingChoice, NaNAndInfinityComeLastAndFirst) {
  Array logits = random({17, 1, 1, 4}, 9);
  for (int64_t t = 0; t < 17; ++t) {
    el(logits, {t, 0, 0, 0}) = NAN;
    el(logits, {t, 0, 0, 1}) = t % 3 == 0 ? INFINITY : t % 3 == 1 ? -INFINITY : NAN;
    el(logits, {t, 0, 0, 2}) = t < 14 ? -NAN : double(1e-42f);
  }
  checkChoice(logits, "1.5");
}

TEST_P(RoutingChoice, TopPOfOperands) {
  auto keeps = [](double p, const double *best, const double *all) {
    double total = 0, before = 0;
    for (int64_t j = 0; j < kKeys; ++j)
      total += std::isnan(all[j]) ? 0 : std::exp(all[j]);
    int64_t kept = 0;
    while (kept < kMost && (kept == 0 || p >= 1 || before < p * total))
      before += std::exp(best[kept++]);
    return kept;
  };
  checkOperands("top_p<", {0.75, 0.25, 0.0, -1.0, 1.0, 2.0, NAN}, keeps);
}

TEST_P(RoutingChoice, ThresholdsOfOperands) {
  auto above = [](double bound, const double *best) {
    return std::count_if(best, best + kMost, [&](double score) { return score > bound; });
  };
  checkOperands("threshold<", {0.5, -1.0, 10.0, NAN, -INFINITY},
                [&](double t, const double *best, const double *) { return above(t, best); });
  checkOperands("threshold<of = sigmoid, ", {0.5, 0.75, 0.0, -1.0, 1.0, 2.0, NAN},
                [&](double t, const double *best, const double *) {
                  return above(t <= 0 ? -INFINITY : t < 1 ? std::log(t / (1 - t)) : INFINITY, best);
                });
}

TEST_P(RoutingChoice, StepsOfSigmoids) {
  Input logits{"logits", random({7, 2, 1, 13}, 11, -3, 3), true};
  logits.array.values[0] = -INFINITY, logits.array.values[1] = INFINITY, logits.array.values[2] = 0;
  Array scores({7, 2, 13}), hard({7, 2, 13}), soft({7, 2, 13});
  scores.values = logits.array.values;
  for (size_t i = 0; i < scores.values.size(); ++i) {
    double sigmoid = 1 / (1 + std::exp(-scores.values[i]));
    hard.values[i] = sigmoid > 0.5;
    soft.values[i] = sigmoid > 0.75 ? sigmoid : 0;
  }
  std::string val = type(scores.shape, true);
  check({logits},
        "  %idx, %val = peer.select %logits all : " + type(logits) + "\n  %hard = peer.straight_through %val : " + val +
            "\n  %soft = peer.straight_through %val soft {threshold = 0.75 : f32} : " + val,
        {{"%hard", hard, true, "f32", 0}, {"%soft", soft, true}});
}

// As if there were no step.
TEST(StraightThroughGradient, IsThatOfASigmoid) {
  const std::string text = R"(
func.func @f(%s: tensor<?x1x1x5xf32> {peer.name = "s"}) -> (tensor<?x1x5xf32> {peer.name = "hard"}, tensor<?x1x5xf32> {peer.name = "soft"}) {
  %i, %v = peer.select %s all : tensor<?x1x1x5xf32>
  %h = peer.straight_through %v {threshold = 0.25 : f32} : tensor<?x1x5xf32>
  %w = peer.straight_through %v soft : tensor<?x1x5xf32>
  return %h, %w : tensor<?x1x5xf32>, tensor<?x1x5xf32>
}
peer.gradient @g of @f
)";
  Array s = random({9, 1, 1, 5}, 1, -3, 3), dh = random({9, 1, 5}, 2), dw = random({9, 1, 5}, 3), both = dh;
  for (size_t i = 0; i < both.values.size(); ++i)
    both.values[i] += dw.values[i];
  Forward sigmoid = [](const std::vector<Array> &in) { return gate(in[0], Gate::Sigmoid); };
  Array val({9, 1, 5});
  val.values = s.values;
  Array expected = gradient(sigmoid, {val}, 0, both);
  for (Code code : {Code::Vectors, Code::Loops, Code::Gpu}) {
    auto compiled = Compiled::compile(text, code);
    ASSERT_TRUE(compiled);
    runtime::TensorMap inputs;
    inputs.emplace("s", toTensor(s));
    inputs.emplace("dhard", toTensor(dh));
    inputs.emplace("dsoft", toTensor(dw));
    EXPECT_TRUE(compiled->agrees(compiled->call("g", inputs), "ds", s.shape, expected.values, 2e-6));
  }
}

TEST_P(RoutingChoice, Hash) {
  Input tokens{"tokens", randomTokens(300, 1 << 24, 12), true, "i32"};
  std::vector<double> &values = tokens.array.values;
  std::copy_n(std::vector<double>{0, -1, 2147483647, -2147483648.0}.begin(), 4, values.begin());
  std::vector<Result> results;
  std::string body;
  for (auto [experts, seed] : {std::pair<int64_t, int64_t>{16, 0}, {1, 3}, {1000003, 4294967295}, {2147483647, 7}}) {
    Array idx({300, 1, 1}), weights({300, 1, 1});
    for (size_t i = 0; i < values.size(); ++i) {
      auto token = static_cast<uint32_t>(static_cast<int64_t>(values[i]));
      idx.values[i] = mixBits(token ^ mixBits(uint32_t(seed) + 0x9e3779b9)) % uint32_t(experts);
      weights.values[i] = 1;
    }
    std::string n = std::to_string(experts);
    body += "  %idx" + n + ", %w" + n + " = peer.hash %tokens experts " + n + " seed " + std::to_string(seed) + " : " +
            type(tokens) + "\n";
    results.push_back({"%idx" + n, idx, true, "i32"});
    results.push_back({"%w" + n, weights, true, "f32", 0});
  }
  check({tokens}, body, results);
}

INSTANTIATE_ROUTING_OPS(RoutingChoice);

} // namespace
} // namespace peer::numerics
