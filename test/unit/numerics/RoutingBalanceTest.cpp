// What keeps the use of experts even: losses, loads, capacity and scores of given experts.
#include "RoutingOpTest.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace peer::numerics {
namespace {

using namespace reference;

double exponential(double score) { return std::isnan(score) ? 0 : std::exp(score); }

double total(const Array &logits, int64_t t, int64_t h, int64_t p) {
  double sum = 0;
  for (int64_t j = 0; j < logits.shape[3]; ++j)
    sum += exponential(el(logits, {t, h, p, j}));
  return sum;
}

Array expertLoad(const Array &idx, int64_t n, int64_t halves, bool first) {
  Array load({halves, n});
  double pairs = 0;
  for (size_t i = 0; i < idx.values.size(); ++i) {
    int64_t expert = int64_t(idx.values[i]);
    if (expert < 0 || (first && i % idx.shape[2] != 0))
      continue;
    ++pairs;
    load.at(0, halves == 2 ? expert / n : expert) += 1;
    if (halves == 2)
      load.at(1, expert % n) += 1;
  }
  for (double &value : load.values)
    value /= std::max(pairs, 1.0);
  return load;
}

Array balanceLoss(const Array &logits, const Array &load) {
  int64_t heads = logits.shape[1], halves = logits.shape[2], n = logits.shape[3];
  Array loss({logits.shape[0]});
  for (int64_t t = 0; t < logits.shape[0]; ++t)
    for (int64_t h = 0; h < heads; ++h)
      for (int64_t p = 0; p < halves; ++p)
        for (int64_t j = 0; j < n; ++j)
          if (double sum = total(logits, t, h, p); sum > 0)
            loss.values[t] +=
                double(n) / (heads * halves) * load.at(p, j) * exponential(el(logits, {t, h, p, j})) / sum;
  return loss;
}

Array zLoss(const Array &logits) {
  Array loss({logits.shape[0]});
  for (int64_t t = 0; t < logits.shape[0]; ++t)
    for (int64_t h = 0; h < logits.shape[1]; ++h) {
      double sum = 0;
      for (int64_t p = 0; p < logits.shape[2]; ++p)
        if (double here = total(logits, t, h, p); here > 0)
          sum += std::log(here);
      loss.values[t] += sum * sum / logits.shape[1];
    }
  return loss;
}

enum class Priority { Token, Rank, Probability };

/// Pairs sorted by priority, taken until their experts are full.
Selection capacity(const Array &idx, const Array &weights, int64_t experts, double factor, int64_t least,
                   Priority priority) {
  int64_t limit = std::max<int64_t>(least, int64_t(std::ceil(factor * double(idx.shape[0]) / double(experts))));
  std::vector<size_t> order(idx.values.size());
  std::iota(order.begin(), order.end(), 0);
  auto weight = [&](size_t i) { return std::isnan(weights.values[i]) ? -INFINITY : weights.values[i]; };
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    size_t k = idx.shape[2];
    if (priority == Priority::Rank && a % k != b % k)
      return a % k < b % k;
    return priority != Priority::Token && weight(a) > weight(b);
  });
  Selection result{idx, weights};
  std::vector<int64_t> taken(experts);
  for (size_t i : order)
    if (idx.values[i] < 0 || taken[size_t(idx.values[i])]++ >= limit)
      result.idx.values[i] = -1, result.val.values[i] = 0;
  return result;
}

struct RoutingBalance : RoutingOpTest {
  void checkLosses(Array values, int64_t seed = 3) {
    int64_t tokens = values.shape[0], halves = values.shape[2], n = values.shape[3];
    Input logits{"logits", values, true}, load{"load", random({halves, n}, seed, 0, 1)},
        dl{"dl", random({tokens}, seed + 1), true};
    Forward balance = [&](const std::vector<Array> &in) { return balanceLoss(in[0], load.array); };
    Forward z = [](const std::vector<Array> &in) { return zLoss(in[0]); };
    std::string l = type(logits), f = type(load), t = type(dl);
    std::vector<Result> results = {{"%b", balanceLoss(values, load.array), true},
                                   {"%z", zLoss(values), true, "f32", 1e-5}};
    if (std::all_of(values.values.begin(), values.values.end(), [](double v) { return std::isfinite(v); })) {
      results.push_back({"%db", gradient(balance, {values}, 0, dl.array), true});
      results.push_back({"%dz", gradient(z, {values}, 0, dl.array), true, "f32", 1e-5});
    }
    check({logits, load, dl},
          "  %b = peer.balance_loss %logits, %load : " + l + ", " + f + "\n  %z = peer.z_loss %logits : " + l +
              "\n  %db = peer.balance_loss_grad %logits, %load, %dl : " + l + ", " + f + ", " + t +
              "\n  %dz = peer.z_loss_grad %logits, %dl : " + l + ", " + t,
          results);
  }

