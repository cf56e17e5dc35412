#include "NNAttentionTest.h"

namespace peer::numerics {
namespace {

using namespace reference;

using NNAttention = NNOpTest;

TEST_P(NNAttention, Rotary) {
  // Half a head is 20 components: a vector and a part of one.
  Array x = random({3 * 24, 80}, 1);
  check("rotary", "heads 2 context 24", {{"x", x, true}}, {{rotary(x, 2, 24, 10000), true}});
  check("rotary", "heads 2 context 24 {inverse, base = 500.0 : f32}", {{"x", x, true}},
        {{rotary(x, 2, 24, 500, true), true}});
}

TEST_P(NNAttention, RotaryOfLatePositions) {
  Array x = random({8200, 4}, 1);
  check("rotary", "heads 1 context 8200", {{"x", x, true}}, {{rotary(x, 1, 8200, 10000), true}}, 1e-6);
}

TEST_P(NNAttention, RotaryAt) {
  Array x = random({5, 80}, 1), position{std::vector<int64_t>{}};
  for (int64_t start : {0, 3, 8191, 50000}) {
    position.values[0] = static_cast<double>(start);
    check("rotary_at", "heads 2", {{"x", x, true}, {"position", position, false, "i32"}},
          {{rotary(x, 2, 1 << 30, 10000, false, start), true}}, 1e-6);
  }
}

struct NNAttentionSizes : NNOpTest {
  void checkForward(AttentionSizes s) {
    Array q = random(s.queryShape(), 1, -2, 2), k = random(s.keyShape(), 2, -2, 2), v = random(s.keyShape(), 3);
    check("attention", s.attributes(), {{"q", q, true}, {"k", k, true}, {"v", v, true}},
          {{attention(q, k, v, s.heads, s.context, s.window), true}}, 5e-6);
  }
  void checkGrad(AttentionSizes s) {
    std::vector<Array> in{random(s.queryShape(), 1, -2, 2), random(s.keyShape(), 2, -2, 2), random(s.keyShape(), 3)};
    Array dy = random(s.queryShape(), 4);
    Forward forward = [&](const std::vector<Array> &a) {
      return attention(a[0], a[1], a[2], s.heads, s.context, s.window);
    };
    std::vector<Output> outputs;
    for (size_t i = 0; i < 3; ++i)
      outputs.push_back({gradient(forward, in, i, dy), true});
    check("attention_grad", s.attributes(/*generic=*/true),
          {{"q", in[0], true}, {"k", in[1], true}, {"v", in[2], true}, {"dy", dy, true}}, outputs, 1e-5);
  }
};

TEST_P(NNAttentionSizes, Forward) { checkForward({3, 16, 4, 8}); }
TEST_P(NNAttentionSizes, ForwardOfOddSizes) { checkForward({2, 13, 3, 5}); }
TEST_P(NNAttentionSizes, ForwardOfSeveralBlocks) { checkForward({2, 150, 2, 16}); }
TEST_P(NNAttentionSizes, ForwardOfOneToken) { checkForward({7, 1, 2, 4}); }
TEST_P(NNAttentionSizes, Grad) { checkGrad({2, 16, 2, 4}); }
TEST_P(NNAttentionSizes, GradOfOddSizes) { checkGrad({2, 13, 3, 5}); }
TEST_P(NNAttentionSizes, GradOfSeveralBlocks) { checkGrad({1, 70, 1, 3}); }
// Heads of the query share those of the keys: two, three, and all of them.
TEST_P(NNAttentionSizes, GroupedQueries) {
  checkForward({2, 16, 4, 8, 2});
  checkForward({2, 13, 6, 5, 2});
  checkForward({1, 9, 3, 4, 1});
}
TEST_P(NNAttentionSizes, GradOfGroupedQueries) {
  checkGrad({2, 8, 4, 4, 2});
  checkGrad({2, 7, 6, 3, 2});
  checkGrad({1, 9, 3, 2, 1});
}
// Windows of one row, within a block, of a block, over several blocks, and of all rows.
TEST_P(NNAttentionSizes, Windows) {
  checkForward({2, 13, 3, 5, 0, 1});
  checkForward({2, 13, 3, 5, 0, 4});
  checkForward({1, 150, 1, 8, 0, 20});
  checkForward({1, 150, 2, 4, 1, 64});
  checkForward({1, 150, 1, 8, 0, 150});
}
TEST_P(NNAttentionSizes, GradOfWindows) {
  checkGrad({2, 13, 2, 3, 0, 1});
  checkGrad({2, 13, 2, 3, 1, 4});
  checkGrad({1, 70, 1, 3, 0, 9});
  checkGrad({1, 70, 1, 3, 0, 65});
}

using NNCachedAttention = CachedAttentionTest;

TEST_P(NNCachedAttention, FirstToken) { checkAt(1, 0, 24, 2, 8); }
TEST_P(NNCachedAttention, LaterToken) { checkAt(1, 13, 24, 3, 20); }
TEST_P(NNCachedAttention, WrappedToken) { checkAt(1, 61, 24, 2, 8); }
TEST_P(NNCachedAttention, Prompt) { checkAt(20, 0, 24, 2, 8); }
TEST_P(NNCachedAttention, PromptAfterOthers) { checkAt(90, 60, 150, 2, 20); }
// Enough for heads on threads of their own.
TEST_P(NNCachedAttention, LargeCache) { checkAt(1, 300, 512, 4, 16); }
TEST_P(NNCachedAttention, PromptIntoLargeCache) { checkAt(90, 60, 1024, 2, 20); }
TEST_P(NNCachedAttention, GroupedQueries) {
  checkAt(1, 13, 24, 6, 20, {.keyHeads = 2});
  checkAt(20, 2, 24, 3, 8, {.keyHeads = 1});
  checkAt(1, 300, 512, 8, 16, {.keyHeads = 2});
}
// Within the rows so far, as long as they are, and around the ring's end: the last row is followed by row 0.
TEST_P(NNCachedAttention, Window) {
  checkAt(1, 3, 24, 2, 8, {.window = 5});
  checkAt(1, 13, 24, 2, 8, {.window = 5});
  checkAt(1, 50, 24, 3, 20, {.window = 7});
  checkAt(1, 50, 24, 2, 8, {.window = 24});
}
TEST_P(NNCachedAttention, PromptOfWindow) {
  checkAt(20, 2, 24, 2, 8, {.window = 5});
  checkAt(90, 60, 150, 4, 20, {.keyHeads = 2, .window = 33});
}

INSTANTIATE_NN_OPS(NNAttention);
INSTANTIATE_NN_OPS(NNCachedAttention);
INSTANTIATE_NN_OPS(NNAttentionSizes);

} // namespace
} // namespace peer::numerics
