#include "RoutingOpTest.h"

#include <omp.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

namespace peer::numerics {
namespace {

using namespace reference;

Array scalar(double value) {
  Array array(std::vector<int64_t>{});
  array.values = {static_cast<float>(value)};
  return array;
}

struct RoutingUpdate : RoutingOpTest {
  /// sort_pairs, and row_update of a pool by coefficients as mix_grad gives them.
  void checkRows(const std::string &optimizer, double step, int64_t rows, int64_t vectors, int64_t width,
                 const std::string &element = "f32") {
    int64_t tokens = 23, experts = 40;
    Input idx{"idx", randomExperts({tokens, 2, 3}, experts, 1), true, "i32"},
        coef{"coef", random({tokens, 2, 3, rows, vectors}, 2), true}, x{"x", random({tokens, width}, 3), true},
        dy{"dy", random({tokens, width}, 4), true},
        pool{"pool", random({experts * rows, vectors, width}, 5), false, element}, m{"m", random(pool.array.shape, 6)},
        v{"v", random(pool.array.shape, 7, 0, 1)};
    if (element == "bf16")
      pool.array = roundToBF16(pool.array);
    Array grad(pool.array.shape);
    std::vector<bool> touched = addRowGradients(idx.array, coef.array, x.array, dy.array, grad);
    checkUpdated(optimizer, step, pool, grad, m, v, touched, {idx, coef, x, dy},
                 "  %o, %s, %c = peer.sort_pairs %idx experts 40 : " + type(idx) + "\n",
                 "row_update %pool, %idx, %o, %s, %c, %coef, %x, %dy",
                 type(pool) + ", " + type(idx) + ", " + type({tokens * 6}, true, "i32") + ", " +
                     type({tokens * 6}, true, "i32") + ", tensor<2xi32>, " + type(coef) + ", " + type(x) + ", " +
                     type(dy));
  }

  void checkDense(const std::string &optimizer, double step, std::vector<int64_t> shape,
                  const std::string &element = "f32") {
    Input param{"pool", random(shape, 1), false, element}, grad{"grad", random(shape, 2)}, m{"m", random(shape, 3)},
        v{"v", random(shape, 4, 0, 1)};
    if (element == "bf16")
      param.array = roundToBF16(param.array);
    checkUpdated(optimizer, step, param, grad.array, m, v, {}, {grad}, "", "update %pool, %grad",
                 type(param) + ", " + type(grad));
  }

  void checkUpdated(const std::string &optimizer, double step, Input param, const Array &grad, Input m, Input v,
                    const std::vector<bool> &touched, std::vector<Input> inputs, const std::string &before,
                    const std::string &op, const std::string &types) {
    auto has = [&](const char *field) { return optimizer.find(field) != std::string::npos; };
    bool isAdam = optimizer.starts_with("adamw"), hasMomentum = has("momentum"), keepsM = !has("beta1 = 0");
    std::string element = has("states = bf16") ? "bf16" : "f32";
    double tolerance = 4e-6;
    if (element == "bf16") {
      m = {"m", roundToBF16(m.array), false, element}, v = {"v", roundToBF16(v.array), false, element};
      tolerance = 8e-3;
    }
    inputs.insert(inputs.end(), {param, {"rate", scalar(0.01)}, {"step", scalar(step)}, {"scale", scalar(scale)}});
    std::string states, stateTypes, results = "%p";
    auto addState = [&](const Input &state) {
      inputs.push_back(state);
      states += ", %" + state.name;
      stateTypes += ", " + type(state);
      results += ", %" + state.name + "_new";
    };
    if (keepsM && (isAdam || hasMomentum))
      addState(m);
    if (isAdam)
      addState(v);
    Array p = param.array;
    double rate = static_cast<float>(0.01);
    if (std::isnan(scale))
      ; // vetoed: all stays
    else if (isAdam)
      adamw({rate, keepsM ? 0.9 : 0, 0.999, 1e-8, 0.1}, step, scale, p, grad, m.array, v.array, touched);
    else
      sgd(rate, hasMomentum ? 0.9 : 0, 0.1, scale, p, grad, m.array, touched);
    std::vector<Result> expected{{"%p", p, false, param.element, param.element == "bf16" ? 8e-3 : 4e-6}};
    if (keepsM && (isAdam || hasMomentum))
      expected.push_back({"%m_new", m.array, false, element, tolerance});
    if (isAdam)
      expected.push_back({"%v_new", v.array, false, element, tolerance});
    check(inputs,
          before + "  " + results + " = peer." + op + ", %rate, %step, %scale" + states + " {optimizer = #peer." +
              optimizer + "} : " + types + ", tensor<f32>, tensor<f32>, tensor<f32>" + stateTypes,
          expected);
  }

