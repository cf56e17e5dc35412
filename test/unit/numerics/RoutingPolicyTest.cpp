// Policies that keep fewer than they rank, and weights among all experts.
#include "RoutingOpTest.h"

#include <cmath>

namespace peer::numerics {
namespace {

using namespace reference;

/// Row by row of `T x H x _`.
template <typename Body>
void forRows(const Array &array, Body body) {
  for (int64_t t = 0; t < array.shape[0]; ++t)
    for (int64_t h = 0; h < array.shape[1]; ++h)
      body(t, h);
}

/// The ranked selection without what `keeps(t, h, rank, score)` refuses.
template <typename Keeps>
Selection cut(const Array &logits, int64_t max, Keeps keeps) {
  Selection result = select(logits, max);
  forRows(result.idx, [&](int64_t t, int64_t h) {
    for (int64_t k = 0; k < max; ++k)
      if (!keeps(t, h, k, el(result.val, {t, h, k})))
        el(result.idx, {t, h, k}) = -1, el(result.val, {t, h, k}) = -INFINITY;
  });
  return result;
}

double exponential(double score) { return std::isnan(score) ? 0 : std::exp(score); }

Selection topP(const Array &logits, double p, int64_t max) {
  double before = 0;
  return cut(logits, max, [&](int64_t t, int64_t h, int64_t rank, double score) {
    double total = 0;
    for (int64_t j = 0; j < logits.shape[3]; ++j)
      total += exponential(el(logits, {t, h, 0, j}));
    before = rank == 0 ? 0 : before;
    bool keeps = rank == 0 || p == 1 || before < p * total;
    before += std::exp(score);
    return keeps;
  });
}

/// exp(val - lse of the first half - lse of the second).
Array probability(const Array &val, const Array &logits) {
  Array weights(val.shape);
  forRows(val, [&](int64_t t, int64_t h) {
    double share = 1;
    for (int64_t p = 0; p < logits.shape[2]; ++p) {
      double total = 0;
      for (int64_t j = 0; j < logits.shape[3]; ++j)
        total += exponential(el(logits, {t, h, p, j}));
      share /= total;
    }
    for (int64_t k = 0; k < val.shape[2]; ++k)
      el(weights, {t, h, k}) = std::exp(el(val, {t, h, k})) * share;
  });
  return weights;
}

struct RoutingPolicy : RoutingOpTest {
  void checkSelect(const Array &values, const std::string &policy, const Selection &expected) {
    Input logits{"logits", values, true};
    check({logits}, "  %idx, %val = peer.select %logits " + policy + " : " + type(logits),
          {{"%idx", expected.idx, true, "i32"}, {"%val", expected.val, true}});
  }

  void checkTopP(const Array &logits, const std::string &p, int64_t max) {
    checkSelect(logits, "top_p<" + p + ", max = " + std::to_string(max) + ">", topP(logits, std::stod(p), max));
  }

  void checkThreshold(const Array &logits, double bound, const std::string &threshold, int64_t max) {
    checkSelect(logits, "threshold<" + threshold + ", max = " + std::to_string(max) + ">",
                cut(logits, max, [&](int64_t, int64_t, int64_t, double score) { return score > bound; }));
  }

  static Array random4(int64_t tokens, int64_t heads, int64_t n, double range = 5) {
    return random({tokens, heads, 1, n}, n, -range, range);
  }

