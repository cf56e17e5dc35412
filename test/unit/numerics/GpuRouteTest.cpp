// Score, select and gate as one kernel on GPUs: tiles and chunks on and beside their borders, every way to multiply, ties,
// scores that are not numbers, few tiles (fewer than 100), whose keys are spread over blocks, and few tokens, for which the
// kernel is taken apart.
#include "RoutingOpTest.h"

#include <cmath>

namespace peer::numerics {
namespace {

using namespace reference;

struct Route {
  int64_t tokens, heads, halves, n, d, k;
  std::string gate = "softmax", query = "f32", keys = "f32";
  bool sharedKeys = false;
};

Gate gateOf(const std::string &name) {
  return name == "sigmoid" ? Gate::Sigmoid : name == "relu" ? Gate::Relu : name == "one" ? Gate::One : Gate::Softmax;
}

struct GpuRoute : RoutingOpTest {
  /// Small multiples of 1/4: every score is exact, and many tie.
  static Array grid(std::vector<int64_t> shape, uint64_t seed) {
    Array array = random(std::move(shape), seed, -4, 5);
    for (double &value : array.values)
      value = std::floor(value) / 4;
    return array;
  }

  static std::vector<Input> inputsOf(const Route &r, bool exact) {
    std::vector<int64_t> q{r.tokens, r.heads, r.halves, r.d}, c{r.sharedKeys ? 1 : r.heads, r.halves, r.n, r.d};
    std::vector<Input> inputs{{"q", exact ? grid(q, 1) : random(q, 1), true, r.query},
                              {"c", exact ? grid(c, 2) : random(c, 2), false, r.keys}};
    for (Input &input : inputs)
      if (input.element == "bf16")
        input.array = roundToBF16(input.array);
    return inputs;
  }

  std::string bodyOf(const Route &r, const std::vector<Input> &inputs) const {
    std::string logits = type({r.tokens, r.heads, r.halves, r.n}, true);
    std::string body = "  %s = peer.score %q, %c : " + type(inputs[0]) + ", " + type(inputs[1]) + "\n";
    body += "  %idx, %val = peer.select %s " + std::string(r.halves == 2 ? "product_topk<" : "topk<") +
            std::to_string(r.k) + "> : " + logits + "\n";
    if (!r.gate.empty())
      body += "  %w = peer.gate %val " + r.gate + " : " + type({r.tokens, r.heads, r.k}, true) + "\n";
    return body;
  }

  /// `wants` names the results that the function returns.
  void checkInputs(const Route &r, const std::vector<Input> &inputs, const std::vector<std::string> &wants) {
    Selection chosen = select(score(inputs[0].array, inputs[1].array), r.k);
    std::vector<Result> results;
    for (const std::string &name : wants)
      if (name == "%idx")
        results.push_back({name, chosen.idx, true, "i32"});
      else
        results.push_back({name, name == "%val" ? chosen.val : gate(chosen.val, gateOf(r.gate)), true});
    check(inputs, bodyOf(r, inputs), results);
  }

  void checkExact(const Route &r) { checkInputs(r, inputsOf(r, true), {"%idx", "%w"}); }
  /// A function @f of q and c.
  std::unique_ptr<Compiled> compile(const Route &r) const {
    std::vector<Input> inputs = inputsOf(r, false);
    std::string idx = type({r.tokens, r.heads, r.k}, true, "i32"), w = type({r.tokens, r.heads, r.k}, true);
    return Compiled::compile("func.func @f(%q: " + type(inputs[0]) + " {peer.name = \"q\"}, %c: " + type(inputs[1]) +
                                 " {peer.name = \"c\"}) -> (" + idx + " {peer.name = \"idx\"}, " + w +
                                 " {peer.name = \"w\"}) {\n" + bodyOf(r, inputs) + "  return %idx, %w : " + idx + ", " +
                                 w + "\n}\n",
                             code());
  }