  void checkLoad(const Array &values, int64_t n, int64_t halves) {
    Input idx{"idx", values, true, "i32"};
    std::string keys = "keys " + std::to_string(n) + (halves == 2 ? " halves 2 : " : " : ") + type(idx);
    check({idx}, "  %all = peer.expert_load %idx " + keys + "\n  %best = peer.expert_load %idx first " + keys,
          {{"%all", expertLoad(values, n, halves, false)}, {"%best", expertLoad(values, n, halves, true)}});
  }

  void checkCapacity(const Array &values, const Array &gates, int64_t experts, const std::string &factor,
                     int64_t least) {
    Input idx{"idx", values, true, "i32"}, weights{"weights", gates, true};
    std::string body;
    std::vector<Result> results;
    for (auto [name, priority] : {std::pair{"token", Priority::Token}, std::pair{"rank", Priority::Rank},
                                  std::pair{"probability", Priority::Probability}}) {
      std::string n = name;
      body += "  %i_" + n + ", %w_" + n + " = peer.capacity %idx, %weights experts " + std::to_string(experts) +
              " factor " + factor + " least " + std::to_string(least) + " by " + n + " : " + type(idx) + ", " +
              type(weights) + "\n";
      Selection kept = capacity(values, gates, experts, std::stod(factor), least, priority);
      results.push_back({"%i_" + n, kept.idx, true, "i32"});
      results.push_back({"%w_" + n, kept.val, true});
    }
    check({idx, weights}, body, results);
  }
};

TEST_P(RoutingBalance, Losses) { checkLosses(random({9, 1, 1, 64}, 1, -3, 3)); }
TEST_P(RoutingBalance, LossesOfHeads) { checkLosses(random({5, 3, 1, 7}, 2, -3, 3)); }
TEST_P(RoutingBalance, LossesOfProductKeys) { checkLosses(random({5, 2, 2, 19}, 3, -3, 3)); }
TEST_P(RoutingBalance, LossesOfOneKey) { checkLosses(random({3, 1, 1, 1}, 4, -3, 3)); }
TEST_P(RoutingBalance, LossesOfNaNAndNothing) {
  Array logits = random({3, 1, 2, 5}, 5, -2, 2);
  for (int64_t j = 0; j < 5; ++j)
    el(logits, {0, 0, 1, j}) = j % 2 ? NAN : -INFINITY;
  el(logits, {1, 0, 0, 2}) = NAN;
  checkLosses(logits);
}

TEST_P(RoutingBalance, Load) { checkLoad(randomExperts({17, 2, 5}, 33, 1), 33, 1); }
TEST_P(RoutingBalance, LoadOfOneExpert) { checkLoad(randomExperts({300, 1, 1}, 1, 2), 1, 1); }
TEST_P(RoutingBalance, LoadOfProductKeys) { checkLoad(randomExperts({7, 3, 4}, 19 * 19, 3), 19, 2); }
TEST_P(RoutingBalance, LoadOfNothing) {
  Array idx({4, 1, 2});
  std::fill(idx.values.begin(), idx.values.end(), -1);
  checkLoad(idx, 6, 1);
}

TEST_P(RoutingBalance, Gather) {
  for (int64_t halves : {1, 2}) {
    Input logits{"logits", random({7, 2, halves, 9}, 1), true},
        idx{"idx", randomExperts({7, 2, 5}, halves == 2 ? 81 : 9, 2), true, "i32"};
    Array expected = gather(logits.array, idx.array);
    for (size_t i = 0; i < expected.values.size(); ++i)
      if (idx.array.values[i] < 0)
        expected.values[i] = -INFINITY;
    check({logits, idx}, "  %v = peer.gather %logits, %idx : " + type(logits) + ", " + type(idx),
          {{"%v", expected, true}});
  }
}

