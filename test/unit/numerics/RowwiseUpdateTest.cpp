// Optimizers with one number for a row or a column: steps of whole parameters and of rows of pools, against double precision.
#include "RoutingOpTest.h"

#include <algorithm>
#include <cmath>

namespace peer::numerics {
namespace {

using namespace reference;

constexpr double kRate = 0.01;

Array scalar(double value) {
  Array array(std::vector<int64_t>{});
  array.values = {static_cast<float>(value)};
  return array;
}

struct RowwiseUpdate : RoutingOpTest {
  double scale = 0.5, tolerance = 4e-6;
  /// No first moment, or one of bf16.
  bool gradient = false, narrow = false;

  /// A step of `optimizer` by this op; `states` are in order, `expect` makes of them and the parameter what they become.
  template <typename Expect>
  void checkStep(const std::string &optimizer, double step, Input param, std::vector<Input> states,
                 std::vector<Input> inputs, const std::string &before, const std::string &op, const std::string &types,
                 Expect expect) {
    if (param.element == "bf16")
      param.array = roundToBF16(param.array);
    double rate = static_cast<float>(kRate);
    inputs.insert(inputs.end(), {param, {"rate", scalar(rate)}, {"step", scalar(step)}, {"scale", scalar(scale)}});
    std::string names, stateTypes, results = "%p_new";
    for (const Input &state : states) {
      inputs.push_back(state);
      names += ", %" + state.name;
      stateTypes += ", " + type(state);
      results += ", %" + state.name + "_new";
    }
    Array updated = param.array;
    std::vector<Array> after;
    for (const Input &state : states)
      after.push_back(state.array);
    if (!std::isnan(scale))
      expect(rate, updated, after);
    std::vector<Result> expected{{"%p_new", updated, false, param.element, param.element == "bf16" ? 8e-3 : tolerance}};
    for (size_t i = 0; i < states.size(); ++i)
      expected.push_back({"%" + states[i].name + "_new", after[i], false, states[i].element,
                          states[i].element == "bf16" ? 8e-3 : tolerance});
    check(inputs,
          before + "  " + results + " = peer." + op + ", %rate, %step, %scale" + names + " {optimizer = #peer." +
              optimizer + "} : " + types + ", tensor<f32>, tensor<f32>, tensor<f32>" + stateTypes,
          expected);
  }

  /// Both row-wise optimizers.
  void checkRowwise(bool isAdam, double step, const Input &param, const Array &grad, const std::vector<bool> &touched,
                    const std::vector<Input> &inputs, const std::string &before, const std::string &op,
                    const std::string &types) {
    Input v{"v", random({param.array.shape[0]}, 7, 0, 1)}, m{"m", random(param.array.shape, 6)};
    if (narrow)
      m = {"m", roundToBF16(m.array), false, "bf16"};
    if (isAdam && gradient)
      checkStep("rowwise_adam<beta1 = 0, beta2 = 0.999, weight_decay = 0.1>", step, param, {v}, inputs, before, op,
                types, [&](double rate, Array &p, std::vector<Array> &states) {
                  rowwiseAdam({rate, 0, 0.999, 1e-8, 0.1}, step, scale, p, grad, m.array, states[0], touched);
                });
    else if (isAdam)
      checkStep(std::string("rowwise_adam<beta2 = 0.999, weight_decay = 0.1") + (narrow ? ", states = bf16>" : ">"),
                step, param, {m, v}, inputs, before, op, types, [&](double rate, Array &p, std::vector<Array> &states) {
                  rowwiseAdam({rate, 0.9, 0.999, 1e-8, 0.1}, step, scale, p, grad, states[0], states[1], touched);
                });
    else
      checkStep("rowwise_adagrad<weight_decay = 0.1>", step, param, {v}, inputs, before, op, types,
                [&](double rate, Array &p, std::vector<Array> &states) {
                  rowwiseAdagrad(rate, 1e-8, 0.1, scale, p, grad, states[0], touched);
                });
  }

  void checkRows(bool isAdam, double step, int64_t rows, int64_t vectors, int64_t width,
                 const std::string &element = "f32") {
    int64_t tokens = 23, experts = 40;
    Input idx{"idx", randomExperts({tokens, 2, 3}, experts, 1), true, "i32"},
        coef{"coef", random({tokens, 2, 3, rows, vectors}, 2), true}, x{"x", random({tokens, width}, 3), true},
        dy{"dy", random({tokens, width}, 4), true},
        pool{"p", random({experts * rows, vectors, width}, 5), false, element};
    Array grad(pool.array.shape);
    std::vector<bool> touched = addRowGradients(idx.array, coef.array, x.array, dy.array, grad);
    std::string sorted = type({tokens * 6}, true, "i32");
    checkRowwise(isAdam, step, pool, grad, touched, {idx, coef, x, dy},
                 "  %o, %s, %c = peer.sort_pairs %idx experts 40 : " + type(idx) + "\n",
                 "row_update %p, %idx, %o, %s, %c, %coef, %x, %dy",
                 type(pool) + ", " + type(idx) + ", " + sorted + ", " + sorted + ", tensor<2xi32>, " + type(coef) +
                     ", " + type(x) + ", " + type(dy));
  }

