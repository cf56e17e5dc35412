#include "device/cpu/Blas.h"

#include "TestSupport.h"
#include "device/Hooks.h"
#include "device/cpu/PanelProduct.h"
#include "model/Random.h"

#include <cmath>

using namespace peer::runtime;

namespace {
std::vector<float> randomValues(size_t count, const char *name) {
  RandomStream stream(1, name);
  std::vector<float> values(count);
  for (size_t i = 0; i < count; ++i)
    values[i] = static_cast<float>(stream.uniform(i) - 0.5);
  return values;
}

using Product = decltype(&peer_rt_sgemm);

/// By panels of vectors of 8, which a CPU with wider ones would not take.
void multiplyByAvx2(int64_t transA, int64_t transB, int64_t m, int64_t n, int64_t k, float alpha, const float *a,
                    int64_t lda, const float *b, int64_t ldb, float beta, float *c, int64_t ldc) {
  if (m < 1 || n < 1 || k < 1 ||
      !multiplyInPanels(transA, transB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc, BlasVectors::Avx2))
    peer_rt_sgemm(transA, transB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}

/// The product of an m x k and a k x n matrix with padding in every leading dimension, against the sum in double precision.
void checkBy(Product product, bool transA, bool transB, int64_t m, int64_t n, int64_t k, float alpha, float beta) {
  int64_t lda = (transA ? m : k) + 3, ldb = (transB ? k : n) + 1, ldc = n + 2;
  std::vector<float> a = randomValues(static_cast<size_t>(lda * (transA ? k : m) + 1), "a"),
                     b = randomValues(static_cast<size_t>(ldb * (transB ? n : k) + 1), "b"),
                     c = randomValues(static_cast<size_t>(ldc * m + 1), "c"), expected = c;
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) {
      double sum = 0;
      for (int64_t p = 0; p < k; ++p)
        sum += static_cast<double>(a[transA ? p * lda + i : i * lda + p]) * b[transB ? j * ldb + p : p * ldb + j];
      expected[i * ldc + j] = static_cast<float>(alpha * sum + (beta == 0 ? 0 : beta * expected[i * ldc + j]));
    }
  product(transA, transB, m, n, k, alpha, a.data(), lda, b.data(), ldb, beta, c.data(), ldc);
  for (size_t i = 0; i < c.size(); ++i)
    ASSERT_NEAR(c[i], expected[i], 1e-4) << "m " << m << " n " << n << " k " << k << " at " << i;
}

void check(bool transA, bool transB, int64_t m, int64_t n, int64_t k, float alpha, float beta) {
  checkBy(peer_rt_sgemm, transA, transB, m, n, k, alpha, beta);
  checkBy(multiplyByAvx2, transA, transB, m, n, k, alpha, beta);
}
} // namespace

TEST(Blas, AllFormsAndSizes) {
  ASSERT_OK(loadBlas());
  for (bool transA : {false, true})
    for (bool transB : {false, true})
      for (int64_t m : {0, 1, 2, 17, 64})
        for (int64_t n : {0, 1, 5, 33})
          for (int64_t k : {0, 1, 19, 70}) {
            check(transA, transB, m, n, k, 1, 0);
            check(transA, transB, m, n, k, 0.5f, 2);
          }
}

// More than is multiplied at once in each direction; sums of 1030 that are scaled and added are none for panels, nor those of 600 by vectors of 8.
TEST(Blas, SeveralSlabsAndPanels) {
  ASSERT_OK(loadBlas());
  for (bool transA : {false, true})
    for (bool transB : {false, true}) {
      check(transA, transB, 259, 101, 40, 0.5f, 2);
      check(transA, transB, 11, 50, 1030, 1, 1);
      check(transA, transB, 11, 50, 1030, 0.5f, 0);
      check(transA, transB, 11, 50, 1030, 0.5f, 2);
      check(transA, transB, 70, 20, 600, 1, 1);
    }
}

