// quantized_mix every way it is compiled, against the mix of scaled rows in double precision.
#include "RoutingOpTest.h"
#include "StoredReference.h"

#include <cmath>

namespace peer::numerics {
namespace {

using namespace reference;

/// Bits of fp8, where int8 and int4 say 8 and 4.
constexpr int kFloat = 0;

struct QuantizedMix : RoutingOpTest {
  static Array numbers(std::vector<int64_t> shape, int bits) {
    return bits == kFloat ? randomFP8(std::move(shape), 4) : randomNumbers(std::move(shape), bits, 4);
  }

  void checkMix(int64_t tokens, int64_t width, int64_t vectors, int64_t rows, const std::string &activation,
                int64_t experts = 37, int bits = 8, int64_t group = 0) {
    Activation kind = activation == "gelu"   ? Activation::Gelu
                      : activation == "silu" ? Activation::Silu
                                             : Activation::Relu;
    Input x{"x", random({tokens, width}, 1), true}, idx{"idx", randomExperts({tokens, 2, 5}, experts, 2), true, "i32"},
        w{"w", random({tokens, 2, 5}, 3), true},
        pool{"pool", numbers({experts * rows, vectors, width}, bits), false, bits == kFloat ? kFP8 : "i8"};
    std::vector<int64_t> scaleShape{experts * rows, vectors};
    if (group)
      scaleShape.push_back(width / group);
    double step = bits == 4 ? 1.0 / 7 : bits == kFloat ? 1.0 / 448 : 1.0 / 127;
    Input scales{"scales", random(scaleShape, 5, 0.2 * step, step)};
    Array expected = mix(x.array, idx.array, w.array, scaled(pool.array, scales.array), kind, rows);
    if (bits == 4)
      pool.array = packed(pool.array);
    check({x, idx, w, pool, scales},
          "  %y = peer.quantized_mix %x, %idx, %w, %pool, %scales " + activation +
              " {rows_per_expert = " + std::to_string(rows) + " : i64} : " + type(x) + ", " + type(idx) + ", " +
              type(w) + ", " + type(pool) + ", " + type(scales),
          {{"%y", expected, true, "f32", rows * width < 1000 ? 1e-5 : 1e-4}});
  }
};

TEST_P(QuantizedMix, Neurons) { checkMix(9, 64, 2, 1, "gelu"); }
TEST_P(QuantizedMix, OddWidth) { checkMix(3, 100, 2, 1, "silu"); }
TEST_P(QuantizedMix, NarrowWidth) { checkMix(1, 5, 2, 1, "relu"); }
TEST_P(QuantizedMix, Values) { checkMix(4, 33, 1, 1, ""); }
TEST_P(QuantizedMix, GatedNeurons) { checkMix(6, 48, 3, 1, "silu"); }
TEST_P(QuantizedMix, ManyRows) { checkMix(4, 40, 3, 3, "gelu"); }
TEST_P(QuantizedMix, ManyValues) { checkMix(4, 17, 1, 3, "gelu"); }
TEST_P(QuantizedMix, WideRows) { checkMix(2, 600, 2, 1, "gelu"); }
TEST_P(QuantizedMix, SeveralChunks) { checkMix(2, 8, 2, 900, "relu", 3); }
TEST_P(QuantizedMix, ChunksOfWideRows) { checkMix(2, 4112, 2, 9, "gelu", 3); }
TEST_P(QuantizedMix, Groups) { checkMix(5, 96, 2, 1, "gelu", 37, 8, 32); }
TEST_P(QuantizedMix, GroupsOfManyRows) { checkMix(40, 64, 3, 17, "silu", 3, 8, 32); }
TEST_P(QuantizedMix, Nibbles) { checkMix(5, 96, 2, 1, "gelu", 37, 4); }
TEST_P(QuantizedMix, NibblesOfGroups) { checkMix(9, 192, 3, 1, "silu", 37, 4, 64); }
TEST_P(QuantizedMix, NibblesOfValues) { checkMix(3, 64, 1, 1, "", 37, 4, 32); }
TEST_P(QuantizedMix, NibblesOfManyRows) { checkMix(40, 64, 2, 17, "relu", 3, 4, 32); }
TEST_P(QuantizedMix, NibblesOfWideRows) { checkMix(2, 1184, 2, 1, "gelu", 5, 4, 32); }

TEST_P(QuantizedMix, FP8) { checkMix(9, 64, 2, 1, "gelu", 37, kFloat); }
TEST_P(QuantizedMix, FP8OfOddWidth) { checkMix(3, 37, 3, 1, "silu", 37, kFloat); }
TEST_P(QuantizedMix, FP8OfWideRows) { checkMix(2, 1184, 2, 1, "gelu", 5, kFloat); }
TEST_P(QuantizedMix, FP8OfGroups) { checkMix(5, 96, 1, 1, "", 37, kFloat, 32); }
TEST_P(QuantizedMix, FP8OfManyRows) { checkMix(40, 64, 3, 17, "silu", 3, kFloat); }

TEST_P(QuantizedMix, IgnoresWhatNobodySelected) {
  // The scales of row 0 are not numbers; an index of -1 must not touch them, not even with a factor of 0.
  Input x{"x", random({2, 20}, 1), true}, idx{"idx", Array({2, 1, 3}), true, "i32"}, w{"w", random({2, 1, 3}, 3), true},
      pool{"pool", randomNumbers({4, 2, 20}, 8, 4), false, "i8"}, scales{"scales", random({4, 2}, 5, 0.001, 0.01)};
  idx.array.values = {-1, 2, -1, -1, -1, -1};
  scales.array.values[0] = NAN;
  scales.array.values[1] = INFINITY;
  Array expected = mix(x.array, idx.array, w.array, scaled(pool.array, scales.array), reference::Activation::Gelu, 1);
  check({x, idx, w, pool, scales},
        "  %y = peer.quantized_mix %x, %idx, %w, %pool, %scales gelu : " + type(x) + ", " + type(idx) + ", " + type(w) +
            ", " + type(pool) + ", " + type(scales),
        {{"%y", expected, true}});
}

TEST_P(QuantizedMix, AScaleOfZeroIsARowOfZeros) {
  Input x{"x", random({2, 24}, 1), true}, idx{"idx", Array({2, 1, 2}), true, "i32"}, w{"w", random({2, 1, 2}, 3), true},
      pool{"pool", randomNumbers({3, 2, 24}, 8, 4), false, "i8"}, scales{"scales", Array({3, 2})};
  idx.array.values = {0, 1, 2, 2};
  scales.array.values = {0, 0.01, 0.01, 0, 0.01, 0.01};
  Array expected = mix(x.array, idx.array, w.array, scaled(pool.array, scales.array), reference::Activation::Silu, 1);
  check({x, idx, w, pool, scales},
        "  %y = peer.quantized_mix %x, %idx, %w, %pool, %scales silu : " + type(x) + ", " + type(idx) + ", " + type(w) +
            ", " + type(pool) + ", " + type(scales),
        {{"%y", expected, true}});
}

INSTANTIATE_ROUTING_OPS(QuantizedMix);

} // namespace
} // namespace peer::numerics
