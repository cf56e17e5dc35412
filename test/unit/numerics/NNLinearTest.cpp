#include "NNOpTest.h"
#include "StoredReference.h"

#include <array>
#include <bit>

namespace peer::numerics {
namespace {

using namespace reference;

using NNLinear = NNOpTest;

// 70 rows: one whole tile and a partial one; 40 columns: two vectors and a half.
TEST_P(NNLinear, Plain) {
  Array x = random({70, 40}, 1), w = random({40, 24}, 2);
  check("linear", "", {{"x", x, true}, {"w", w}}, {{linear(x, false, w, false), true}});
}

TEST_P(NNLinear, TransposedWeight) {
  Array x = random({70, 40}, 1), w = random({24, 40}, 2);
  check("linear", "{transpose_weight}", {{"x", x, true}, {"w", w}}, {{linear(x, false, w, true), true}});
}

// The product of a weight gradient: tokens are summed over.
TEST_P(NNLinear, TransposedX) {
  Array x = random({70, 130}, 1), w = random({70, 24}, 2);
  check("linear", "{transpose_x}", {{"x", x, true}, {"w", w, true}}, {{linear(x, true, w, false)}});
}

TEST_P(NNLinear, BothTransposed) {
  Array x = random({70, 130}, 1), w = random({24, 70}, 2);
  check("linear", "{transpose_x, transpose_weight}", {{"x", x}, {"w", w}}, {{linear(x, true, w, true)}});
}

/// Adds b to each row.
Array biased(Array y, const Array &b) {
  for (size_t i = 0; i < y.values.size(); ++i)
    y.values[i] += b.values[i % b.values.size()];
  return y;
}

TEST_P(NNLinear, Bias) {
  for (int64_t columns : {24, 37}) {
    Array x = random({70, 40}, 1), w = random({40, columns}, 2), b = random({columns}, 3);
    check("linear", "", {{"x", x, true}, {"w", w}, {"b", b}}, {{biased(linear(x, false, w, false), b), true}});
  }
}

TEST_P(NNLinear, BiasOfOneRow) {
  Array x = random({1, 40}, 1), w = random({1100, 40}, 2), b = random({1100}, 3);
  check("linear", "{transpose_weight}", {{"x", x, true}, {"w", w}, {"b", b}},
        {{biased(linear(x, false, w, true), b), true}});
}

TEST_P(NNLinear, BiasOfASumOverTokens) {
  Array x = random({70, 13}, 1), w = random({70, 24}, 2, -1, 1), b = random({24}, 3);
  check("linear", "{transpose_x}", {{"x", x, true}, {"w", w, true}, {"b", b}},
        {{biased(linear(x, true, w, false), b), false, biased(Array({13, 24}), b)}});
}

Array roundedToBF16(Array array) {
  for (double &value : array.values) {
    uint32_t bits = std::bit_cast<uint32_t>(static_cast<float>(value));
    value = std::bit_cast<float>((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000u);
  }
  return array;
}

TEST_P(NNLinear, ProductsOfBF16) {
  for (int64_t rows : {1, 5, 70}) {
    Array x = random({rows, 43}, 1), w = random({43, 24}, 2), b = random({24}, 3);
    check("linear", "{products = bf16}", {{"x", x, true}, {"w", w}, {"b", b}},
          {{biased(linear(roundedToBF16(x), false, roundedToBF16(w), false), b), true}});
  }
}

TEST_P(NNLinear, TransposedProductsOfBF16) {
  for (int64_t rows : {1, 33}) {
    Array x = random({rows, 40}, 1), w = random({24, 40}, 2);
    check("linear", "{products = bf16, transpose_weight}", {{"x", x, true}, {"w", w}},
          {{linear(roundedToBF16(x), false, roundedToBF16(w), true), true}});
  }
  Array x = random({70, 130}, 1), w = random({70, 24}, 2);
  check("linear", "{products = bf16, transpose_x}", {{"x", x, true}, {"w", w, true}},
        {{linear(roundedToBF16(x), true, roundedToBF16(w), false)}});
}

TEST_P(NNLinear, ColumnSums) {
  for (int64_t columns : {130, 8}) {
    Array x = random({70, columns}, 1), sums({columns});
    for (int64_t t = 0; t < 70; ++t)
      for (int64_t d = 0; d < columns; ++d)
        sums.values[d] += x.at(t, d);
    check("column_sums", "", {{"x", x, true}}, {{sums}});
  }
}

TEST_P(NNLinear, FewRows) {
  for (int64_t rows : {2, 5, 8, 9}) {
    Array x = random({rows, 43}, 1), w = random({43, 37}, 2);
    check("linear", "", {{"x", x, true}, {"w", w}}, {{linear(x, false, w, false), true}});
  }
}

// No token; one term and one column; tiles of 192 columns and of the rest, which is no whole vector.
TEST_P(NNLinear, OddShapes) {
  for (auto [rows, inner, columns] : {std::array<int64_t, 3>{0, 5, 24}, {12, 1, 1}, {10, 17, 327}}) {
    Array x = random({rows, inner}, 1), w = random({inner, columns}, 2), b = random({columns}, 3);
    check("linear", "", {{"x", x, true}, {"w", w}, {"b", b}}, {{biased(linear(x, false, w, false), b), true}});
  }
}

TEST_P(NNLinear, OneRow) {
  Array x = random({1, 40}, 1), w = random({40, 1100}, 2);
  check("linear", "", {{"x", x, true}, {"w", w}}, {{linear(x, false, w, false), true}});
}

TEST_P(NNLinear, Embedding) {
  Array tokens = randomTokens(150, 37, 1), table = random({37, 40}, 2);
  check("embedding", "", {{"tokens", tokens, true, "i32"}, {"table", table}}, {{embedding(tokens, table), true}}, 0);
}

TEST_P(NNLinear, EmbeddingOfBF16) {
  Array tokens = randomTokens(150, 37, 1), table = random({37, 40}, 2);
  // Eighths are exact in bf16.
  for (double &value : table.values)
    value = static_cast<int>(value * 8) / 8.0;
  check("embedding", "", {{"tokens", tokens, true, "i32"}, {"table", table, false, "bf16"}},
        {{embedding(tokens, table), true}}, 0);
}

TEST_P(NNLinear, EmbeddingOfNumbers) {
  Array tokens = randomTokens(150, 37, 1), table = randomNumbers({37, 40}, 8, 2);
  check("embedding", "", {{"tokens", tokens, true, "i32"}, {"table", table, false, "i8"}},
        {{embedding(tokens, table), true}}, 0);
}

TEST_P(NNLinear, EmbeddingGrad) {
  Array tokens = randomTokens(150, 5, 1), table = random({7, 72}, 2), dy = random({150, 72}, 3);
  Array expected(table.shape);
  for (int64_t t = 0; t < 150; ++t)
    for (int64_t d = 0; d < 72; ++d)
      expected.at(static_cast<int64_t>(tokens.values[t]), d) += dy.at(t, d);
  check("embedding_grad", "{rows = 7 : i64}", {{"tokens", tokens, true, "i32"}, {"dy", dy, true}}, {{expected}});
}

INSTANTIATE_NN_OPS(NNLinear);

} // namespace
} // namespace peer::numerics
