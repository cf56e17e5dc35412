// Routes that score in integers first: what is selected is the best by the reference, and the same bits come out of calls of few
// tokens, for which every key is scored.
#include "RoutingOpTest.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <random>

namespace peer::numerics {
namespace {

using namespace reference;
using runtime::TensorMap;

/// Ways to make a vector that a bound might get wrong.
enum class Kind { Random, Huge, Tiny, Denormal, Zero, OneHuge, OneTiny, Cancelling, Edge, NotANumber, Infinite };
using Kinds = std::vector<Kind>;
const Kinds kFinite{Kind::Random,  Kind::Huge,    Kind::Tiny,       Kind::Denormal, Kind::Zero,
                    Kind::OneHuge, Kind::OneTiny, Kind::Cancelling, Kind::Edge};

void fill(double *vector, int64_t d, Kind kind, std::mt19937 &random) {
  std::normal_distribution<double> normal;
  for (int64_t i = 0; i < d; ++i) {
    double x = normal(random);
    vector[i] = kind == Kind::Huge         ? x * 1e15
                : kind == Kind::Tiny       ? x * 1e-20
                : kind == Kind::Denormal   ? x * 1e-41
                : kind == Kind::Zero       ? 0
                : kind == Kind::Cancelling ? (i % 2 ? x - vector[i - 1] : x * 1e3)
                : kind == Kind::Edge       ? (i % 2 ? -1 : 1) * (2 - 0x1p-23)
                                           : x;
  }
  double &any = vector[random() % d];
  any = kind == Kind::OneHuge      ? 1e9
        : kind == Kind::OneTiny    ? 1e-38
        : kind == Kind::NotANumber ? NAN
        : kind == Kind::Infinite   ? INFINITY
                                   : any;
}

/// Rows of these kinds in turn, rounded to f32.
Array rows(std::vector<int64_t> shape, const Kinds &kinds, uint32_t seed) {
  Array result(shape);
  std::mt19937 random(seed);
  int64_t d = shape.back();
  for (size_t row = 0; row * d < result.values.size(); ++row)
    fill(&result.values[row * d], d, kinds[row % kinds.size()], random);
  for (double &value : result.values)
    value = static_cast<float>(value);
  return result;
}

Array tokensOf(const Array &query, int64_t from, int64_t count) {
  Array part = query;
  int64_t size = static_cast<int64_t>(query.values.size()) / query.shape[0];
  part.shape[0] = count;
  part.values.assign(query.values.begin() + from * size, query.values.begin() + (from + count) * size);
  return part;
}

/// This machine's code, unless PEER_TEST_TARGET says vectors without fused products: those routes are matrix products.
bool scoresInIntegers() {
  const char *target = std::getenv("PEER_TEST_TARGET");
  return !target || std::strcmp(target, "cpu:x86-64-v2") != 0;
}

struct CoarseRoute : ::testing::Test {
  /// Compiles a route for keys of this shape.
  void compile(const Array &query, const Array &keys, int64_t k, const std::string &gate = "softmax") {
    auto text = [](const Array &array, bool tokens) {
      std::string type = "tensor<";
      for (size_t i = 0; i < array.shape.size(); ++i)
        type += (tokens && i == 0 ? "?" : std::to_string(array.shape[i])) + "x";
      return type + "f32>";
    };
    std::string q = text(query, true), c = text(keys, false), heads = std::to_string(query.shape[1]);
    std::string chosen = "tensor<?x" + heads + "x" + std::to_string(k), logits = "tensor<?x" + heads + "x";
    logits += std::to_string(keys.shape[1]) + "x" + std::to_string(keys.shape[2]) + "xf32>";
    compiled = Compiled::compile(
        "func.func @f(%q: " + q + " {peer.name = \"q\"}, %keys: " + c + " {peer.name = \"keys\"}) -> (" + chosen +
            "xi32> {peer.name = \"idx\"}, " + chosen + "xf32> {peer.name = \"w\"}, " + chosen +
            "xf32> {peer.name = \"val\"}) {\n  %s = peer.score %q, %keys : " + q + ", " + c +
            "\n  %idx, %val = peer.select %s " + (keys.shape[1] == 2 ? "product_topk<" : "topk<") + std::to_string(k) +
            "> : " + logits + "\n  %w = peer.gate %val " + gate + " : " + chosen +
            "xf32>\n  return %idx, %w, %val : " + chosen + "xi32>, " + chosen + "xf32>, " + chosen + "xf32>\n}\n",
        Code::Vectors);
  }