  const std::string adam = "adamw<beta2 = 0.999, weight_decay = 0.1>", plain = "sgd<weight_decay = 0.1>",
                    momentum = "sgd<momentum = 0.9, weight_decay = 0.1>",
                    gradient = "adamw<beta1 = 0, beta2 = 0.999, weight_decay = 0.1>",
                    narrow = "adamw<beta2 = 0.999, weight_decay = 0.1, states = bf16>",
                    nearest = "sgd<momentum = 0.9, weight_decay = 0.1, states = bf16, rounding = nearest>";
  double scale = 0.5;

  /// Which segment comes first is the target's affair: each must be there once, with its pairs in order.
  void checkSort(const std::vector<int64_t> &shape, int64_t experts) {
    Input idx{"idx", randomExperts(shape, experts, 1), true, "i32"};
    std::map<double, std::vector<int32_t>> expected, sorted;
    int32_t total = static_cast<int32_t>(idx.array.values.size()), pairs = 0;
    for (int32_t pair = 0; pair < total; ++pair)
      if (double expert = idx.array.values[pair]; expert >= 0)
        expected[expert].push_back(pair), ++pairs;
    Array unspecified({total}), count({2});
    std::fill(unspecified.values.begin(), unspecified.values.end(), NAN);
    count.values = {static_cast<double>(expected.size()), static_cast<double>(pairs)};
    std::vector<Result> results{{"%c", count, false, "i32"}};
    // The runtime knows one dynamic size, T; the pairs are T * H * K.
    if (!dynamic())
      results.insert(results.end(), {{"%o", unspecified, false, "i32"}, {"%s", unspecified, false, "i32"}});
    auto actual = check(
        {idx}, "  %o, %s, %c = peer.sort_pairs %idx experts " + std::to_string(experts) + " : " + type(idx), results);
    if (dynamic() || HasFailure())
      return;
    auto order = actual.at("o").as<int32_t>(), starts = actual.at("s").as<int32_t>();
    EXPECT_EQ(starts[0], 0);
    for (size_t segment = 0; segment < expected.size(); ++segment) {
      int32_t low = starts[segment], high = segment + 1 < expected.size() ? starts[segment + 1] : pairs;
      ASSERT_TRUE(0 <= low && low < high && high <= pairs) << "segment " << segment;
      ASSERT_LT(order[low], total) << "segment " << segment;
      ASSERT_GE(order[low], 0) << "segment " << segment;
      sorted[idx.array.values[order[low]]].assign(order.begin() + low, order.begin() + high);
    }
    EXPECT_EQ(sorted, expected);
  }
};

TEST_P(RoutingUpdate, RowsByAdamW) { checkRows(adam, 1, 1, 2, 40); }
TEST_P(RoutingUpdate, RowsByAdamWLater) { checkRows(adam, 123457, 1, 2, 5); }
TEST_P(RoutingUpdate, RowsBySGD) { checkRows(plain, 3, 1, 1, 33); }
TEST_P(RoutingUpdate, RowsByMomentum) { checkRows(momentum, 3, 3, 3, 17); }
TEST_P(RoutingUpdate, WideRowsByAdamW) { checkRows(adam, 7, 1, 2, 300); }
TEST_P(RoutingUpdate, BF16RowsByAdamW) { checkRows(adam, 7, 1, 2, 48, "bf16"); }
TEST_P(RoutingUpdate, RowsByGradient) { checkRows(gradient, 7, 1, 2, 40); }
TEST_P(RoutingUpdate, RowsByNarrowStates) {
  checkRows(narrow, 7, 1, 2, 48);
  checkRows(narrow, 7, 3, 3, 17, "bf16");
}
TEST_P(RoutingUpdate, DenseByGradient) { checkDense(gradient, 3, {7, 11}); }
TEST_P(RoutingUpdate, DenseByNarrowStates) {
  checkDense(narrow, 3, {41, 67});
  checkDense(nearest, 3, {20, 20}, "bf16");
}
TEST_P(RoutingUpdate, DenseByAdamW) { checkDense(adam, 1, {7, 11}); }
TEST_P(RoutingUpdate, DenseByAdamWAtEveryStep) {
  for (double step : {2.0, 10.0, 999.0, 1.0e6, 16777215.0})
    checkDense(adam, step, {33});
}
TEST_P(RoutingUpdate, DenseBySGD) { checkDense(plain, 3, {5, 3, 2}); }
TEST_P(RoutingUpdate, DenseByMomentum) { checkDense(momentum, 3, {129, 300}); }
TEST_P(RoutingUpdate, DenseBF16ByAdamW) { checkDense(adam, 3, {20, 20}, "bf16"); }
TEST_P(RoutingUpdate, VetoedRows) {
  scale = NAN;
  checkRows(adam, 3, 1, 2, 40);
  checkRows(momentum, 3, 3, 3, 17);
  checkRows(adam, 3, 1, 2, 48, "bf16");
  checkRows(narrow, 3, 1, 2, 40);
}
TEST_P(RoutingUpdate, VetoedDense) {
  scale = NAN;
  checkDense(adam, 3, {129, 300});
  checkDense(plain, 3, {7, 11});
  checkDense(adam, 3, {20, 20}, "bf16");
}

TEST_P(RoutingUpdate, SumSquares) {
  for (std::vector<int64_t> shape : {std::vector<int64_t>{1}, {5, 7}, {3, 17000}, {131, 300}}) {
    Input x{"x", random(shape, 1), true};
    Array sum = scalar(0);
    for (double value : x.array.values)
      sum.values[0] += value * value;
    check({x}, "  %s = peer.sum_squares %x : " + type(x), {{"%s", sum}});
  }
}

TEST_P(RoutingUpdate, SortPairs) { checkSort({13, 3, 4}, 20); }
TEST_P(RoutingUpdate, SortPairsOfSeveralBlocks) {
  if (code() == Code::Vectors)
    checkSort({700, 3, 4}, 1000);
}
TEST_P(RoutingUpdate, SortPairsOfFewOfManyExperts) {
  if (code() == Code::Vectors)
    checkSort({2, 3, 4}, 70001);
}

TEST_P(RoutingUpdate, NormsAreTheSameAtAnyThreadCount) {
  Input x{"x", random({311, 500}, 1), true};
  Compiled *program = nullptr;
  auto compiled = Compiled::compile(
      "func.func @f(%x: " + type(x) +
          " {peer.name = \"x\"}) -> (tensor<f32> {peer.name = \"s\"}) {\n  %s = peer.sum_squares %x : " + type(x) +
          "\n  return %s : tensor<f32>\n}\n",
      code());
  ASSERT_TRUE(program = compiled.get());
  runtime::TensorMap inputs;
  inputs.emplace("x", toTensor(x.array));
  int threads = omp_get_max_threads();
  std::vector<float> sums;
  for (int count : {1, 2, 3, 7}) {
    omp_set_num_threads(count);
    sums.push_back(program->call("f", inputs).at("s").as<float>()[0]);
  }
  omp_set_num_threads(threads);
  for (float sum : sums)
    EXPECT_EQ(sum, sums[0]);
}

INSTANTIATE_ROUTING_OPS(RoutingUpdate);

} // namespace
} // namespace peer::numerics