  /// Near ties may fall either way, but the sorted scores and their weights are what they are.
  void checkAccuracy(const Route &r) { checkInputs(r, inputsOf(r, false), {"%val", "%w"}); }
};

TEST_P(GpuRoute, TilesOfTokensAndChunksOfKeys) { checkExact({70, 2, 2, 150, 32, 16}); }
TEST_P(GpuRoute, WholeTilesAndChunks) { checkExact({64, 1, 2, 128, 64, 16}); }
TEST_P(GpuRoute, OneMoreThanATileAndAChunk) { checkExact({65, 1, 2, 129, 33, 8}); }
TEST_P(GpuRoute, ManyChunks) { checkExact({17, 1, 2, 1100, 8, 16}); }
TEST_P(GpuRoute, OddSizes) { checkExact({19, 3, 2, 17, 5, 5}); }
TEST_P(GpuRoute, Router) { checkExact({33, 2, 1, 300, 48, 7}); }
TEST_P(GpuRoute, OneExpert) { checkExact({20, 1, 2, 40, 16, 1}); }
TEST_P(GpuRoute, ListsOfAWarp) { checkExact({20, 1, 2, 160, 16, 32}); }
TEST_P(GpuRoute, ListsOfTwoRegisters) { checkExact({18, 1, 2, 200, 24, 33}); }
TEST_P(GpuRoute, LongestLists) { checkExact({18, 1, 1, 260, 24, 64}); }
TEST_P(GpuRoute, EveryKey) { checkExact({18, 1, 2, 24, 24, 24}); }
TEST_P(GpuRoute, WideQueries) { checkExact({40, 1, 2, 130, 256, 16}); }
TEST_P(GpuRoute, SharedKeys) { checkExact({21, 3, 2, 50, 20, 16, "sigmoid", "f32", "f32", true}); }
TEST_P(GpuRoute, BF16Keys) { checkExact({40, 2, 2, 140, 72, 16, "relu", "f32", "bf16"}); }
TEST_P(GpuRoute, BF16KeysOfEvenWidth) { checkExact({20, 1, 2, 50, 70, 16, "one", "f32", "bf16"}); }
TEST_P(GpuRoute, BF16KeysOfOddWidth) { checkExact({20, 1, 2, 50, 37, 16, "softmax", "f32", "bf16"}); }
TEST_P(GpuRoute, BF16QueriesAndKeys) { checkExact({40, 2, 2, 140, 72, 16, "softmax", "bf16", "bf16"}); }
TEST_P(GpuRoute, BF16OfOddWidth) { checkExact({20, 1, 2, 50, 37, 16, "softmax", "bf16", "bf16"}); }
TEST_P(GpuRoute, BF16Queries) { checkExact({20, 1, 2, 50, 30, 16, "softmax", "bf16", "f32"}); }
TEST_P(GpuRoute, OneToken) { checkExact({1, 3, 2, 300, 40, 16}); }
TEST_P(GpuRoute, FewTokensOfOneHead) { checkExact({3, 1, 2, 100, 128, 16}); }
TEST_P(GpuRoute, FewTokensOfBF16Keys) { checkExact({8, 2, 1, 100, 128, 16, "softmax", "f32", "bf16"}); }

// A block for each tile.
TEST_P(GpuRoute, ManyTiles) { checkExact({9, 100, 2, 130, 16, 16, "softmax", "f32", "f32", true}); }
TEST_P(GpuRoute, ManyTilesOfOneRow) { checkExact({65, 50, 2, 70, 16, 9, "softmax", "f32", "bf16"}); }
TEST_P(GpuRoute, ManyTilesOfARouter) { checkExact({70, 50, 1, 100, 24, 8}); }
TEST_P(GpuRoute, ManyTilesOfListsOfAWarp) { checkExact({16, 101, 1, 80, 8, 32, "one"}); }
TEST_P(GpuRoute, ManyTilesWithoutGate) {
  Route r{20, 100, 2, 33, 16, 8, ""};
  checkInputs(r, inputsOf(r, true), {"%val", "%idx"});
}
// Two blocks for each tile, one for each chunk of keys, more than there are pieces (13 chunks are seven twos, for eight blocks),
// and one for each tile, for there are no more keys.
TEST_P(GpuRoute, OneTileLessThanMany) { checkExact({9, 99, 2, 130, 16, 16, "softmax", "f32", "f32", true}); }
TEST_P(GpuRoute, HalvesOfTheKeys) { checkExact({10, 50, 1, 200, 16, 4}); }
TEST_P(GpuRoute, AChunkForEachBlock) { checkExact({16, 1, 2, 512, 16, 16}); }
TEST_P(GpuRoute, BlocksWithoutKeys) { checkExact({17, 1, 1, 800, 16, 40}); }
TEST_P(GpuRoute, NoMoreKeys) { checkExact({100, 1, 1, 64, 48, 8}); }
TEST_P(GpuRoute, FewerKeysInAPartThanSelected) { checkExact({9, 2, 2, 129, 8, 64}); }

TEST_P(GpuRoute, OneTileOfOneHead) { checkExact({12, 1, 2, 300, 16, 8}); }
TEST_P(GpuRoute, ScoresAlone) {
  std::vector<Input> inputs = inputsOf({70, 2, 2, 530, 20, 1}, true);
  check(inputs, "  %s = peer.score %q, %c : " + type(inputs[0]) + ", " + type(inputs[1]),
        {{"%s", score(inputs[0].array, inputs[1].array), true}});
}

/// Few tiles and many select the same of the same scores, whatever their rounding.
TEST_P(GpuRoute, RegimesAgreeToTheBit) {
  Route few{20, 50, 2, 200, 32, 16}, many = few;
  many.tokens = 65;
  std::vector<Input> inputs = inputsOf(many, false);
  auto compiled = compile(dynamic() ? many : few), same = dynamic() ? nullptr : compile(many);
  ASSERT_TRUE(compiled && (dynamic() || same));
  auto call = [&](Compiled &code, int64_t tokens) {
    runtime::TensorMap tensors;
    for (const Input &input : inputs) {
      Array array = input.array;
      if (input.tokens) {
        array.values.resize(array.values.size() / array.shape[0] * tokens);
        array.shape[0] = tokens;
      }
      tensors.emplace(input.name, toTensor(array));
    }
    return code.call("f", tensors);
  };
  auto some = call(*compiled, few.tokens), all = call(same ? *same : *compiled, many.tokens);
  ASSERT_EQ(some.size(), 2u);
  ASSERT_EQ(all.size(), 2u);
  for (const char *name : {"idx", "w"}) {
    auto expected = some.at(name).as<uint32_t>(), actual = all.at(name).as<uint32_t>();
    EXPECT_TRUE(std::equal(expected.begin(), expected.end(), actual.begin())) << name;
  }
}

TEST_P(GpuRoute, AccuracyOfF32) { checkAccuracy({20, 2, 2, 150, 128, 16}); }
TEST_P(GpuRoute, AccuracyOfBF16Keys) { checkAccuracy({20, 2, 2, 150, 128, 16, "softmax", "f32", "bf16"}); }
TEST_P(GpuRoute, AccuracyOfBF16) { checkAccuracy({20, 2, 2, 150, 128, 16, "softmax", "bf16", "bf16"}); }

TEST_P(GpuRoute, ValIsKeptForOthers) {
  Route r{20, 2, 2, 50, 16, 8};
  checkInputs(r, inputsOf(r, true), {"%w", "%val", "%idx"});
}
TEST_P(GpuRoute, WithoutGate) {
  Route r{20, 2, 2, 50, 16, 8, ""};
  checkInputs(r, inputsOf(r, true), {"%val", "%idx"});
}
TEST_P(GpuRoute, FewTokensWithoutGate) {
  Route r{2, 2, 2, 150, 16, 8, ""};
  checkInputs(r, inputsOf(r, true), {"%val", "%idx"});
}

TEST_P(GpuRoute, NotANumber) {
  Route r{20, 1, 1, 140, 16, 9};
  std::vector<Input> inputs = inputsOf(r, true);
  el(inputs[0].array, {3, 0, 0, 7}) = NAN;
  for (int64_t key = 0; key < 140; ++key)
    if (key % 30 != 11)
      el(inputs[1].array, {0, 0, key, 2}) = NAN;
  checkInputs(r, inputs, {"%idx", "%w"});
}

TEST_P(GpuRoute, AllExperts) {
  Route r{20, 2, 1, 12, 40, 12};
  std::vector<Input> inputs = inputsOf(r, true);
  Array logits = score(inputs[0].array, inputs[1].array), val({20, 2, 12}), idx({20, 2, 12});
  val.values = logits.values;
  for (size_t i = 0; i < idx.values.size(); ++i)
    idx.values[i] = static_cast<double>(i % 12);
  check(inputs,
        "  %s = peer.score %q, %c : " + type(inputs[0]) + ", " + type(inputs[1]) +
            "\n  %idx, %val = peer.select %s all : " + type({20, 2, 1, 12}, true) +
            "\n  %w = peer.gate %val softmax : " + type({20, 2, 12}, true),
        {{"%idx", idx, true, "i32"}, {"%w", gate(val, Gate::Softmax), true}});
}

TEST_P(GpuRoute, MoreThanARegisterListTakes) { checkExact({17, 1, 1, 100, 16, 70}); }

INSTANTIATE_TEST_SUITE_P(, GpuRoute, ::testing::Combine(::testing::Values(Code::Gpu), ::testing::Bool()),
                         [](const auto &info) { return codeName(std::get<0>(info.param), std::get<1>(info.param)); });

} // namespace
} // namespace peer::numerics