  TensorMap call(const Array &query, const Array &keys) {
    TensorMap inputs;
    inputs.emplace("q", toTensor(query));
    inputs.emplace("keys", toTensor(keys));
    return compiled->call("f", inputs);
  }

  /// Calls of few tokens give the same bits.
  void checkParts(const Array &query, const Array &keys, const TensorMap &whole) {
    constexpr int64_t kPart = 9;
    for (int64_t from = 0; from < query.shape[0]; from += kPart) {
      int64_t count = std::min(kPart, query.shape[0] - from);
      TensorMap part = call(tokensOf(query, from, count), keys);
      for (const auto &[name, tensor] : part) {
        size_t size = tensor.bytes();
        const auto *all = static_cast<const std::byte *>(whole.at(name).data());
        ASSERT_EQ(std::memcmp(all + from * (size / count), tensor.data(), size), 0) << name << " from token " << from;
      }
    }
  }

  /// The selected are the best that there are, best first.
  void checkOracle(const Array &query, const Array &keys, const TensorMap &actual) {
    Array logits = score(query, keys);
    int64_t halves = keys.shape[1], n = keys.shape[2], d = keys.shape[3];
    auto idx = actual.at("idx").as<int32_t>();
    auto val = actual.at("val").as<float>();
    int64_t k = actual.at("idx").shape()[2], lists = query.shape[0] * query.shape[1];
    for (int64_t list = 0; list < lists; ++list) {
      const double *all = &logits.values[list * halves * n];
      // What the sums of f32 may be off by.
      double norms = 0, most = 0;
      for (int64_t i = 0; i < halves * d; ++i)
        norms += std::pow(query.values[list * halves * d + i], 2);
      int64_t head = keys.shape[0] == 1 ? 0 : list % query.shape[1];
      for (int64_t j = 0; j < halves * n; ++j) {
        const double *key = &keys.values[(head * halves * n + j) * d];
        most = std::max(most, std::inner_product(key, key + d, key, 0.0));
      }
      double off = std::sqrt(norms * most) * 1e-5 + 1e-37;
      std::vector<double> sums(all, all + n);
      if (halves == 2) {
        sums.clear();
        for (int64_t i = 0; i < n; ++i)
          for (int64_t j = 0; j < n; ++j)
            sums.push_back(all[i] + all[n + j]);
      }
      std::vector<bool> seen(sums.size());
      for (int64_t i = 0; i < k; ++i) {
        int64_t expert = idx[list * k + i];
        ASSERT_TRUE(expert >= 0 && expert < int64_t(sums.size()) && !seen[expert]) << expert;
        seen[expert] = true;
        ASSERT_NEAR(val[list * k + i], sums[expert], off) << "list " << list << ", rank " << i;
        ASSERT_TRUE(i == 0 || val[list * k + i] <= val[list * k + i - 1]);
      }
      std::nth_element(sums.begin(), sums.begin() + k - 1, sums.end(), std::greater<>());
      ASSERT_NEAR(val[list * k + k - 1], sums[k - 1], off) << "list " << list;
    }
  }

  void check(const Array &query, const Array &keys, int64_t k, bool oracle = true) {
    compile(query, keys, k);
    if (!compiled)
      return;
    TensorMap whole = call(query, keys);
    ASSERT_EQ(whole.size(), 3u);
    if (oracle)
      checkOracle(query, keys, whole);
    if (scoresInIntegers())
      checkParts(query, keys, whole);
  }