TEST_P(RoutingBalance, Bias) {
  Input logits{"logits", random({5, 2, 2, 21}, 1), true}, bias{"bias", random({2, 21}, 2)};
  Array expected = logits.array;
  for (size_t i = 0; i < expected.values.size(); ++i)
    expected.values[i] += bias.array.values[i % 42];
  check({logits, bias}, "  %b = peer.balance_bias %logits, %bias : " + type(logits) + ", " + type(bias),
        {{"%b", expected, true}});
}

TEST_P(RoutingBalance, Capacity) {
  checkCapacity(randomExperts({37, 1, 3}, 5, 1), random({37, 1, 3}, 2, 0, 1), 5, "0.75", 1);
}
TEST_P(RoutingBalance, CapacityOfHeads) {
  checkCapacity(randomExperts({9, 2, 4}, 7, 3), random({9, 2, 4}, 4, -1, 1), 7, "1.1", 4);
}
TEST_P(RoutingBalance, CapacityOfOneExpert) {
  checkCapacity(randomExperts({301, 1, 1}, 1, 5), random({301, 1, 1}, 6, 0, 1), 1, "0.5", 0);
}
TEST_P(RoutingBalance, CapacityOfNothing) {
  checkCapacity(randomExperts({5, 1, 2}, 3, 7), random({5, 1, 2}, 8), 3, "0.0", 0);
}
TEST_P(RoutingBalance, CapacityOfTiesAndNaN) {
  Array weights = random({40, 1, 2}, 9, 0, 3);
  for (double &value : weights.values)
    value = std::floor(value);
  weights.values[1] = -0.0;
  // What is no number is dropped here: it comes last.
  Array idx({40, 1, 2});
  for (size_t i = 0; i < idx.values.size(); ++i)
    idx.values[i] = i % 3;
  for (size_t i : {6, 9, 12})
    weights.values[i] = NAN;
  Input given{"idx", idx, true, "i32"}, gates{"weights", weights, true};
  Selection kept = capacity(idx, weights, 3, 0.5, 1, Priority::Probability);
  check({given, gates},
        "  %i, %w = peer.capacity %idx, %weights experts 3 factor 0.5 by probability : " + type(given) + ", " +
            type(gates),
        {{"%i", kept.idx, true, "i32"}, {"%w", kept.val, true}});
}

// What is kept passes the gradient on, what is dropped does not.
TEST(CapacityGradient, IsThatOfWhatIsKept) {
  const std::string text = R"(
func.func @f(%i: tensor<?x1x3xi32> {peer.name = "i"}, %w: tensor<?x1x3xf32> {peer.name = "w"})
    -> (tensor<?x1x3xf32> {peer.name = "kept"}) {
  %k, %v = peer.capacity %i, %w experts 5 factor 0.75 by probability : tensor<?x1x3xi32>, tensor<?x1x3xf32>
  return %v : tensor<?x1x3xf32>
}
peer.gradient @g of @f
)";
  Array idx = randomExperts({37, 1, 3}, 5, 1), weights = random({37, 1, 3}, 2, 0, 1), dy = random({37, 1, 3}, 3);
  Array kept = capacity(idx, weights, 5, 0.75, 1, Priority::Probability).idx, expected = dy;
  for (size_t i = 0; i < kept.values.size(); ++i)
    if (kept.values[i] < 0)
      expected.values[i] = 0;
  ASSERT_NE(expected.values, dy.values);
  for (Code code : {Code::Vectors, Code::Loops, Code::Gpu}) {
    auto compiled = Compiled::compile(text, code);
    ASSERT_TRUE(compiled);
    runtime::TensorMap inputs;
    inputs.emplace("i", toTensor(idx, "i32"));
    inputs.emplace("w", toTensor(weights));
    inputs.emplace("dkept", toTensor(dy));
    EXPECT_TRUE(compiled->agrees(compiled->call("g", inputs), "dw", expected.shape, expected.values, 0));
  }
}

INSTANTIATE_ROUTING_OPS(RoutingBalance);

} // namespace
} // namespace peer::numerics
