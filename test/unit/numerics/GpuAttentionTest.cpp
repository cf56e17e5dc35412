// Attention on GPUs beyond the sizes of the common suites: heads of every width, contexts on and beside the tiles' borders.
#include "NNAttentionTest.h"

#include <cmath>

namespace peer::numerics {
namespace {

using namespace reference;

struct GpuAttention : NNOpTest {
  static std::vector<Array> inputs(AttentionSizes s, double range) {
    return {random(s.queryShape(), 1, -range, range), random(s.keyShape(), 2, -range, range), random(s.keyShape(), 3),
            random(s.queryShape(), 4)};
  }

  void checkForward(AttentionSizes s, double range = 2, double tolerance = 5e-6) {
    std::vector<Array> in = inputs(s, range);
    check("attention", s.attributes(), {{"q", in[0], true}, {"k", in[1], true}, {"v", in[2], true}},
          {{attention(in[0], in[1], in[2], s.heads, s.context, s.window), true}}, tolerance);
  }

  /// By formulas: the differences of the common suites take too long for these sizes.
  static std::vector<Array> gradients(const std::vector<Array> &in, AttentionSizes s) {
    std::vector<Array> result{Array(in[0].shape), Array(in[1].shape), Array(in[2].shape)};
    double scale = 1 / std::sqrt(static_cast<double>(s.width));
    int64_t group = in[0].columns() / in[1].columns();
    for (int64_t part = 0; part < s.sequences * s.heads; ++part)
      for (int64_t i = 0; i < s.context; ++i) {
        int64_t first = part / s.heads * s.context, head = part % s.heads, row = first + i;
        int64_t column = head * s.width, keyColumn = head / group * s.width;
        int64_t begin = s.window ? std::max<int64_t>(i + 1 - s.window, 0) : 0;
        std::vector<double> p(i + 1), dp(i + 1);
        double highest = -INFINITY, sum = 0, along = 0;
        auto dot = [&](const Array &a, const Array &b, int64_t j) {
          double total = 0;
          for (int64_t c = 0; c < s.width; ++c)
            total += a.at(row, column + c) * b.at(first + j, keyColumn + c);
          return total;
        };
        for (int64_t j = begin; j <= i; ++j)
          highest = std::max(highest, p[j] = scale * dot(in[0], in[1], j));
        for (int64_t j = begin; j <= i; ++j) {
          sum += p[j] = std::exp(p[j] - highest);
          dp[j] = dot(in[3], in[2], j);
        }
        for (int64_t j = begin; j <= i; ++j)
          along += (p[j] /= sum) * dp[j];
        for (int64_t j = begin; j <= i; ++j)
          for (int64_t c = 0; c < s.width; ++c) {
            double ds = scale * p[j] * (dp[j] - along);
            result[0].at(row, column + c) += ds * in[1].at(first + j, keyColumn + c);
            result[1].at(first + j, keyColumn + c) += ds * in[0].at(row, column + c);
            result[2].at(first + j, keyColumn + c) += p[j] * in[3].at(row, column + c);
          }
      }
    return result;
  }

