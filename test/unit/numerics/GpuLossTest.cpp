// Cross entropy, means, embeddings and positions on GPUs: rows of a warp and of a block, tables of every regime.
#include "NNOpTest.h"

#include <algorithm>
#include <cmath>

namespace peer::numerics {
namespace {

using namespace reference;

struct GpuLoss : NNOpTest {
  void checkCrossEntropy(int64_t rows, int64_t size, double low = -8, double high = 8, double tolerance = 4e-6) {
    Array logits = random({rows, size}, 1, low, high), targets = randomTokens(rows, size, 2), dloss = random({rows}, 3);
    Array dlogits(logits.shape);
    for (int64_t t = 0; t < rows; ++t) {
      double highest = -INFINITY, sum = 0;
      for (int64_t c = 0; c < size; ++c)
        highest = std::max(highest, logits.at(t, c));
      for (int64_t c = 0; c < size; ++c)
        sum += std::exp(logits.at(t, c) - highest);
      for (int64_t c = 0; c < size; ++c)
        dlogits.at(t, c) = dloss.values[t] * (std::exp(logits.at(t, c) - highest) / sum - (c == targets.values[t]));
    }
    Input l{"logits", logits, true}, t{"targets", targets, true, "i32"};
    check("cross_entropy", "", {l, t}, {{crossEntropy(logits, targets), true}}, tolerance);
    check("cross_entropy_grad", "", {l, t, {"dloss", dloss, true}}, {{dlogits, true}}, tolerance);
  }

  void checkEmbeddingGrad(Array tokens, int64_t rows, int64_t columns) {
    int64_t count = tokens.shape[0];
    Array dy = random({count, columns}, 3), expected({rows, columns});
    for (int64_t t = 0; t < count; ++t)
      for (int64_t d = 0; d < columns; ++d)
        expected.at(static_cast<int64_t>(tokens.values[t]), d) += dy.at(t, d);
    check("embedding_grad", "{rows = " + std::to_string(rows) + " : i64}",
          {{"tokens", tokens, true, "i32"}, {"dy", dy, true}}, {{expected}}, 4e-6);
  }
};

TEST_P(GpuLoss, RowOfAWarp) {
  for (int64_t size : {3, 36, 1024})
    checkCrossEntropy(17, size);
}
TEST_P(GpuLoss, RowOfABlock) {
  for (int64_t size : {1025, 1028, 2048})
    checkCrossEntropy(5, size);
}
TEST_P(GpuLoss, LargeLogits) {
  checkCrossEntropy(9, 44, 80, 120, 2e-5);
  checkCrossEntropy(2, 1300, -120, -80, 2e-5);
}

// A maximum that rises from element to element rescales the sum each time; masked logits are -inf.
TEST_P(GpuLoss, RisingAndMaskedLogits) {
  for (int64_t size : {130, 1100}) {
    Array logits({3, size}), targets({3}), expected({3});
    for (int64_t c = 0; c < size; ++c)
      logits.at(0, c) = c * 0.125, logits.at(1, c) = c % 2 ? -INFINITY : 1,
                   logits.at(2, c) = c + 1 < size ? -INFINITY : 2;
    targets.values = {double(size - 1), 0, double(size - 1)};
    for (int64_t c = 0; c < size; ++c)
      expected.values[0] += std::exp((c - size + 1) * 0.125);
    expected.values = {std::log(expected.values[0]), std::log((size + 1) / 2), 0};
    check("cross_entropy", "", {{"logits", logits, true}, {"targets", targets, true, "i32"}}, {{expected, true}}, 4e-6);
  }
}

TEST_P(GpuLoss, Mean) {
  for (int64_t size : {1, 4096, 9000}) {
    Array x = random({size}, 1, 0, 5), dmean = random({}, 2), dx({size});
    std::fill(dx.values.begin(), dx.values.end(), dmean.values[0] / double(size));
    check("mean", "", {{"x", x, true}}, {{mean(x)}});
    check("mean_grad", "", {{"x", x, true}, {"dmean", dmean}}, {{dx, true}});
  }
}

TEST_P(GpuLoss, Embedding) {
  for (int64_t columns : {5, 44, 256}) {
    Array tokens = randomTokens(70, 19, 1), table = random({19, columns}, 2);
    // Whole numbers are exact in bf16, too.
    for (double &value : table.values)
      value = static_cast<int>(value * 8);
    for (std::string element : {"f32", "bf16", "i8"})
      check("embedding", "", {{"tokens", tokens, true, "i32"}, {"table", table, false, element}},
            {{embedding(tokens, table), true}}, 0);
  }
}

// A small table: copies for ranges of tokens. 1024 tokens are looked at together.
TEST_P(GpuLoss, EmbeddingGradOfRanges) {
  for (int64_t tokens : {1024, 2100})
    checkEmbeddingGrad(randomTokens(tokens, 70, 1), 70, 36);
  checkEmbeddingGrad(randomTokens(300, 33, 1), 33, 132);
  checkEmbeddingGrad(randomTokens(300, 2, 1), 3, 5);
}
TEST_P(GpuLoss, EmbeddingGradOfOneRow) {
  Array tokens({1500});
  std::fill(tokens.values.begin(), tokens.values.end(), 31);
  checkEmbeddingGrad(tokens, 40, 12);
}
// A large table is written in place, its rows by groups of 256.
TEST_P(GpuLoss, EmbeddingGradOfALargeTable) { checkEmbeddingGrad(randomTokens(1500, 9000, 1), 9000, 128); }

TEST_P(GpuLoss, Rotary) {
  // Heads of 2 to 1030 components: several rows side by side, and more components than threads.
  for (auto [heads, width] : {std::pair<int64_t, int64_t>{3, 2}, {2, 48}, {1, 512}, {1, 1030}}) {
    Array x = random({21, heads * width}, 1), position = random({}, 1);
    position.values = {8000};
    std::string attributes = "heads " + std::to_string(heads);
    check("rotary", attributes + " context 7", {{"x", x, true}}, {{rotary(x, heads, 7, 10000), true}}, 3e-6);
    check("rotary_at", attributes, {{"x", x, true}, {"p", position, false, "i32"}},
          {{rotary(x, heads, 21, 10000, false, 8000), true}});
  }
}

INSTANTIATE_TEST_SUITE_P(, GpuLoss, ::testing::Combine(::testing::Values(Code::Gpu), ::testing::Bool()),
                         [](const auto &info) { return codeName(std::get<0>(info.param), std::get<1>(info.param)); });

} // namespace
} // namespace peer::numerics
