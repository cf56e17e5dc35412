// Tables and states of bf16 are updated by steps that are smaller than what they can hold.
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

constexpr float kLargest = 0x1.fep127f; // of bf16

/// An f32 as element `position` of a bf16 table holds it after step `step`; `place`: among the table and its states, those of bf16.
double rounded(double value, uint32_t position, float step, int place = 0) {
  auto bits = std::bit_cast<uint32_t>(static_cast<float>(value));
  uint32_t chance = hash(position >> 4 ^ hash(std::bit_cast<uint32_t>(step)) ^ (place < 2 ? 0 : 0x9e3779b9u));
  if (std::abs(value) < kLargest)
    bits += (place % 2 == 0 ? chance >> 16 : chance & 0xffffu) ^ (position & 15) << 12;
  return std::bit_cast<float>(bits & 0xffff0000u);
}

Array rounded(Array array, float step, int place) {
  for (size_t i = 0; i < array.values.size(); ++i)
    array.values[i] = rounded(array.values[i], i, step, place);
  return array;
}

Array scalar(double value) {
  Array array(std::vector<int64_t>{});
  array.values = {value};
  return array;
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
    inputs.insert(inputs.end(), {param, {"rate", scalar(kRate)}, {"step", scalar(step)}, {"scale", scalar(1)}});
    check(inputs,
          before + "  %p_new = peer." + op + ", %rate, %step, %scale {optimizer = #peer.sgd<>} : " + types +
              ", tensor<f32>, tensor<f32>, tensor<f32>",
          {{"%p_new", expected, false, "bf16", 0}});
    return {exact, expected};
  }

  /// Both moments of bf16, by an average of two numbers that is exact before it is rounded: each by bits of its own.
  void checkMoments(const Input &param, const Array &grad, const std::vector<bool> &touched, std::vector<Input> inputs,
                    const std::string &before, const std::string &op, const std::string &types) {
    Input m{"m", integers(param.array.shape, 8, -100, 100), false, "bf16"},
        v{"v", integers(param.array.shape, 9, 0, 100), false, "bf16"};
    Array p = param.array, newM = m.array, newV = v.array;
    adamw({kRate, 0.9375, 0.5, 1e-8, 0}, 3, 1, p, grad, newM, newV, touched);
    inputs.insert(inputs.end(), {param, {"rate", scalar(kRate)}, {"step", scalar(3)}, {"scale", scalar(1)}, m, v});
    int first = param.element == "bf16";
    check(
        inputs,
        before + "  %p_new, %m_new, %v_new = peer." + op +
            ", %rate, %step, %scale, %m, %v {optimizer = #peer.adamw<beta1 = 0.9375, beta2 = 0.5, states = bf16>} : " +
            types + ", tensor<f32>, tensor<f32>, tensor<f32>, " + type(m) + ", " + type(v),
        {{"%p_new", p, false, param.element, first ? 8e-3 : 4e-6},
         {"%m_new", rounded(newM, 3, first), false, "bf16", 0},
         {"%v_new", rounded(newV, 3, first + 1), false, "bf16", 0}});
  }

  void checkMoments(const std::string &element) {
    Input param{"p", integers({41, 67}, 1, -100, 100), false, element}, grad{"g", integers({41, 67}, 2, -2000, 2000)};
    checkMoments(param, grad.array, {}, {grad}, "", "update %p, %g", type(param) + ", " + type(grad));
  }

  /// A second moment that moves by less than half of what neighbours are apart: the sum of what rounding adds, in these distances,
  /// by the root of their number.
  double checkSmallSteps(const std::string &rounding) {
    Input param{"p", Array({61, 317})}, grad{"g", integers({61, 317}, 2, 1, 2)}, v = table({61, 317});
    v.name = "v", v.array.values.back() = 1;
    Array p = param.array, m = p, exact = v.array;
    adamw({kRate, 0, 1023.0 / 1024, 1e-8, 0}, 3, 1, p, grad.array, m, exact);
    Array expected = rounding == "nearest" ? v.array : rounded(exact, 3, 0);
    check({param, grad, {"rate", scalar(kRate)}, {"step", scalar(3)}, {"scale", scalar(1)}, v},
          "  %p_new, %v_new = peer.update %p, %g, %rate, %step, %scale, %v {optimizer = #peer.adamw<beta1 = 0, beta2 = "
          "0.9990234375, states = bf16, rounding = " +
              rounding + ">} : " + type(param) + ", " + type(grad) + ", tensor<f32>, tensor<f32>, tensor<f32>, " +
              type(v),
          {{"%p_new", p}, {"%v_new", expected, false, "bf16", 0}});
    double sum = 0;
    for (size_t i = 0; i < exact.values.size(); ++i)
      sum += (expected.values[i] - exact.values[i]) * 128;
    return std::abs(sum) / std::sqrt(exact.values.size());
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

TEST_P(StochasticRounding, Moments) {
  checkMoments("f32");
  checkMoments("bf16");
}

// Rows that begin anywhere in what bits are drawn for.
TEST_P(StochasticRounding, MomentsBesideRows) {
  for (std::vector<int64_t> shape : {std::vector<int64_t>{5, 24}, {3, 2, 9}}) {
    Input param{"p", integers(shape, 1, -100, 100)}, grad{"g", integers(shape, 2, -2000, 2000)},
        m{"m", integers(shape, 8, -100, 100), false, "bf16"}, v{"v", random({shape[0]}, 9, 0, 1)};
    Array p = param.array, newM = m.array, newV = v.array;
    rowwiseAdam({kRate, 0.9375, 0.5, 1e-8, 0}, 3, 1, p, grad.array, newM, newV);
    check({param, grad, {"rate", scalar(kRate)}, {"step", scalar(3)}, {"scale", scalar(1)}, m, v},
          "  %p_new, %m_new, %v_new = peer.update %p, %g, %rate, %step, %scale, %m, %v {optimizer = "
          "#peer.rowwise_adam<beta1 = 0.9375, beta2 = 0.5, states = bf16>} : " +
              type(param) + ", " + type(grad) + ", tensor<f32>, tensor<f32>, tensor<f32>, " + type(m) + ", " + type(v),
          {{"%p_new", p}, {"%m_new", rounded(newM, 3, 0), false, "bf16", 0}, {"%v_new", newV}});
  }
}

// To the nearest all steps are lost, by chance none on average.
TEST_P(StochasticRounding, SmallStepsOfASecondMoment) {
  EXPECT_GT(checkSmallSteps("nearest"), 5);
  EXPECT_LT(checkSmallSteps("stochastic"), 4 * 0.5);
}

// Half of the largest number and a bit more than another half.
TEST_P(StochasticRounding, LargeMomentsStayFinite) {
  Input param{"p", Array({5, 7})}, grad{"g", Array({5, 7})}, m{"m", Array({5, 7}), false, "bf16"};
  for (size_t i = 0; i < m.array.values.size(); ++i) {
    double sign = i % 2 ? -1 : 1;
    m.array.values[i] = sign * kLargest;
    grad.array.values[i] = sign * (kLargest / 2.0 + std::ldexp(i % 4, 118));
  }
  Array p = param.array;
  for (size_t i = 0; i < p.values.size(); ++i)
    p.values[i] -= kRate * (m.array.values[i] / 2 + grad.array.values[i]);
  for (std::string rounding : {"stochastic", "nearest"})
    check(
        {param, grad, {"rate", scalar(kRate)}, {"step", scalar(3)}, {"scale", scalar(1)}, m},
        "  %p_new, %m_new = peer.update %p, %g, %rate, %step, %scale, %m {optimizer = #peer.sgd<momentum = 0.5, states "
        "= bf16, rounding = " +
            rounding + ">} : " + type(param) + ", " + type(grad) + ", tensor<f32>, tensor<f32>, tensor<f32>, " +
            type(m),
        {{"%p_new", p}, {"%m_new", m.array, false, "bf16", 0}});
}

TEST_P(StochasticRounding, Rows) {
  int64_t tokens = 23, experts = 40, vectors = 2, width = 35;
  Input idx{"idx", randomExperts({tokens, 2, 3}, experts, 1), true, "i32"},
      coef{"coef", integers({tokens, 2, 3, 1, vectors}, 2, -3, 3), true},
      x{"x", integers({tokens, width}, 3, -4, 4), true}, dy{"dy", integers({tokens, width}, 4, -4, 4), true},
      pool = table({experts, vectors, width});
  Array grad(pool.array.shape);
  std::vector<bool> touched = addRowGradients(idx.array, coef.array, x.array, dy.array, grad);
  std::string sorted = type({tokens * 6}, true, "i32"),
              before = "  %o, %s, %c = peer.sort_pairs %idx experts 40 : " + type(idx) + "\n",
              op = "row_update %p, %idx, %o, %s, %c, %coef, %x, %dy",
              types = ", " + type(idx) + ", " + sorted + ", " + sorted + ", tensor<2xi32>, " + type(coef) + ", " +
                      type(x) + ", " + type(dy);
  checkStep(pool, grad, {idx, coef, x, dy}, before, op, type(pool) + types, 7);
  Input wide{"p", integers({experts, vectors, width}, 5, -100, 100)};
  checkMoments(wide, grad, touched, {idx, coef, x, dy}, before, op, type(wide) + types);
}

INSTANTIATE_ROUTING_OPS(StochasticRounding);

} // namespace
} // namespace peer::numerics
