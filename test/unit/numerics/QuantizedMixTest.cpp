// quantized_mix every way it is compiled, against the mix of scaled rows in double precision.
#include "RoutingOpTest.h"

#include <cmath>

namespace peer::numerics {
namespace {

using namespace reference;

/// -128 to 127, the ends included.
Array randomBytes(std::vector<int64_t> shape, uint64_t seed) {
  Array bytes = random(std::move(shape), seed, -128, 128);
  for (double &value : bytes.values)
    value = std::floor(value);
  bytes.values.front() = -128;
  bytes.values.back() = 127;
  return bytes;
}

Array scaled(Array pool, const Array &scales) {
  auto width = static_cast<size_t>(pool.shape[2]);
  for (size_t i = 0; i < pool.values.size(); ++i)
    pool.values[i] *= scales.values[i / width];
  return pool;
}

struct QuantizedMix : RoutingOpTest {
  void checkMix(int64_t tokens, int64_t width, int64_t vectors, int64_t rows, const std::string &activation,
                int64_t experts = 37) {
    Activation kind = activation == "gelu"   ? Activation::Gelu
                      : activation == "silu" ? Activation::Silu
                                             : Activation::Relu;
    Input x{"x", random({tokens, width}, 1), true}, idx{"idx", randomExperts({tokens, 2, 5}, experts, 2), true, "i32"},
        w{"w", random({tokens, 2, 5}, 3), true},
        pool{"pool", randomBytes({experts * rows, vectors, width}, 4), false, "i8"},
        scales{"scales", random({experts * rows, vectors}, 5, 0.2 / 127, 1.0 / 127)};
    Array expected = mix(x.array, idx.array, w.array, scaled(pool.array, scales.array), kind, rows);
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

TEST_P(QuantizedMix, IgnoresWhatNobodySelected) {
  // The scales of row 0 are not numbers; an index of -1 must not touch them, not even with a factor of 0.
  Input x{"x", random({2, 20}, 1), true}, idx{"idx", Array({2, 1, 3}), true, "i32"}, w{"w", random({2, 1, 3}, 3), true},
      pool{"pool", randomBytes({4, 2, 20}, 4), false, "i8"}, scales{"scales", random({4, 2}, 5, 0.001, 0.01)};
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
      pool{"pool", randomBytes({3, 2, 24}, 4), false, "i8"}, scales{"scales", Array({3, 2})};
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
