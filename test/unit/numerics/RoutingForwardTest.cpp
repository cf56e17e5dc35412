#include "RoutingOpTest.h"

#include <cmath>

namespace peer::numerics {
namespace {

using namespace reference;

struct RoutingForward : RoutingOpTest {
  void checkScore(int64_t tokens, int64_t heads, int64_t keyHeads, int64_t halves, int64_t n, int64_t d,
                  const std::string &element = "f32") {
    Input q{"q", random({tokens, heads, halves, d}, 1), true},
        keys{"keys", random({keyHeads, halves, n, d}, 2), false, element};
    if (element == "bf16")
      keys.array = roundToBF16(keys.array);
    check({q, keys}, "  %s = peer.score %q, %keys : " + type(q) + ", " + type(keys),
          {{"%s", score(q.array, keys.array), true}});
  }

  void checkMix(int64_t tokens, int64_t width, int64_t vectors, int64_t rows, const std::string &activation,
                const std::string &element = "f32", int64_t experts = 37) {
    Activation kind = activation == "gelu"   ? Activation::Gelu
                      : activation == "silu" ? Activation::Silu
                                             : Activation::Relu;
    Input x{"x", random({tokens, width}, 1), true}, idx{"idx", randomExperts({tokens, 2, 5}, experts, 2), true, "i32"},
        w{"w", random({tokens, 2, 5}, 3), true},
        pool{"pool", random({experts * rows, vectors, width}, 4), false, element};
    if (element == "bf16")
      pool.array = roundToBF16(pool.array);
    check({x, idx, w, pool},
          "  %y = peer.mix %x, %idx, %w, %pool " + activation + " {rows_per_expert = " + std::to_string(rows) +
              " : i64} : " + type(x) + ", " + type(idx) + ", " + type(w) + ", " + type(pool),
          {{"%y", mix(x.array, idx.array, w.array, pool.array, kind, rows), true, "f32",
            rows * width < 1000 ? 1e-5 : 6e-5}});
  }

