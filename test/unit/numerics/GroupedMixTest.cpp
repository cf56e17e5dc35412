// Experts of many rows, taken one after the other: products of the pairs that chose each, beside the walk over tokens.
#include "MixOpTest.h"

#include <cmath>

namespace peer::numerics {
namespace {

using namespace reference;
using runtime::TensorMap;

/// What a mix gives, and its gradient, by token and by expert.
static void compareForms(const TensorMap &tokens, const TensorMap &grouped) {
  for (auto &[name, tensor] : tokens) {
    auto a = tensor.as<float>(), b = grouped.at(name).as<float>();
    double largest = 0, difference = 0;
    for (size_t i = 0; i < a.size(); ++i) {
      largest = std::max(largest, std::abs(double(a[i])));
      difference = std::max(difference, std::abs(double(a[i]) - double(b[i])));
    }
    EXPECT_LE(difference, 2e-6 * largest) << name;
    // Another order of sums: else one form would be compared with itself.
    EXPECT_GT(difference, 0) << name;
  }
}

class GroupedMix : public MixOp, public ::testing::WithParamInterface<const char *> {
protected:
  void open(MixLayer of, const std::string &form = "grouped") {
    of.element = GetParam();
    of.code = Code::Vectors;
    of.flags = "--mix=" + form;
    MixOp::open(of);
  }
};
INSTANTIATE_TEST_SUITE_P(, GroupedMix, ::testing::Values("f32", "bf16", "i8"),
                         [](const auto &info) { return info.param; });

TEST_P(GroupedMix, Neurons) {
  // Tiles of 64 tokens, the last one of one.
  open({.heads = 2, .selected = 3, .width = 40, .rows = 20});
  for (int64_t tokens : {0, 1, 2, 65})
    check(tokens, 3e-5);
}

TEST_P(GroupedMix, GatedNeuronsInPanels) {
  // Panels of 128 rows and one more; segments of more than 128 pairs.
  open({.heads = 1, .selected = 4, .width = 33, .vectors = 3, .rows = 129, .activation = "silu", .experts = 2});
  for (int64_t tokens : {3, 70})
    check(tokens, 2e-4);
}

TEST_P(GroupedMix, Values) {
  open({.heads = 1, .selected = 3, .width = 17, .vectors = 1, .rows = 256, .experts = 3});
  check(9, 1e-4);
}

TEST_P(GroupedMix, OneRow) {
  open({.heads = 2, .selected = 2, .width = 5, .activation = "relu"});
  check(7);
}

TEST_P(GroupedMix, NothingSelected) {
  open({.heads = 2, .selected = 3, .width = 24, .rows = 16});
  checkNothingSelected(5);
}

TEST_P(GroupedMix, AllOnOneExpertThatSomeChooseTwice) {
  open({.heads = 1, .selected = 3, .width = 16, .rows = 18, .experts = 64});
  Array idx({90, 1, 3});
  for (size_t i = 0; i < idx.values.size(); ++i)
    idx.values[i] = i % 7 == 0 ? -1 : 63;
  check(random({90, 16}, 1), idx, random(idx.shape, 3), random({90, 16}, 5), 5e-5);
}

TEST_P(GroupedMix, SameOnEveryRun) {
  open({.heads = 2, .selected = 4, .width = 48, .rows = 32});
  checkSameTwice(130);
}

TEST_P(GroupedMix, ByTheRule) {
  // Few pairs for an expert, then many.
  open({.heads = 1, .selected = 2, .width = 24, .rows = 16, .experts = 5}, "auto");
  for (int64_t tokens : {1, 3, 40})
    check(tokens, 3e-5);
}

TEST_P(GroupedMix, BothFormsAgree) {
  auto call = [&](const std::string &form) {
    open({.heads = 1, .selected = 4, .width = 64, .rows = 64}, form);
    return MixOp::call(random({50, 64}, 1), randomExperts({50, 1, 4}, 9, 2), random({50, 1, 4}, 3),
                       random({50, 64}, 5));
  };
  TensorMap tokens = call("tokens"), grouped = call("grouped");
  EXPECT_EQ(tokens.size(), quantized() ? 1u : 4u);
  compareForms(tokens, grouped);
}

/// On the simulated GPU.
class GroupedGpuMix : public MixOp, public ::testing::WithParamInterface<const char *> {
protected:
  void open(MixLayer of, const std::string &form = "grouped") {
    of.element = GetParam();
    of.flags = "--mix=" + form;
    MixOp::open(of);
  }
};
INSTANTIATE_TEST_SUITE_P(, GroupedGpuMix, ::testing::Values("f32", "bf16", "i8"),
                         [](const auto &info) { return info.param; });

TEST_P(GroupedGpuMix, Neurons) {
  // Segments of more and of less than 64 pairs; widths beside what one access takes.
  open({.heads = 2, .selected = 3, .width = 20, .rows = 24});
  for (int64_t tokens : {0, 1, 2, 130})
    check(tokens, 3e-5);
}

TEST_P(GroupedGpuMix, GatedNeuronsOfOddSizes) {
  open({.heads = 1, .selected = 4, .width = 33, .vectors = 3, .rows = 67, .activation = "silu", .experts = 2});
  check(40, 1e-4);
}

TEST_P(GroupedGpuMix, NothingSelected) {
  open({.heads = 2, .selected = 3, .width = 24, .rows = 16});
  checkNothingSelected(5);
}

TEST_P(GroupedGpuMix, AllOnOneExpertThatSomeChooseTwice) {
  open({.heads = 1, .selected = 3, .width = 16, .rows = 16, .experts = 64});
  Array idx({50, 1, 3});
  for (size_t i = 0; i < idx.values.size(); ++i)
    idx.values[i] = i % 7 == 0 ? -1 : 63;
  check(random({50, 16}, 1), idx, random(idx.shape, 3), random({50, 16}, 5), 5e-5);
}

TEST_P(GroupedGpuMix, MorePairsThanOneBlockGroups) {
  open({.heads = 1, .selected = 8, .width = 4, .rows = 16, .experts = 70});
  check(520, 3e-5);
}

TEST_P(GroupedGpuMix, ByTheRule) {
  open({.heads = 1, .selected = 2, .width = 24, .rows = 16, .experts = 5}, "auto");
  for (int64_t tokens : {1, 3, 40})
    check(tokens, 3e-5);
}

TEST_P(GroupedGpuMix, SameOnEveryRun) {
  open({.heads = 2, .selected = 4, .width = 16, .rows = 16});
  checkSameTwice(30);
}

TEST_P(GroupedGpuMix, BothFormsAgree) {
  auto call = [&](const std::string &form) {
    open({.heads = 1, .selected = 4, .width = 40, .rows = 20}, form);
    return MixOp::call(random({50, 40}, 1), randomExperts({50, 1, 4}, 9, 2), random({50, 1, 4}, 3),
                       random({50, 40}, 5));
  };
  TensorMap tokens = call("tokens"), grouped = call("grouped");
  EXPECT_EQ(tokens.size(), quantized() ? 1u : 4u);
  compareForms(tokens, grouped);
}

/// The pool's gradient and steps by it, from coefficients as mix_grad gives them.
struct GroupedPool : RoutingOpTest {
  void checkRows(int64_t tokens, int64_t rows, int64_t vectors, int64_t width, int64_t experts,
                 const std::string &element = "f32", const std::string &form = "grouped") {
    flags = "--mix=" + form;
    Input idx{"idx", randomExperts({tokens, 2, 3}, experts, 1), true, "i32"},
        coef{"coef", random({tokens, 2, 3, rows, vectors}, 2), true}, x{"x", random({tokens, width}, 3), true},
        dy{"dy", random({tokens, width}, 4), true},
        pool{"pool", random({experts * rows, vectors, width}, 5), false, element},
        sum{"sum", random({experts * rows}, 6, 0, 1)}, m{"m", random(pool.array.shape, 7)},
        v{"v", random(pool.array.shape, 8, 0, 1)}, rate{"rate", Array(std::vector<int64_t>{})}, one{"one", rate.array};
    if (element == "bf16")
      pool.array = roundToBF16(pool.array);
    Input other = pool;
    other.name = "other";
    rate.array.values = {0.125};
    one.array.values = {1};
    Array grad(pool.array.shape), norm(std::vector<int64_t>{});
    std::vector<bool> touched = addRowGradients(idx.array, coef.array, x.array, dy.array, grad);
    norm.values = {0};
    for (double value : grad.values)
      norm.values[0] += value * value;
    Array updated = pool.array, sums = sum.array;
    rowwiseAdagrad(0.125, 1e-8, 0, 1, updated, grad, sums, touched);
    Array moved = pool.array, newM = m.array, newV = v.array;
    adamw({0.125, 0.9, 0.95, 1e-8, 0}, 1, 1, moved, grad, newM, newV, touched);
    std::string sorted = type({tokens * 6}, true, "i32");
    std::string pairs = "%idx, %o, %s, %c, %coef, %x, %dy", types = type(idx) + ", " + sorted + ", " + sorted +
                                                                    ", tensor<2xi32>, " + type(coef) + ", " + type(x) +
                                                                    ", " + type(dy);
    check({idx, coef, x, dy, pool, sum, other, m, v, rate, one},
          "  %o, %s, %c = peer.sort_pairs %idx experts " + std::to_string(experts) + " : " + type(idx) +
              "\n  %dp = peer.pool_grad " + pairs + " {rows = " + std::to_string(experts * rows) +
              " : i64} : " + types + "\n  %norm = peer.pool_grad_norm " + pairs + " : " + types +
              "\n  %p_new, %sum_new = peer.row_update %pool, " + pairs +
              ", %rate, %one, %one, %sum {optimizer = #peer.rowwise_adagrad<>} : " + type(pool) + ", " + types +
              ", tensor<f32>, tensor<f32>, tensor<f32>, " + type(sum) +
              "\n  %other_new, %m_new, %v_new = peer.row_update %other, " + pairs +
              ", %rate, %one, %one, %m, %v {optimizer = #peer.adamw<>} : " + type(pool) + ", " + types +
              ", tensor<f32>, tensor<f32>, tensor<f32>, " + type(m) + ", " + type(v),
          {{"%dp", grad, false, "f32", 2e-5},
           {"%norm", norm, false, "f32", 2e-5},
           {"%p_new", updated, false, element, element == "bf16" ? 8e-3 : 2e-5},
           {"%sum_new", sums, false, "f32", 2e-5},
           {"%other_new", moved, false, element, element == "bf16" ? 8e-3 : 2e-5},
           {"%m_new", newM, false, "f32", 2e-5},
           {"%v_new", newV, false, "f32", 2e-5}});
  }
};

TEST_P(GroupedPool, Neurons) { checkRows(40, 16, 2, 40, 5); }
TEST_P(GroupedPool, GatedNeuronsInPanels) { checkRows(70, 130, 3, 19, 2); }
TEST_P(GroupedPool, Values) { checkRows(3, 20, 1, 33, 7); }
TEST_P(GroupedPool, OneRowOfBF16) { checkRows(9, 1, 2, 24, 4, "bf16"); }
// On GPUs rows and columns of several tiles, accesses to two numbers and to one.
TEST_P(GroupedPool, WideRowsOfBF16) { checkRows(12, 20, 2, 134, 3, "bf16"); }
TEST_P(GroupedPool, AllOnOneExpert) { checkRows(30, 17, 3, 21, 1); }
TEST_P(GroupedPool, ByTheRule) {
  checkRows(40, 16, 2, 12, 5, "f32", "auto");
  checkRows(2, 16, 2, 12, 5, "f32", "auto");
}

INSTANTIATE_TEST_SUITE_P(, GroupedPool,
                         ::testing::Combine(::testing::Values(Code::Vectors, Code::Gpu), ::testing::Bool()),
                         [](const auto &info) { return codeName(std::get<0>(info.param), std::get<1>(info.param)); });

} // namespace
} // namespace peer::numerics