  void checkGrad(AttentionSizes s) {
    std::vector<Array> in = inputs(s, 2), expected = gradients(in, s);
    check("attention_grad", s.attributes(/*generic=*/true),
          {{"q", in[0], true}, {"k", in[1], true}, {"v", in[2], true}, {"dy", in[3], true}},
          {{expected[0], true}, {expected[1], true}, {expected[2], true}}, 5e-6);
  }
};

TEST_P(GpuAttention, BordersOfTiles) {
  for (int64_t context : {15, 31, 32, 33, 63, 64, 65})
    checkForward({1, context, 1, 8});
}

TEST_P(GpuAttention, NarrowHeads) {
  for (int64_t width : {1, 7, 12, 33})
    checkForward({2, 35, 2, width});
}

TEST_P(GpuAttention, WideHeads) {
  for (int64_t width : {64, 72, 128})
    checkForward({1, 35, 2, width});
}

TEST_P(GpuAttention, HeadsWiderThanRegisters) { checkForward({1, 9, 2, 136}); }
TEST_P(GpuAttention, GradOfHeadsWiderThanRegisters) { checkGrad({1, 5, 1, 130}); }

// Scores of several thousands: only differences from the maximum may be raised to a power.
TEST_P(GpuAttention, LargeScores) { checkForward({1, 70, 1, 16}, 60, 3e-3); }

TEST_P(GpuAttention, GradAtBordersOfTiles) {
  for (int64_t context : {1, 15, 17, 64, 65, 130})
    checkGrad({1, context, 1, 8});
}

TEST_P(GpuAttention, GradOfNarrowHeads) {
  for (int64_t width : {1, 7, 12, 33})
    checkGrad({2, 35, 2, width});
}

TEST_P(GpuAttention, GradOfWideHeads) {
  checkGrad({1, 35, 2, 64});
  checkGrad({1, 35, 1, 72});
}

TEST_P(GpuAttention, GradOfWidestHeads) { checkGrad({1, 35, 1, 128}); }

// Windows that begin and end on and beside the borders of tiles, and groups of heads whose keys' gradients are summed.
TEST_P(GpuAttention, Windows) {
  for (int64_t window : {1, 31, 32, 33, 64, 65, 130})
    checkForward({1, 130, 1, 8, 0, window});
  checkForward({2, 70, 6, 12, 2, 40});
}

TEST_P(GpuAttention, GradOfWindows) {
  for (int64_t window : {1, 15, 16, 17, 64, 65, 130})
    checkGrad({1, 130, 1, 8, 0, window});
}

TEST_P(GpuAttention, GradOfGroupedQueries) {
  checkGrad({2, 70, 6, 12, 2});
  checkGrad({1, 35, 4, 64, 1, 20});
  checkGrad({1, 35, 2, 72, 1});
}

// The number of sequences is all that may be dynamic.
INSTANTIATE_TEST_SUITE_P(, GpuAttention, ::testing::Values(std::tuple(Code::Gpu, true)),
                         [](const auto &info) { return codeName(std::get<0>(info.param), std::get<1>(info.param)); });

using GpuCachedAttention = CachedAttentionTest;

// One block for each head up to 256 rows, then one for every 128.
TEST_P(GpuCachedAttention, TokenOfOneChunk) {
  // The new row is 3: of those that the first warp reads, and in part written by the second one.
  for (int64_t position : {0, 3, 8, 255, 1000})
    checkAt(1, position, 256, 2, 40);
}

TEST_P(GpuCachedAttention, TokenOfSeveralChunks) {
  for (int64_t position : {0, 128, 299, 729})
    checkAt(1, position, 300, 2, 20);
}

TEST_P(GpuCachedAttention, PromptAtBordersOfTiles) {
  checkAt(64, 0, 64, 1, 8);
  checkAt(65, 31, 96, 2, 12);
  checkAt(3, 90, 100, 1, 72);
}

TEST_P(GpuCachedAttention, WideHeads) {
  checkAt(1, 12, 40, 2, 128);
  checkAt(1, 290, 300, 1, 200);
}

// With a window the chunks are those of the window; grouped heads find the new row where a launch of its own has put it.
TEST_P(GpuCachedAttention, TokenOfWindow) {
  for (int64_t position : {0, 100, 299, 729}) {
    checkAt(1, position, 300, 2, 20, {.window = 40});
    checkAt(1, position, 300, 4, 20, {.keyHeads = 2, .window = 290});
  }
}

TEST_P(GpuCachedAttention, TokenOfGroupedQueries) {
  for (int64_t position : {0, 128, 729})
    checkAt(1, position, 300, 6, 20, {.keyHeads = 2});
  checkAt(1, 12, 40, 2, 128, {.keyHeads = 1});
}

TEST_P(GpuCachedAttention, PromptOfWindow) {
  checkAt(65, 31, 96, 4, 12, {.keyHeads = 2, .window = 33});
  checkAt(64, 0, 64, 1, 8, {.window = 1});
}

INSTANTIATE_TEST_SUITE_P(, GpuCachedAttention, ::testing::Combine(::testing::Values(Code::Gpu), ::testing::Bool()),
                         [](const auto &info) { return codeName(std::get<0>(info.param), std::get<1>(info.param)); });

} // namespace
} // namespace peer::numerics