  void checkGate(const std::string &name, Gate kind, int64_t selected) {
    Input val{"val", random({5, 3, selected}, 1, -9, 9), true};
    for (int64_t k = 0; k < selected; ++k)
      el(val.array, {1, 1, k}) = -INFINITY;
    el(val.array, {2, 0, 0}) = -INFINITY;
    check({val}, "  %w = peer.gate %val " + name + " : " + type(val), {{"%w", gate(val.array, kind), true}});
  }
};

TEST_P(RoutingForward, ScoreOfProductKeys) { checkScore(33, 3, 3, 2, 50, 16); }
TEST_P(RoutingForward, ScoreOfSharedKeys) { checkScore(7, 3, 1, 2, 17, 5); }
TEST_P(RoutingForward, ScoreOfOneToken) { checkScore(1, 2, 2, 1, 64, 33); }
TEST_P(RoutingForward, ScoreOfBF16Keys) { checkScore(9, 2, 1, 2, 21, 37, "bf16"); }

TEST_P(RoutingForward, GateSoftmax) { checkGate("softmax", Gate::Softmax, 16); }
TEST_P(RoutingForward, GateSoftmaxOfOddCount) { checkGate("softmax", Gate::Softmax, 37); }
TEST_P(RoutingForward, GateSoftmaxOfOne) { checkGate("softmax", Gate::Softmax, 1); }
TEST_P(RoutingForward, GateSigmoid) { checkGate("sigmoid", Gate::Sigmoid, 5); }
TEST_P(RoutingForward, GateRelu) { checkGate("relu", Gate::Relu, 5); }
TEST_P(RoutingForward, GateOne) { checkGate("one", Gate::One, 5); }

TEST_P(RoutingForward, MixOfNeurons) { checkMix(9, 64, 2, 1, "gelu"); }
TEST_P(RoutingForward, MixOfOddWidth) { checkMix(3, 100, 2, 1, "silu"); }
TEST_P(RoutingForward, MixOfNarrowWidth) { checkMix(1, 5, 2, 1, "relu"); }
TEST_P(RoutingForward, MixOfValues) { checkMix(4, 33, 1, 1, ""); }
TEST_P(RoutingForward, MixOfGatedNeurons) { checkMix(6, 48, 3, 1, "silu"); }
TEST_P(RoutingForward, MixOfManyRows) { checkMix(4, 40, 3, 3, "gelu"); }
TEST_P(RoutingForward, MixOfManyValues) { checkMix(4, 17, 1, 3, "gelu"); }
TEST_P(RoutingForward, MixOfWideRows) { checkMix(2, 300, 2, 1, "gelu"); }
TEST_P(RoutingForward, MixOfSeveralChunks) { checkMix(2, 8, 2, 700, "relu", "f32", 3); }
TEST_P(RoutingForward, MixOfChunksOfWideRows) { checkMix(2, 4100, 2, 3, "gelu", "f32", 3); }
TEST_P(RoutingForward, MixOfBF16Rows) { checkMix(5, 72, 2, 1, "gelu", "bf16"); }

TEST_P(RoutingForward, MixIgnoresWhatNobodySelected) {
  // Row 0 holds not-a-number; an index of -1 must not touch it, not even with a factor of 0.
  Input x{"x", random({2, 20}, 1), true}, idx{"idx", Array({2, 1, 3}), true, "i32"}, w{"w", random({2, 1, 3}, 3), true},
      pool{"pool", random({4, 2, 20}, 4)};
  idx.array.values = {-1, 2, -1, -1, -1, -1};
  for (int64_t i = 0; i < 40; ++i)
    pool.array.values[i] = NAN;
  Array expected = mix(x.array, idx.array, w.array, pool.array, Activation::Gelu, 1);
  check({x, idx, w, pool},
        "  %y = peer.mix %x, %idx, %w, %pool gelu : " + type(x) + ", " + type(idx) + ", " + type(w) + ", " + type(pool),
        {{"%y", expected, true}});
}

TEST_P(RoutingForward, Usage) {
  for (std::string element : {"f32", "f64"}) {
    Input idx{"idx", randomExperts({11, 2, 3}, 9, 1), true, "i32"}, w{"w", random({11, 2, 3}, 2), true},
        mass{"mass", random({9}, 3), false, element};
    check({idx, w, mass}, "  %m = peer.usage %idx, %w, %mass : " + type(idx) + ", " + type(w) + ", " + type(mass),
          {{"%m", usage(idx.array, w.array, mass.array), false, element}});
  }
}

// f64 counts every token; f32 rounds the sum of a call, not each of its terms away.
TEST_P(RoutingForward, UsageBeyondWhatF32Counts) {
  for (std::string element : {"f32", "f64"}) {
    Input idx{"idx", Array({5, 1, 1}), true, "i32"}, w{"w", Array({5, 1, 1}), true},
        mass{"mass", Array({3}), false, element};
    idx.array.values = {1, 1, 1, 1, 1};
    w.array.values = {1, 1, 1, 1, 1};
    mass.array.values = {0, 0x1p24, 7};
    Array expected({3});
    expected.values = {0, 0x1p24 + (element == "f64" ? 5 : 4), 7};
    check({idx, w, mass}, "  %m = peer.usage %idx, %w, %mass : " + type(idx) + ", " + type(w) + ", " + type(mass),
          {{"%m", expected, false, element, 1e-12}});
  }
}

// A dot that overflows gives an activation of 0 or of infinity, and no product of the two.
TEST_P(RoutingForward, MixOfInfiniteDots) {
  for (std::string kind : {"gelu", "silu", "relu"})
    for (double sign : {-1.0, 1.0}) {
      Input x{"x", Array({2, 40}), true}, idx{"idx", Array({2, 1, 2}), true, "i32"}, w{"w", Array({2, 1, 2}), true},
          pool{"pool", Array({3, 2, 40})};
      x.array.values.assign(80, 1e25);
      idx.array.values = {0, 2, 2, 0};
      w.array.values = {1, 1, 1, 1};
      for (size_t i = 0; i < 240; ++i)
        pool.array.values[i] = i / 40 % 2 == 0 ? sign * 1e25 : 0.5;
      Array expected({2, 40});
      expected.values.assign(80, sign < 0 ? 0 : INFINITY);
      check({x, idx, w, pool},
            "  %y = peer.mix %x, %idx, %w, %pool " + kind + " : " + type(x) + ", " + type(idx) + ", " + type(w) + ", " +
                type(pool),
            {{"%y", expected, true}});
    }
}

INSTANTIATE_ROUTING_OPS(RoutingForward);

} // namespace
} // namespace peer::numerics