// What a token gets does not depend on the tokens and columns beside it, nor on the vectors of the CPU.
TEST(Blas, PanelsAddInOneOrder) {
  constexpr int64_t m = 150, n = 90, k = 500;
  std::vector<float> a = randomValues(m * k, "a"), b = randomValues(k * n, "b"), c = randomValues(m * n, "c");
  std::vector<float> expected = c;
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j)
      for (int64_t p = 0; p < k; ++p)
        expected[i * n + j] = std::fma(a[i * k + p], b[p * n + j], expected[i * n + j]);
  for (BlasVectors widest : {BlasVectors::Avx2, BlasVectors::Avx512}) {
    std::vector<float> all = c, part = c;
    if (!multiplyInPanels(false, false, m, n, k, 1, a.data(), k, b.data(), n, 1, all.data(), n, widest))
      GTEST_SKIP() << "this CPU multiplies by the BLAS";
    EXPECT_EQ(all, expected);
    multiplyInPanels(false, false, 3, 20, k, 1, a.data() + 70 * k, k, b.data() + 30, n, 1, part.data() + 70 * n + 30, n,
                     widest);
    for (int64_t i = 70; i < 73; ++i)
      for (int64_t j = 30; j < 50; ++j)
        EXPECT_EQ(part[i * n + j], expected[i * n + j]) << i << ", " << j;
  }
}

TEST(Blas, ManyThreadsAtOnce) {
  ASSERT_OK(loadBlas());
#pragma omp parallel for num_threads(4)
  for (int i = 0; i < 32; ++i)
    check(i & 1, i & 2, 64 + i, 100, 80, 1, 0);
}

// Short calls: most of their time goes into taking and returning work buffers, which threads must not share.
TEST(Blas, ManyShortCallsAtOnce) {
  ASSERT_OK(loadBlas());
  constexpr int64_t size = 16;
  int wrong = 0;
#pragma omp parallel for num_threads(4) reduction(+ : wrong)
  for (int i = 0; i < 200000; ++i) {
    float a[size * size], c[size * size];
    std::fill(a, a + size * size, static_cast<float>(i % 64));
    peer_rt_sgemm(0, 1, size, size, size, 1, a, size, a, size, 0, c, size);
    wrong += c[size * size / 2] != static_cast<float>(size * (i % 64) * (i % 64));
  }
  EXPECT_EQ(wrong, 0);
}

TEST(Blas, TellsItsKernels) {
  ASSERT_OK(loadBlas());
  EXPECT_FALSE(blasCore().empty());
}

// An OpenBLAS that does not know the CPU, as Debian 12's on those since 2023, would take its kernels of 2004.
TEST(Blas, TakesKernelsThatFitTheCpu) {
  ASSERT_OK(loadBlas());
  if (std::getenv("OPENBLAS_CORETYPE"))
    GTEST_SKIP() << "somebody chose the kernels";
  EXPECT_EQ(widerKernels(blasCore()), nullptr) << blasCore();
  EXPECT_EQ(widerKernels("Newer"), nullptr);
}

TEST(Blas, NarrowKernelsAreSaidWithTheCure) {
  auto advice = [](const char *core, BlasVectors cpu, const char *type = nullptr, const char *l2 = nullptr) {
    return blasAdvice(core, cpu, type, l2);
  };
  EXPECT_EQ(advice("Prescott", BlasVectors::Avx512), "OpenBLAS is older than this CPU and takes its kernels for "
                                                     "Prescott, so that products of a matrix by a vector are slow: "
                                                     "OPENBLAS_CORETYPE=SkylakeX gives faster ones");
  EXPECT_EQ(advice("Nehalem", BlasVectors::Avx2, "nehalem"),
            "OPENBLAS_CORETYPE=nehalem holds matrix products to OpenBLAS's kernels for Nehalem, this CPU has wider "
            "vectors: unset it, or set it to Haswell");
  EXPECT_EQ(advice("Zen", BlasVectors::Avx2, nullptr, "32"),
            "OPENBLAS_L2_SIZE=32 sets the sizes of OpenBLAS's blocks, which may make matrix products slow: unset it");
  EXPECT_EQ(advice("Haswell", BlasVectors::Avx2, "Haswell"), "");
  EXPECT_EQ(advice("SkylakeX", BlasVectors::Avx512), "");
  EXPECT_EQ(advice("Prescott", BlasVectors::Unknown), "");
  EXPECT_EQ(advice("Newer", BlasVectors::Avx512), "");
  EXPECT_EQ(advice("", BlasVectors::Avx512, nullptr, "32"), "");
}
