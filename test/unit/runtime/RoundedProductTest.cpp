// Products of elements that are rounded to bf16, by whatever this CPU has for them.
#include "TestSupport.h"
#include "device/Hooks.h"
#include "device/cpu/Blas.h"
#include "model/Random.h"

#include <bit>
#include <cmath>
#include <limits>

using namespace peer::runtime;

namespace {
float rounded(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  return std::bit_cast<float>((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000u);
}

struct Product {
  bool transA, transB;
  int64_t m, n, k;
  float sizeA = 1, sizeB = 1;
  float alpha = 1, beta = 0;
  /// One of the last row of A.
  float odd = 0;
};

std::vector<float> randomValues(int64_t count, const char *name, float size) {
  RandomStream stream(1, name);
  std::vector<float> values(static_cast<size_t>(count));
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<float>(stream.uniform(i) - 0.5) * size;
  return values;
}

/// Against the sum in double precision, relative to the sum of absolute values; padding stays as it was.
void check(const Product &p) {
  int64_t lda = (p.transA ? p.m : p.k) + 3, ldb = (p.transB ? p.k : p.n) + 1, ldc = p.n + 2;
  std::vector<float> a = randomValues(lda * (p.transA ? p.k : p.m), "a", p.sizeA),
                     b = randomValues(ldb * (p.transB ? p.n : p.k), "b", p.sizeB), c = randomValues(ldc * p.m, "c", 1);
  auto atA = [&](int64_t i, int64_t e) -> float & { return a[p.transA ? e * lda + i : i * lda + e]; };
  if (p.odd != 0)
    atA(p.m - 1, p.k / 2) = p.odd;
  std::vector<float> before = c;
  peer_rt_sgemm_bf16(p.transA, p.transB, p.m, p.n, p.k, p.alpha, a.data(), lda, b.data(), ldb, p.beta, c.data(), ldc);
  for (int64_t i = 0; i < p.m; ++i)
    for (int64_t j = 0; j < ldc; ++j) {
      float given = before[i * ldc + j], got = c[i * ldc + j];
      double sum = p.beta * given, all = std::abs(given);
      for (int64_t e = 0; e < p.k && j < p.n; ++e) {
        double term = double(p.alpha) * rounded(atA(i, e)) * rounded(b[p.transB ? j * ldb + e : e * ldb + j]);
        sum += term;
        all += std::abs(term);
      }
      if (j >= p.n)
        ASSERT_EQ(got, given) << "behind row " << i;
      else if (i == p.m - 1 && p.odd != 0)
        ASSERT_FALSE(std::isfinite(got)) << got;
      else
        ASSERT_NEAR(got, sum, 1e-6 * all) << p.m << " x " << p.n << " x " << p.k << " at " << i << ", " << j;
    }
}
} // namespace

TEST(RoundedProduct, AllFormsAndSizes) {
  ASSERT_OK(loadBlas());
  for (bool transA : {false, true})
    for (bool transB : {false, true})
      for (int64_t m : {1, 16, 33})
        for (int64_t n : {1, 15, 49})
          for (int64_t k : {0, 1, 31, 70}) {
            check({transA, transB, m, n, k});
            check({transA, transB, m, n, k, 1, 1, 0.5f, 2});
          }
}

TEST(RoundedProduct, SeveralBlocks) {
  ASSERT_OK(loadBlas());
  check({false, false, 270, 40, 300});
  check({true, true, 20, 530, 530, 1, 1, 0.5f, 2});
}

// Products of the first two are subnormal or nearly so, which units of bf16 take for zero.
TEST(RoundedProduct, SmallAndLarge) {
  ASSERT_OK(loadBlas());
  for (auto [sizeA, sizeB] : {std::pair{1e-30f, 1e-7f}, {1e-8f, 1e-30f}, {1e-30f, 1e30f}, {1e30f, 1e7f}})
    for (bool trans : {false, true})
      check({trans, trans, 20, 20, 40, sizeA, sizeB});
}

TEST(RoundedProduct, NotFinite) {
  ASSERT_OK(loadBlas());
  for (float odd : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN(),
                    std::numeric_limits<float>::max()})
    for (bool trans : {false, true})
      check({trans, trans, 20, 20, 300, 1, 1, 1, 1, odd});
}
