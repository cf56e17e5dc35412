// The pool's row-sparse gradient on GPUs: its three uses beside each other, on segments of every length and rows of every width.
#include "RoutingOpTest.h"

#include <algorithm>
#include <cmath>

namespace peer::numerics {
namespace {

using namespace reference;

struct Shape {
  int64_t experts, rows, vectors, width;
  std::string element = "f32", states = "f32";
};

struct GpuRows : RoutingOpTest {
  /// pool_grad, pool_grad_norm and row_update by AdamW or SGD of pairs `T x H x K` with these experts.
  runtime::TensorMap checkRows(const Array &experts, const Shape &shape, bool adam = true, double tolerance = 4e-6) {
    int64_t tokens = experts.shape[0], perToken = experts.shape[1] * experts.shape[2], rows = shape.rows;
    auto [count, unused, vectors, width, element, states] = shape;
    Input idx{"idx", experts, true, "i32"},
        coef{"coef", random({tokens, experts.shape[1], experts.shape[2], rows, vectors}, 2), true},
        x{"x", random({tokens, width}, 3), true}, dy{"dy", random({tokens, width}, 4), true},
        pool{"pool", random({count * rows, vectors, width}, 5), false, element},
        m{"m", random(pool.array.shape, 6), false, states}, v{"v", random(pool.array.shape, 7, 0, 1), false, states},
        rate{"rate", scalar(0.01)}, step{"step", scalar(7)}, scale{"scale", scalar(0.5)};
    if (element == "bf16")
      pool.array = roundToBF16(pool.array);
    if (states == "bf16")
      m.array = roundToBF16(m.array), v.array = roundToBF16(v.array);
    Input mBefore = m, vBefore = v;
    Array grad(pool.array.shape), norm = scalar(0), p = pool.array;
    std::vector<bool> touched = addRowGradients(experts, coef.array, x.array, dy.array, grad);
    for (double value : grad.values)
      norm.values[0] += value * value;
    double learningRate = static_cast<float>(0.01), rounding = states == "bf16" ? 8e-3 : 0;
    if (adam)
      adamw({learningRate, 0.9, 0.999, 1e-8, 0.1}, 7, 0.5, p, grad, m.array, v.array, touched);
    else
      sgd(learningRate, 0, 0.1, 0.5, p, grad, m.array, touched);
    std::string sparse = "%idx, %o, %s, %c, %coef, %x, %dy", pairs = type({tokens * perToken}, true, "i32"),
                types = type(idx) + ", " + pairs + ", " + pairs + ", tensor<2xi32>, " + type(coef) + ", " + type(x) +
                        ", " + type(dy),
                state = ", " + type(m);
    std::string body = "  %o, %s, %c = peer.sort_pairs %idx experts " + std::to_string(count) + " : " + type(idx) +
                       "\n  %g = peer.pool_grad " + sparse + " {rows = " + std::to_string(count * rows) +
                       " : i64} : " + types + "\n  %n = peer.pool_grad_norm " + sparse + " : " + types + "\n  ";
    body += adam ? "%p, %m_new, %v_new" : "%p";
    body += " = peer.row_update %pool, " + sparse + ", %rate, %step, %scale" + (adam ? ", %m, %v" : "") +
            " {optimizer = #peer." +
            (adam ? "adamw<beta2 = 0.999, weight_decay = 0.1, states = " + states + ">" : "sgd<weight_decay = 0.1>") +
            "} : " + type(pool) + ", " + types + ", tensor<f32>, tensor<f32>, tensor<f32>" +
            (adam ? state + state : "");
    std::vector<Input> inputs{idx, coef, x, dy, pool, rate, step, scale};
    std::vector<Result> results{{"%g", grad, false, "f32", tolerance},
                                {"%n", norm, false, "f32", 2e-6},
                                {"%p", p, false, element, element == "bf16" ? 8e-3 : tolerance}};
    if (adam) {
      inputs.insert(inputs.end(), {mBefore, vBefore});
      results.insert(results.end(), {{"%m_new", m.array, false, states, std::max(tolerance, rounding)},
                                     {"%v_new", v.array, false, states, std::max(tolerance * 10, rounding)}});
    }
    return check(inputs, body, results);
  }
  static Array scalar(double value) {
    Array array(std::vector<int64_t>{});
    array.values = {static_cast<float>(value)};
    return array;
  }
  /// Pairs by expert: `lengths[e]` of expert e, scattered over the tokens.
  static Array pairsOf(const std::vector<int64_t> &lengths, int64_t heads = 1) {
    std::vector<double> experts;
    for (size_t e = 0; e < lengths.size(); ++e)
      experts.insert(experts.end(), static_cast<size_t>(lengths[e]), static_cast<double>(e));
    experts.resize((experts.size() + heads - 1) / heads * heads, -1);
    Array idx({static_cast<int64_t>(experts.size()) / heads, heads, 1});
    for (size_t i = 0; i < experts.size(); ++i)
      idx.values[i * 7919 % experts.size()] = experts[i];
    return idx;
  }
};

TEST_P(GpuRows, OneToken) { checkRows(randomExperts({1, 2, 4}, 9, 1), {9, 1, 2, 256}); }
TEST_P(GpuRows, OnePair) { checkRows(randomExperts({1, 1, 1}, 1, 1, false), {1, 1, 2, 4}); }
TEST_P(GpuRows, FourSlices) { checkRows(randomExperts({9, 2, 4}, 30, 1), {30, 1, 2, 1024}); }
TEST_P(GpuRows, FourSlicesOfBF16) { checkRows(randomExperts({9, 2, 4}, 30, 1), {30, 1, 2, 1024, "bf16"}); }
TEST_P(GpuRows, NarrowStates) {
  checkRows(randomExperts({9, 2, 4}, 30, 1), {30, 1, 2, 256, "f32", "bf16"});
  checkRows(randomExperts({9, 2, 4}, 11, 1), {11, 3, 2, 66, "bf16", "bf16"});
}
TEST_P(GpuRows, PartOfASlice) { checkRows(randomExperts({9, 2, 4}, 30, 1), {30, 1, 2, 300}); }
TEST_P(GpuRows, EmptyAccessOfTheLastSlice) { checkRows(randomExperts({9, 2, 4}, 30, 1), {30, 1, 2, 384}); }
TEST_P(GpuRows, OddWidths) {
  for (int64_t width : {1, 17, 40, 66})
    checkRows(randomExperts({9, 2, 4}, 11, 1), {11, 1, 2, width});
}
TEST_P(GpuRows, Values) { checkRows(randomExperts({9, 2, 4}, 11, 1), {11, 1, 1, 640}); }
TEST_P(GpuRows, GatedNeurons) { checkRows(randomExperts({9, 2, 4}, 11, 1), {11, 1, 3, 256}); }
TEST_P(GpuRows, SeveralRowsPerExpert) { checkRows(randomExperts({9, 2, 4}, 5, 1), {5, 3, 3, 36}); }
TEST_P(GpuRows, BySGD) { checkRows(randomExperts({9, 2, 4}, 30, 1), {30, 1, 2, 128}, false); }
TEST_P(GpuRows, NothingSelected) {
  Array none({5, 1, 2});
  std::fill(none.values.begin(), none.values.end(), -1);
  checkRows(none, {7, 1, 2, 32});
}

// Up to 128 pairs stay together; longer segments are cut where chunks of 128 pairs end.
TEST_P(GpuRows, SegmentsAroundAChunk) { checkRows(pairsOf({127, 128, 129, 1, 130}), {5, 1, 2, 8}, true, 2e-5); }
TEST_P(GpuRows, LongSegmentsFromTheBordersOfChunks) {
  checkRows(pairsOf({128, 256, 384, 129}, 2), {5, 1, 2, 36}, true, 2e-5);
}
TEST_P(GpuRows, TwoLongSegmentsInAChunk) { checkRows(pairsOf({200, 0, 20, 190}, 2), {4, 1, 2, 17}, true, 2e-5); }
TEST_P(GpuRows, EveryPairOfOneExpert) { checkRows(pairsOf({0, 1500}, 3), {2, 1, 2, 40}, false, 4e-5); }
TEST_P(GpuRows, LongSegmentsOfSeveralRows) { checkRows(pairsOf({3, 300, 140}, 2), {3, 2, 3, 132}, false, 2e-5); }
TEST_P(GpuRows, LongSegmentsOfWideRows) { checkRows(pairsOf({140, 2}, 2), {2, 1, 2, 520, "bf16"}, true, 2e-5); }

// Warps and blocks take turns as they like: sums must not depend on it.
TEST_P(GpuRows, TheSameOnEveryRun) {
  Array experts = pairsOf({40, 400, 3, 260}, 3);
  auto first = checkRows(experts, {4, 1, 2, 64}, true, 2e-5), second = checkRows(experts, {4, 1, 2, 64}, true, 2e-5);
  for (auto &[name, tensor] : first) {
    ASSERT_TRUE(second.count(name));
    EXPECT_TRUE(std::ranges::equal(tensor.as<float>(), second.at(name).as<float>())) << name;
  }
}

// So many rows that a warp takes several of them.
TEST_P(GpuRows, ManyRows) { checkRows(randomExperts({6000, 1, 2}, 20000, 1, false), {20000, 1, 1, 4}, false); }

INSTANTIATE_TEST_SUITE_P(, GpuRows, ::testing::Combine(::testing::Values(Code::Gpu), ::testing::Values(true)),
                         [](const auto &info) { return codeName(std::get<0>(info.param), std::get<1>(info.param)); });

} // namespace
} // namespace peer::numerics
