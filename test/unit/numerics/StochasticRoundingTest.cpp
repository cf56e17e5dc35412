// Tables of bf16 are updated by steps that are smaller than what they can hold.
#include "RoutingOpTest.h"

#include <bit>
#include <cmath>

namespace peer::numerics {
namespace {

using namespace reference;

constexpr float kRate = 1.0f / 4096;

uint32_t hash(uint32_t x) {
  x = (x ^ x >> 16) * 0x7feb352du;
  x = (x ^ x >> 15) * 0x846ca68bu;
  return x ^ x >> 16;
}

/// An f32 as element `position` of a bf16 table holds it after step `step`.
double rounded(double value, uint32_t position, float step) {
  auto bits = std::bit_cast<uint32_t>(static_cast<float>(value));
  if (std::isfinite(value))
    bits += hash(position ^ hash(std::bit_cast<uint32_t>(step))) >> 16;
  return std::bit_cast<float>(bits & 0xffff0000u);
}

Array integers(std::vector<int64_t> shape, int seed, double low, double high) {
  Array array = random(std::move(shape), seed, low, high);
  for (double &value : array.values)
    value = std::round(value);
  return array;
}

struct StochasticRounding : RoutingOpTest {
  /// A table of bf16 from 1 to 2, where neighbours are 1/128 apart, and an infinity.
  static Input table(std::vector<int64_t> shape) {
    Array array = integers(std::move(shape), 1, 0, 127);
    for (double &value : array.values)
      value = 1 + value / 128;
    array.values.back() = INFINITY;
    return {"p", array, false, "bf16"};
  }

  /// All is a power of two or a small integer, so that the step is exact before it is rounded. Returns what was to be stored
  /// and what is.
  std::pair<Array, Array> checkStep(const Input &param, const Array &grad, std::vector<Input> inputs,
                                    const std::string &before, const std::string &op, const std::string &types,
                                    float step) {
    Array exact = param.array, expected = param.array;
    for (size_t i = 0; i < exact.values.size(); ++i) {
      exact.values[i] -= kRate * grad.values[i];
      expected.values[i] = rounded(exact.values[i], i, step);
    }
    auto scalar = [](double value) {
      Array array(std::vector<int64_t>{});
      array.values = {value};
      return array;
    };
    inputs.insert(inputs.end(), {param, {"rate", scalar(kRate)}, {"step", scalar(step)}, {"scale", scalar(1)}});
    check(inputs,
          before + "  %p_new = peer." + op + ", %rate, %step, %scale {optimizer = #peer.sgd<>} : " + types +
              ", tensor<f32>, tensor<f32>, tensor<f32>",
          {{"%p_new", expected, false, "bf16", 0}});
    return {exact, expected};
  }

  std::pair<Array, Array> checkDense(std::vector<int64_t> shape, float step) {
    Input param = table(shape), grad{"g", integers(shape, 2, -20, 20)};
    return checkStep(param, grad.array, {grad}, "", "update %p, %g", type(param) + ", " + type(grad), step);
  }
};

TEST_P(StochasticRounding, Dense) { checkDense({41, 257}, 3); }
TEST_P(StochasticRounding, DenseLater) { checkDense({7, 3, 5}, 123456); }

// On average what was to be stored, and not the same elements at each step.
TEST_P(StochasticRounding, MeanIsExact) {
  auto [exact, stored] = checkDense({61, 317}, 5);
  Array later = checkDense({61, 317}, 6).second;
  double sum = 0;
  size_t count = exact.values.size() - 1, others = 0;
  for (size_t i = 0; i < count; ++i) {
    sum += (stored.values[i] - exact.values[i]) * 128;
    others += stored.values[i] != later.values[i];
  }
  // A rounding is off by a standard deviation of at most half of what neighbours are apart.
  EXPECT_LT(std::abs(sum), 4 * 0.5 * std::sqrt(count));
  EXPECT_GT(others, count / 10);
}

// A step of a quarter of what neighbours are apart, or less: rounded to the nearest nothing moves, by chance some do.
TEST_P(StochasticRounding, NearestStandsStill) {
  Input param = table({41, 67}), grad{"g", integers({41, 67}, 2, -7, 7)};
  auto scalar = [](double value) {
    Array array(std::vector<int64_t>{});
    array.values = {value};
    return array;
  };
  auto step = [&](const std::string &rounding, const Array &expected) {
    check({param, grad, {"rate", scalar(kRate)}, {"step", scalar(3)}, {"scale", scalar(1)}},
          "  %p_new = peer.update %p, %g, %rate, %step, %scale {optimizer = #peer.sgd<rounding = " + rounding +
              ">} : " + type(param) + ", " + type(grad) + ", tensor<f32>, tensor<f32>, tensor<f32>",
          {{"%p_new", expected, false, "bf16", 0}});
  };
  step("nearest", param.array);
  Array moved = param.array;
  size_t others = 0;
  for (size_t i = 0; i < moved.values.size(); ++i) {
    moved.values[i] = rounded(param.array.values[i] - kRate * grad.array.values[i], i, 3);
    others += moved.values[i] != param.array.values[i];
  }
  EXPECT_GT(others, moved.values.size() / 20);
  step("stochastic", moved);
}

TEST_P(StochasticRounding, Rows) {
  int64_t tokens = 23, experts = 40, vectors = 2, width = 35;
  Input idx{"idx", randomExperts({tokens, 2, 3}, experts, 1), true, "i32"},
      coef{"coef", integers({tokens, 2, 3, 1, vectors}, 2, -3, 3), true},
      x{"x", integers({tokens, width}, 3, -4, 4), true}, dy{"dy", integers({tokens, width}, 4, -4, 4), true},
      pool = table({experts, vectors, width});
  Array grad(pool.array.shape);
  addRowGradients(idx.array, coef.array, x.array, dy.array, grad);
  std::string sorted = type({tokens * 6}, true, "i32");
  checkStep(pool, grad, {idx, coef, x, dy}, "  %o, %s, %c = peer.sort_pairs %idx experts 40 : " + type(idx) + "\n",
            "row_update %p, %idx, %o, %s, %c, %coef, %x, %dy",
            type(pool) + ", " + type(idx) + ", " + sorted + ", " + sorted + ", tensor<2xi32>, " + type(coef) + ", " +
                type(x) + ", " + type(dy),
            7);
}

INSTANTIATE_ROUTING_OPS(StochasticRounding);

} // namespace
} // namespace peer::numerics
