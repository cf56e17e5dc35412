#include "RoutingOpTest.h"

#include <cmath>

namespace peer::numerics {
namespace {

using namespace reference;

struct RoutingSelect : RoutingOpTest {
  void checkSelect(const Array &values, int64_t k) {
    Input logits{"logits", values, true};
    std::string policy = values.shape[2] == 2 ? "product_topk" : "topk";
    Selection expected = select(values, k);
    check({logits}, "  %idx, %val = peer.select %logits " + policy + "<" + std::to_string(k) + "> : " + type(logits),
          {{"%idx", expected.idx, true, "i32"}, {"%val", expected.val, true}});
  }

  void checkRandom(int64_t tokens, int64_t heads, int64_t halves, int64_t n, int64_t k) {
    checkSelect(random({tokens, heads, halves, n}, n + k, -5, 5), k);
  }

  /// Few different values: nearly all of the order is decided by indices.
  void checkTied(int64_t halves, int64_t n, int64_t k) {
    Array logits = random({6, 2, halves, n}, n + k, 0, 4);
    for (double &value : logits.values)
      value = std::floor(value);
    checkSelect(logits, k);
  }
};

TEST_P(RoutingSelect, TopK) { checkRandom(5, 2, 1, 1000, 16); }
TEST_P(RoutingSelect, TopOne) { checkRandom(3, 2, 1, 77, 1); }
TEST_P(RoutingSelect, TopFew) { checkRandom(3, 2, 1, 200, 3); }
TEST_P(RoutingSelect, TopKOfFewKeys) { checkRandom(3, 1, 1, 9, 7); }
TEST_P(RoutingSelect, AllByTopK) { checkRandom(3, 1, 1, 37, 37); }
TEST_P(RoutingSelect, TopManyOfRegisters) { checkRandom(3, 1, 1, 500, 64); }
TEST_P(RoutingSelect, TopManyBeyondRegisters) { checkRandom(3, 1, 1, 500, 100); }
TEST_P(RoutingSelect, ProductTopK) { checkRandom(9, 2, 2, 64, 16); }
TEST_P(RoutingSelect, ProductTopKOfOddCounts) { checkRandom(5, 3, 2, 45, 5); }
TEST_P(RoutingSelect, ProductTopOne) { checkRandom(4, 1, 2, 64, 1); }
TEST_P(RoutingSelect, ProductOfAllKeys) { checkRandom(2, 1, 2, 20, 20); }
TEST_P(RoutingSelect, ProductTopMany) { checkRandom(3, 1, 2, 128, 48); }
TEST_P(RoutingSelect, TiedTopK) { checkTied(1, 100, 16); }
TEST_P(RoutingSelect, TiedProductTopK) { checkTied(2, 64, 16); }
TEST_P(RoutingSelect, TiedProductTopFew) { checkTied(2, 33, 7); }

TEST_P(RoutingSelect, EqualScores) {
  Array logits({2, 1, 2, 40});
  checkSelect(logits, 9);
}

TEST_P(RoutingSelect, AscendingAndDescending) {
  Array logits({2, 1, 1, 300});
  for (int64_t j = 0; j < 300; ++j)
    el(logits, {0, 0, 0, j}) = static_cast<double>(j), el(logits, {1, 0, 0, j}) = static_cast<double>(-j);
  checkSelect(logits, 16);
}

TEST_P(RoutingSelect, SumsThatRoundingTies) {
  // 2^24 + small: f32 rounds the sums to a few values, and exact sums still decide.
  Array logits = random({4, 2, 2, 64}, 7, 0, 4);
  for (int64_t t = 0; t < 4; ++t)
    for (int64_t j = 0; j < 64; ++j)
      el(logits, {t, 0, 0, j}) += 16777216;
  for (double &value : logits.values)
    value = static_cast<float>(value);
  checkSelect(logits, 16);
}

TEST_P(RoutingSelect, NaNAndInfinity) {
  // NaN counts as -inf; where too few scores are larger, the lowest indices fill up.
  Array logits = random({5, 1, 1, 150}, 3);
  for (int64_t j = 0; j < 150; ++j) {
    el(logits, {0, 0, 0, j}) = NAN;
    el(logits, {1, 0, 0, j}) = j % 20 == 7 ? 1.0 : j % 2 ? NAN : -INFINITY;
    if (j % 3 == 0)
      el(logits, {2, 0, 0, j}) = NAN;
    el(logits, {3, 0, 0, j}) = j == 149 ? 1.0 : -INFINITY;
  }
  el(logits, {4, 0, 0, 70}) = INFINITY;
  checkSelect(logits, 16);
}

TEST_P(RoutingSelect, ProductOfNaNStaysInRange) {
  Array logits = random({4, 1, 2, 40}, 3);
  for (int64_t j = 0; j < 40; ++j) {
    el(logits, {0, 0, 0, j}) = NAN;
    el(logits, {1, 0, 1, j}) = j < 37 ? NAN : 1.0;
    el(logits, {2, 0, 0, j}) = INFINITY;
    el(logits, {2, 0, 1, j}) = -INFINITY;
  }
  Input input{"logits", logits, true};
  Selection any = select(logits, 8);
  std::string body = "  %idx, %val = peer.select %logits product_topk<8> : " + type(input);
  auto compiled = Compiled::compile("func.func @f(%logits: " + type(input) + " {peer.name = \"logits\"}) -> (" +
                                        type({4, 1, 8}, true, "i32") + " {peer.name = \"idx\"}) {\n" + body +
                                        "\n return %idx : " + type({4, 1, 8}, true, "i32") + "\n}\n",
                                    code());
  ASSERT_TRUE(compiled);
  runtime::TensorMap inputs;
  inputs.emplace("logits", toTensor(logits));
  auto idx = compiled->call("f", inputs);
  for (int32_t expert : idx.at("idx").as<int32_t>())
    EXPECT_TRUE(expert >= 0 && expert < 1600) << expert;
  for (int64_t k = 0; k < 8; ++k)
    EXPECT_EQ(idx.at("idx").as<int32_t>()[24 + k], el(any.idx, {3, 0, k}));
}

TEST_P(RoutingSelect, AllInOrder) {
  Input logits{"logits", random({3, 2, 1, 11}, 1), true};
  Array idx({3, 2, 11}), val({3, 2, 11});
  val.values = logits.array.values;
  for (size_t i = 0; i < idx.values.size(); ++i)
    idx.values[i] = static_cast<double>(i % 11);
  check({logits}, "  %idx, %val = peer.select %logits all : " + type(logits),
        {{"%idx", idx, true, "i32"}, {"%val", val, true}});
}

INSTANTIATE_ROUTING_OPS(RoutingSelect);

} // namespace
} // namespace peer::numerics