  std::unique_ptr<Compiled> compiled;
};

TEST_F(CoarseRoute, ProductKeys) {
  check(rows({53, 2, 2, 32}, {Kind::Random}, 1), rows({2, 2, 256, 32}, {Kind::Random}, 2), 16);
}
TEST_F(CoarseRoute, SharedKeysOfOddCounts) {
  check(rows({17, 3, 2, 48}, {Kind::Random}, 3), rows({1, 2, 333, 48}, {Kind::Random}, 4), 5);
}
TEST_F(CoarseRoute, OneHalf) {
  check(rows({53, 2, 1, 16}, {Kind::Random}, 5), rows({2, 1, 513, 16}, {Kind::Random}, 6), 64);
}
TEST_F(CoarseRoute, TopOne) {
  check(rows({20, 1, 2, 64}, {Kind::Random}, 7), rows({1, 2, 40, 64}, {Kind::Random}, 8), 1);
}
TEST_F(CoarseRoute, SeveralTiles) {
  check(rows({403, 1, 1, 16}, {Kind::Random}, 9), rows({1, 1, 100, 16}, {Kind::Random}, 10), 3);
}
TEST_F(CoarseRoute, WideKeys) {
  check(rows({53, 1, 1, 1040}, {Kind::Random, Kind::Edge}, 11), rows({1, 1, 70, 1040}, {Kind::Random, Kind::Edge}, 12),
        8);
}

// Each query with each kind of key in its row: scores of all sizes beside each other.
TEST_F(CoarseRoute, KeysOfAllKinds) {
  for (uint32_t seed = 0; seed < 3; ++seed)
    check(rows({53, 1, 2, 16 * (1 + seed)}, kFinite, seed), rows({1, 2, 200, 16 * (1 + seed)}, kFinite, 50 + seed), 16);
}
TEST_F(CoarseRoute, KeysOfOneKind) {
  for (Kind kind : kFinite)
    check(rows({53, 1, 1, 32}, kFinite, 20), rows({1, 1, 150, 32}, {kind}, 21), 8);
}

// Every key survives, and ties are settled by their indices.
TEST_F(CoarseRoute, EqualKeys) {
  Array keys = rows({1, 2, 128, 32}, {Kind::Random}, 30);
  for (size_t i = 0; i < keys.values.size(); ++i)
    keys.values[i] = keys.values[i % (32 * 5)];
  check(rows({53, 1, 2, 32}, {Kind::Random}, 31), keys, 16);
}

TEST_F(CoarseRoute, NearlyEqualKeys) {
  Array keys = rows({1, 1, 300, 64}, {Kind::Random}, 32);
  for (size_t i = 0; i < keys.values.size(); ++i)
    keys.values[i] = static_cast<float>(keys.values[i % 64] + 1e-7 * keys.values[i]);
  check(rows({53, 1, 1, 64}, {Kind::Random}, 33), keys, 16);
}

TEST_F(CoarseRoute, NotANumberOrInfinite) {
  Kinds some{Kind::Random, Kind::NotANumber, Kind::Random, Kind::Infinite, Kind::Zero, Kind::Huge};
  Array keys = rows({2, 2, 130, 16}, {Kind::Random}, 41), bad = keys;
  check(rows({53, 2, 2, 16}, some, 40), keys, 16, /*oracle=*/false);
  bad.values[700] = NAN, bad.values[2 * 130 * 16] = INFINITY;
  check(rows({53, 2, 2, 16}, some, 42), bad, 16, /*oracle=*/false);
}

// Products beyond f32: the order of infinities is that of indices, with bounds and without.
TEST_F(CoarseRoute, ScoresThatOverflow) {
  Array query = rows({53, 1, 1, 16}, {Kind::Random, Kind::Huge}, 43),
        keys = rows({1, 1, 90, 16}, {Kind::Random, Kind::Huge}, 44);
  for (double &value : query.values)
    value = static_cast<float>(value * 1e10);
  for (double &value : keys.values)
    value = static_cast<float>(value * 1e12);
  check(query, keys, 8, /*oracle=*/false);
}

} // namespace
} // namespace peer::numerics
