// Dense updates and sums of squares on GPUs: one and many blocks, whole vectors and what is left.
#include "RoutingOpTest.h"

#include <cmath>

namespace peer::numerics {
namespace {

using namespace reference;

struct GpuUpdate : RoutingOpTest {
  void checkUpdate(std::vector<int64_t> shape, const std::string &element = "f32", const std::string &states = "f32") {
    auto scalar = [](double value) {
      Array array(std::vector<int64_t>{});
      array.values = {static_cast<float>(value)};
      return array;
    };
    Input param{"p", random(shape, 1), false, element}, grad{"g", random(shape, 2)},
        m{"m", random(shape, 3), false, states}, v{"v", random(shape, 4, 0, 1), false, states};
    if (element == "bf16")
      param.array = roundToBF16(param.array);
    if (states == "bf16")
      m.array = roundToBF16(m.array), v.array = roundToBF16(v.array);
    double tolerance = states == "bf16" ? 8e-3 : 4e-6;
    Array p = param.array, newM = m.array, newV = v.array;
    adamw({static_cast<float>(0.01), 0.9, 0.95, 1e-8, 0.1}, 3, 0.25, p, grad.array, newM, newV);
    std::string types = type(grad) + ", tensor<f32>, tensor<f32>, tensor<f32>, " + type(m) + ", " + type(v);
    check({param, grad, {"rate", scalar(0.01)}, {"step", scalar(3)}, {"scale", scalar(0.25)}, m, v},
          "  %p_new, %m_new, %v_new = peer.update %p, %g, %rate, %step, %scale, %m, %v {optimizer = "
          "#peer.adamw<weight_decay = 0.1, states = " +
              states + ">} : " + type(param) + ", " + types,
          {{"%p_new", p, false, element, element == "bf16" ? 8e-3 : 4e-6},
           {"%m_new", newM, false, states, tolerance},
           {"%v_new", newV, false, states, tolerance}});
  }

  void checkSquares(std::vector<int64_t> shape, double scale = 1) {
    Input x{"x", random(shape, 1), true};
    Array sum(std::vector<int64_t>{});
    sum.values = {0};
    for (double &value : x.array.values) {
      value = static_cast<float>(value * scale);
      sum.values[0] += value * value;
    }
    check({x}, "  %s = peer.sum_squares %x : " + type(x), {{"%s", sum, false, "f32", 2e-7}});
  }
};

TEST_P(GpuUpdate, OneElement) { checkUpdate({1}); }
TEST_P(GpuUpdate, NoWholeVector) { checkUpdate({3}); }
TEST_P(GpuUpdate, SeveralBlocksAndARest) { checkUpdate({4099, 3}); }
TEST_P(GpuUpdate, SeveralBlocksOfBF16) { checkUpdate({41, 257}, "bf16"); }

TEST_P(GpuUpdate, NarrowStates) {
  checkUpdate({41, 257}, "f32", "bf16");
  checkUpdate({3}, "bf16", "bf16");
}

TEST_P(GpuUpdate, SquaresOfOneBlock) {
  for (int64_t size : {1, 5, 1024, 1027})
    checkSquares({size});
}
TEST_P(GpuUpdate, SquaresOfSeveralBlocks) { checkSquares({137, 129}); }
// Squares that f32 would lose beside the first.
TEST_P(GpuUpdate, SquaresInDoublePrecision) {
  Input x{"x", Array({40000}), true};
  for (double &value : x.array.values)
    value = 1;
  x.array.values[0] = 1 << 14;
  Array sum(std::vector<int64_t>{});
  sum.values = {static_cast<float>((1 << 28) + 39999)};
  check({x}, "  %s = peer.sum_squares %x : " + type(x), {{"%s", sum, false, "f32", 1e-7}});
}
TEST_P(GpuUpdate, SquaresOfNotANumber) {
  Input x{"x", Array({20000}), true};
  x.array.values[19999] = NAN;
  Array sum(std::vector<int64_t>{});
  sum.values = {NAN};
  check({x}, "  %s = peer.sum_squares %x : " + type(x), {{"%s", sum}});
}

INSTANTIATE_TEST_SUITE_P(, GpuUpdate, ::testing::Combine(::testing::Values(Code::Gpu), ::testing::Bool()),
                         [](const auto &info) { return codeName(std::get<0>(info.param), std::get<1>(info.param)); });

} // namespace
} // namespace peer::numerics
