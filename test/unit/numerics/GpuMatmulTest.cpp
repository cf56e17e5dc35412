// Dense products on GPUs beyond the sizes of the common suites: every regime and shapes on and beside its borders.
#include "NNOpTest.h"

#include <cmath>

namespace peer::numerics {
namespace {

using namespace reference;

struct Sizes {
  int64_t m, n, k;
};

struct GpuMatmul : ::testing::TestWithParam<int> {
  bool transposeX() const { return GetParam() & 1; }
  bool transposeWeight() const { return GetParam() & 2; }

  Array x(Sizes s, double low = -1) const {
    return random(transposeX() ? std::vector{s.k, s.m} : std::vector{s.m, s.k}, 1, low);
  }
  Array weight(Sizes s, double low = -1) const {
    return random(transposeWeight() ? std::vector{s.n, s.k} : std::vector{s.k, s.n}, 2, low);
  }

  /// A product whose x has any number of tokens, or all sizes static.
  std::unique_ptr<Compiled> compile(Sizes s, bool dynamic = false) const {
    auto type = [](int64_t rows, int64_t columns, bool any) {
      return "tensor<" + (any ? "?" : std::to_string(rows)) + "x" + std::to_string(columns) + "xf32>";
    };
    // Tokens are what a transposed x sums over: the weight has them, too.
    bool anyWeight = dynamic && transposeX() && !transposeWeight(), anyY = dynamic && !transposeX();
    std::string xs = transposeX() ? type(s.k, s.m, dynamic) : type(s.m, s.k, dynamic);
    std::string ws = transposeWeight() ? type(s.n, s.k, false) : type(s.k, s.n, anyWeight);
    std::string attributes = transposeX() ? transposeWeight() ? "{transpose_x, transpose_weight}" : "{transpose_x}"
                             : transposeWeight() ? "{transpose_weight}"
                                                 : "";
    std::string y = type(s.m, s.n, anyY);
    return Compiled::compile("func.func @f(%x: " + xs + " {peer.name = \"x\"}, %w: " + ws +
                                 " {peer.name = \"w\"}) -> (" + y +
                                 " {peer.name = \"y\"}) {\n  %r = peer.linear %x, %w " + attributes + " : " + xs +
                                 ", " + ws + "\n  return %r : " + y + "\n}\n",
                             Code::Gpu);
  }

  /// The product; each of its sums is held against the reference, with an error relative to the sum of its terms' absolute values.
  Array call(Compiled &compiled, const Array &x, const Array &w) {
    runtime::TensorMap inputs;
    inputs.emplace("x", toTensor(x));
    inputs.emplace("w", toTensor(w));
    runtime::TensorMap results = compiled.call("f", inputs);
    Array expected = linear(x, transposeX(), w, transposeWeight());
    Array tolerances = linear(absolute(x), transposeX(), absolute(w), transposeWeight());
    for (double &value : tolerances.values)
      value *= 1e-6;
    EXPECT_TRUE(compiled.agrees(results, "y", expected.shape, expected.values, tolerances.values))
        << ::testing::PrintToString(x.shape) << " and " << ::testing::PrintToString(w.shape);
    return results.empty() ? expected : toArray(results.at("y"));
  }

  static Array absolute(Array array) {
    for (double &value : array.values)
      value = std::abs(value);
    return array;
  }

  void check(Sizes s, double low = -1) {
    if (auto compiled = compile(s))
      call(*compiled, x(s, low), weight(s, low));
  }
};

TEST_P(GpuMatmul, OneRow) {
  check({1, 40, 36});
  check({1, 17, 37});
  check({1, 260, 600});
}

TEST_P(GpuMatmul, FewRows) {
  check({2, 17, 5});
  check({31, 128, 16});
  check({32, 132, 17});
}

TEST_P(GpuMatmul, ManyRows) {
  check({33, 64, 32});
  check({128, 65, 15});
  check({129, 1, 48});
  check({130, 68, 100});
}

TEST_P(GpuMatmul, SplitDepth) {
  check({20, 24, 1000});
  check({40, 17, 515});
}

// Sums of many numbers of one sign keep their accuracy.
TEST_P(GpuMatmul, LongSums) { check({33, 8, 2048}, 0); }

// One artifact: rows decide which kernel runs.
TEST_P(GpuMatmul, RegimesAtRunTime) {
  Sizes s{48, 36, 48};
  // With both transposed the weight says how many tokens there are, and any number is refused.
  auto compiled = compile(s, /*dynamic=*/!(transposeX() && transposeWeight()));
  if (!compiled)
    return;
  for (int64_t tokens : {1, 2, 32, 33, 129, 300}) {
    if (transposeX() && transposeWeight() && tokens != s.k)
      continue;
    (transposeX() ? s.k : s.m) = tokens;
    call(*compiled, x(s), weight(s));
  }
}

TEST_P(GpuMatmul, SameBitsEveryTime) {
  Sizes s{20, 24, 700};
  auto compiled = compile(s);
  if (!compiled)
    return;
  EXPECT_EQ(call(*compiled, x(s), weight(s)).values, call(*compiled, x(s), weight(s)).values);
}

TEST_P(GpuMatmul, NotANumberStaysInItsRow) {
  Sizes s{40, 20, 36};
  auto compiled = compile(s);
  if (!compiled)
    return;
  Array broken = x(s), w = weight(s);
  (transposeX() ? broken.at(7, 3) : broken.at(3, 7)) = NAN;
  // The row is expected to be no numbers; the others have the bits that they have without it.
  Array y = call(*compiled, broken, w), whole = call(*compiled, x(s), w);
  for (int64_t i = 0; i < s.m; ++i)
    for (int64_t j = 0; j < s.n; ++j)
      EXPECT_TRUE(i == 3 || y.at(i, j) == whole.at(i, j)) << i << ", " << j;
}

std::string transposes(const ::testing::TestParamInfo<int> &info) {
  constexpr const char *names[] = {"Plain", "TransposedX", "TransposedWeight", "BothTransposed"};
  return names[info.param];
}
INSTANTIATE_TEST_SUITE_P(, GpuMatmul, ::testing::Range(0, 4), transposes);

} // namespace
} // namespace peer::numerics