  void checkDense(bool isAdam, double step, std::vector<int64_t> shape, const std::string &element = "f32") {
    Input param{"p", random(shape, 1), false, element}, grad{"g", random(shape, 2)};
    checkRowwise(isAdam, step, param, grad.array, {}, {grad}, "", "update %p, %g", type(param) + ", " + type(grad));
  }

  void checkAdafactor(double step, std::vector<int64_t> shape, double threshold = 1,
                      const std::string &element = "f32") {
    tolerance = 1e-5;
    Input param{"p", random(shape, 1), false, element}, grad{"g", random(shape, 2)};
    std::vector<Input> states{{"v", random(shape, 3, 0, 1)}};
    if (shape.size() > 1)
      states = {{"r", random({shape.begin(), shape.end() - 1}, 3, 0, 1)}, {"c", random({shape.back()}, 4, 0, 1)}};
    checkStep("adafactor<weight_decay = 0.1, clip_threshold = " + std::to_string(threshold) + ">", step, param, states,
              {grad}, "", "update %p, %g", type(param) + ", " + type(grad),
              [&](double rate, Array &p, std::vector<Array> &moments) {
                adafactor({rate, 0.8, 1e-30, threshold, 0.1}, step, scale, p, grad.array, moments);
              });
  }
};

TEST_P(RowwiseUpdate, RowsByAdam) { checkRows(true, 1, 1, 2, 40); }
TEST_P(RowwiseUpdate, NarrowRowsByAdamLater) { checkRows(true, 123457, 1, 2, 5); }
TEST_P(RowwiseUpdate, RowsOfExpertsByAdam) { checkRows(true, 3, 3, 3, 17); }
// On GPUs several warps have a slice of each row.
TEST_P(RowwiseUpdate, WideRowsByAdam) { checkRows(true, 7, 1, 2, 300); }
TEST_P(RowwiseUpdate, WideRowsOfExpertsByAdagrad) { checkRows(false, 7, 2, 3, 260); }
TEST_P(RowwiseUpdate, BF16RowsByAdam) { checkRows(true, 7, 1, 2, 48, "bf16"); }
TEST_P(RowwiseUpdate, ByAdamWithoutFirstMoment) {
  gradient = true;
  checkRows(true, 7, 1, 2, 48);
  checkDense(true, 3, {9, 30});
}
TEST_P(RowwiseUpdate, ByAdamOfNarrowStates) {
  narrow = true;
  checkRows(true, 7, 1, 2, 48);
  checkDense(true, 3, {9, 30});
}
TEST_P(RowwiseUpdate, RowsByAdagrad) { checkRows(false, 3, 1, 1, 33); }
TEST_P(RowwiseUpdate, DenseByAdam) {
  checkDense(true, 3, {7, 11});
  checkDense(true, 3, {5, 3, 4});
}
TEST_P(RowwiseUpdate, ManyRowsByAdam) { checkDense(true, 9, {129, 300}); }
TEST_P(RowwiseUpdate, DenseByAdagrad) { checkDense(false, 3, {400, 8}); }
TEST_P(RowwiseUpdate, VectorByAdagrad) { checkDense(false, 3, {33}); }
TEST_P(RowwiseUpdate, DenseBF16ByAdagrad) { checkDense(false, 3, {20, 20}, "bf16"); }

TEST_P(RowwiseUpdate, MatrixByAdafactor) {
  checkAdafactor(1, {7, 11});
  checkAdafactor(3, {200, 3});
}
TEST_P(RowwiseUpdate, LargeMatrixByAdafactor) { checkAdafactor(7, {129, 300}); }
TEST_P(RowwiseUpdate, BoundedMatrixByAdafactor) { checkAdafactor(5, {70, 36}, 0.125); }
TEST_P(RowwiseUpdate, ThreeDimensionsByAdafactor) { checkAdafactor(2, {5, 3, 4}); }
TEST_P(RowwiseUpdate, VectorByAdafactor) {
  checkAdafactor(3, {33});
  checkAdafactor(3, {1000}, 0.125);
}
TEST_P(RowwiseUpdate, BF16MatrixByAdafactor) { checkAdafactor(3, {20, 20}, 1, "bf16"); }

TEST_P(RowwiseUpdate, Vetoed) {
  scale = NAN;
  checkRows(true, 3, 1, 2, 40);
  checkRows(false, 3, 1, 2, 300);
  checkDense(true, 3, {9, 30});
  checkAdafactor(3, {9, 30});
  checkAdafactor(3, {33});
}

INSTANTIATE_ROUTING_OPS(RowwiseUpdate);

} // namespace
} // namespace peer::numerics
