// Selections without each token's best experts: of one half what is selected when their scores are -inf, of two what comes behind them.
#include "RoutingOpTest.h"

#include <cmath>

namespace peer::numerics {
namespace {

using namespace reference;

struct RoutingDisabled : RoutingOpTest {
  /// The logits with -inf in place of the best `count` of each row.
  static Array mask(Array logits, int64_t count) {
    Selection best = select(logits, count);
    for (int64_t t = 0; t < logits.shape[0]; ++t)
      for (int64_t h = 0; h < logits.shape[1]; ++h)
        for (int64_t k = 0; k < count; ++k)
          el(logits, {t, h, 0, static_cast<int64_t>(el(best.idx, {t, h, k}))}) = -INFINITY;
    return logits;
  }

  /// All policies of one half at once. Expected is what the same function makes of masked logits where nothing is disabled; `raw` are the logits
  /// that `probability` sees, which stay as they are.
  void checkPolicies(const Array &logits, int64_t count) {
    std::string n4 = type(logits.shape, true), tokens = std::to_string(logits.shape[0]);
    std::string n = std::to_string(logits.shape[3]), heads = std::to_string(logits.shape[1]),
                rows = dynamic() ? "?" : tokens;
    auto three = [&](const std::string &k, const char *element) {
      return "tensor<" + rows + "x" + heads + "x" + k + "x" + element + ">";
    };
    std::string body, returned, types, named;
    auto add = [&](const std::string &name, const std::string &resultType) {
      std::string comma = returned.empty() ? "" : ", ";
      returned += comma + "%" + name;
      types += comma + resultType;
      named += comma + resultType + " {peer.name = \"" + name + "\"}";
    };
    std::vector<std::pair<std::string, std::string>> policies{
        {"topk<3>", "3"}, {"top_p<0.7, max = " + n + ">", n}, {"threshold<0.5, max = 5>", "5"}, {"all", n}};
    for (size_t i = 0; i < policies.size(); ++i) {
      const auto &[policy, k] = policies[i];
      std::string at = std::to_string(i), val = "%val" + at;
      body += "  %idx" + at + ", " + val + " = peer.select %logits " + policy + " : " + n4 + "\n  %gate" + at +
              " = peer.gate " + val + " softmax : " + three(k, "f32") + "\n  %share" + at + " = peer.probability " +
              val + ", %raw : " + three(k, "f32") + ", " + n4 + "\n";
      add("idx" + at, three(k, "i32"));
      for (const char *name : {"val", "gate", "share"})
        add(name + at, three(k, "f32"));
    }
    std::string text = "func.func @f(%logits: " + n4 + " {peer.name = \"logits\"}, %raw: " + n4 +
                       " {peer.name = \"raw\"}) -> (" + named + ") {\n" + body + "  return " + returned + " : " +
                       types + "\n}\n";
    auto plain = Compiled::compile(text, code());
    auto disabled = Compiled::compile(text, code(), "--disable-top-experts=" + std::to_string(count));
    ASSERT_TRUE(plain && disabled);
    auto call = [&](Compiled &program, const Array &selected) {
      runtime::TensorMap inputs;
      inputs.emplace("logits", toTensor(selected));
      inputs.emplace("raw", toTensor(logits));
      return program.call("f", inputs);
    };
    runtime::TensorMap expected = call(*plain, mask(logits, count)), actual = call(*disabled, logits);
    ASSERT_EQ(expected.size(), 16u);
    ASSERT_EQ(actual.size(), 16u);
    for (const auto &[name, tensor] : expected) {
      std::vector<double> values;
      if (tensor.dtype() == runtime::DType::I32)
        for (int32_t value : tensor.as<int32_t>())
          values.push_back(value);
      else
        for (float value : tensor.as<float>())
          values.push_back(value);
      EXPECT_TRUE(disabled->agrees(actual, name, tensor.shape(), values, 0)) << "without " << count << " of " << n;
    }
  }

  /// A layer of product keys, whose scores, selection and gate are one kernel.
  void checkLayer(int64_t tokens, int64_t heads, int64_t n, int64_t k, int64_t count) {
    flags = "--disable-top-experts=" + std::to_string(count);
    Input query{"query", random({tokens, heads, 2, 6}, 1), true}, keys{"keys", random({heads, 2, n, 6}, 2)},
        x{"x", random({tokens, 8}, 3), true}, pool{"pool", random({n * n, 2, 8}, 4)};
    Selection more = select(score(query.array, keys.array), k + count);
    Selection rest{Array({tokens, heads, k}), Array({tokens, heads, k})};
    for (int64_t t = 0; t < tokens; ++t)
      for (int64_t h = 0; h < heads; ++h)
        for (int64_t i = 0; i < k; ++i) {
          el(rest.idx, {t, h, i}) = el(more.idx, {t, h, i + count});
          el(rest.val, {t, h, i}) = el(more.val, {t, h, i + count});
        }
    Array weights = gate(rest.val, Gate::Softmax);
    std::string i3 = type(rest.idx.shape, true, "i32"), w3 = type(rest.val.shape, true);
    check({query, keys, x, pool},
          "  %s = peer.score %query, %keys : " + type(query) + ", " + type(keys) +
              "\n  %idx, %val = peer.select %s product_topk<" + std::to_string(k) +
              "> : " + type({tokens, heads, 2, n}, true) + "\n  %w = peer.gate %val softmax : " + w3 +
              "\n  %y = peer.mix %x, %idx, %w, %pool relu : " + type(x) + ", " + i3 + ", " + w3 + ", " + type(pool),
          {{"%idx", rest.idx, true, "i32"},
           {"%w", weights, true},
           {"%y", mix(x.array, rest.idx, weights, pool.array, Activation::Relu, 1), true}});
  }
};

TEST_P(RoutingDisabled, PoliciesWithoutTheBest) { checkPolicies(random({7, 2, 1, 13}, 5, -3, 3), 1); }

TEST_P(RoutingDisabled, PoliciesWithoutThreeOfTiedScores) {
  Array logits = random({6, 1, 1, 20}, 6, -2, 3);
  for (double &value : logits.values)
    value = std::floor(value);
  for (int64_t j = 0; j < 20; ++j)
    el(logits, {0, 0, 0, j}) = 1;
  el(logits, {1, 0, 0, 4}) = NAN;
  checkPolicies(logits, 3);
}

TEST_P(RoutingDisabled, ProductKeys) { checkLayer(5, 2, 9, 4, 3); }

INSTANTIATE_ROUTING_OPS(RoutingDisabled);

} // namespace
} // namespace peer::numerics