  /// Weights of selections some of which are empty, and both parts of the gradient.
  void checkProbability(int64_t tokens, int64_t heads, int64_t halves, int64_t n, int64_t k) {
    Input idx{"idx", randomExperts({tokens, heads, k}, halves == 2 ? n * n : n, 1), true, "i32"},
        logits{"logits", random({tokens, heads, halves, n}, 2, -3, 3), true}, val{"val", {}, true},
        dw{"dw", random({tokens, heads, k}, 3), true};
    auto empty = [&](Array array) {
      for (size_t i = 0; i < array.values.size(); ++i)
        if (idx.array.values[i] < 0)
          array.values[i] = -INFINITY;
      return array;
    };
    val.array = empty(gather(logits.array, idx.array));
    Input w{"w", probability(val.array, logits.array), true};
    Forward sums = [&](const std::vector<Array> &in) { return probability(val.array, in[0]); };
    Forward all = [&](const std::vector<Array> &in) { return probability(empty(gather(in[0], idx.array)), in[0]); };
    Array dval(w.array.shape);
    for (size_t i = 0; i < dval.values.size(); ++i)
      dval.values[i] = w.array.values[i] * dw.array.values[i];
    Input through{"through", dval, true};
    std::string policy = halves == 2 ? " product_topk<1> n " : " topk<1> n ", n4 = type(logits), n3 = type(val);
    check({logits, val, w, dw, idx, through},
          "  %pw = peer.probability %val, %logits : " + n3 + ", " + n4 +
              "\n  %dl = peer.probability_grad %logits, %w, %dw : " + n4 + ", " + n3 + ", " + n3 +
              "\n  %ds = peer.select_grad %idx, %through" + policy + std::to_string(n) + " : " + type(idx) + ", " + n3 +
              "\n  %sum = arith.addf %dl, %ds : " + n4,
          {{"%pw", w.array, true},
           {"%dl", gradient(sums, {logits.array}, 0, dw.array), true},
           {"%sum", gradient(all, {logits.array}, 0, dw.array), true}});
  }
};

TEST_P(RoutingPolicy, TopP) { checkTopP(random4(9, 2, 77), "0.9", 16); }
TEST_P(RoutingPolicy, TopPOfFewKeys) { checkTopP(random4(5, 1, 9, 1), "0.5", 9); }
TEST_P(RoutingPolicy, TopPOfOneKey) { checkTopP(random4(3, 2, 1), "0.9", 1); }
TEST_P(RoutingPolicy, TopPOfManyKeys) { checkTopP(random4(3, 1, 700, 2), "0.3", 64); }
TEST_P(RoutingPolicy, TopPBeyondRegisters) { checkTopP(random4(2, 1, 300, 2), "0.6", 100); }
TEST_P(RoutingPolicy, TopPOfNothingIsTheBest) { checkTopP(random4(4, 2, 33), "0", 7); }
TEST_P(RoutingPolicy, TopPOfEverythingIsAll) { checkTopP(random4(4, 2, 33, 60), "1", 33); }

TEST_P(RoutingPolicy, TopPOfTiedScores) {
  Array logits = random4(6, 2, 40, 1);
  for (double &value : logits.values)
    value = std::floor(value);
  for (int64_t j = 0; j < 40; ++j)
    el(logits, {0, 0, 0, j}) = 2;
  checkTopP(logits, "0.87", 40);
}

TEST_P(RoutingPolicy, TopPOfNaNAndInfinity) {
  Array logits = random4(4, 1, 50);
  for (int64_t j = 0; j < 50; ++j) {
    el(logits, {0, 0, 0, j}) = NAN;
    el(logits, {1, 0, 0, j}) = j == 7 || j == 9 ? 1.0 : j % 2 ? NAN : -INFINITY;
    if (j % 3 == 0)
      el(logits, {2, 0, 0, j}) = NAN;
  }
  checkTopP(logits, "0.9", 16);
}

TEST_P(RoutingPolicy, Threshold) { checkThreshold(random4(9, 2, 77), 3.5, "3.5", 16); }
TEST_P(RoutingPolicy, ThresholdBelowZero) { checkThreshold(random4(5, 3, 9), -2, "-2.0", 5); }
TEST_P(RoutingPolicy, ThresholdThatNothingReaches) { checkThreshold(random4(5, 1, 33), 5, "5", 8); }
TEST_P(RoutingPolicy, ThresholdBeyondRegisters) { checkThreshold(random4(2, 1, 300), 1, "1", 100); }
TEST_P(RoutingPolicy, ThresholdOfSigmoid) {
  checkThreshold(random4(5, 2, 17, 2), std::log(0.7 / 0.3), "0.7, of = sigmoid", 8);
  checkThreshold(random4(5, 2, 17, 2), 0, "0.5, of = sigmoid", 17);
}
TEST_P(RoutingPolicy, ThresholdIsExceeded) {
  Array logits({3, 1, 1, 4});
  logits.values = {0.5, 0.5, NAN, 0.25, 0.75, -INFINITY, 0.5, INFINITY, NAN, NAN, NAN, NAN};
  checkThreshold(logits, 0.5, "0.5", 3);
  checkThreshold(logits, -INFINITY, "0, of = sigmoid", 3);
}

TEST_P(RoutingPolicy, Probability) { checkProbability(9, 2, 1, 33, 5); }
TEST_P(RoutingPolicy, ProbabilityOfFewKeys) { checkProbability(3, 1, 1, 2, 1); }
TEST_P(RoutingPolicy, ProbabilityOfProductKeys) { checkProbability(5, 3, 2, 19, 17); }

TEST_P(RoutingPolicy, ProbabilityOfLargeAndOfNoScores) {
  Input val{"val", Array({3, 1, 2}), true}, logits{"logits", Array({3, 1, 1, 3}), true};
  logits.array.values = {300, 299, -300, -INFINITY, NAN, -INFINITY, NAN, 2, 2};
  val.array.values = {300, 299, -INFINITY, -INFINITY, 2, -INFINITY};
  Array expected({3, 1, 2});
  double share = 1 / (1 + std::exp(-1.0));
  expected.values = {share, 1 - share, 0, 0, 0.5, 0};
  check({val, logits}, "  %w = peer.probability %val, %logits : " + type(val) + ", " + type(logits),
        {{"%w", expected, true}});
}

INSTANTIATE_ROUTING_OPS(RoutingPolicy);

} // namespace
} // namespace peer::numerics
