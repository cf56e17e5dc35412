// cuBLASLt without a GPU: column-major products in plain loops, on the memory and the streams of the fake driver. Fails where the real one
// would: operands that do not fit, workspace that is too small, alignment that was promised and is not there.
#include "FakeCounts.h"
#include "device/cuda/CublasLtApi.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace peer::runtime::cublaslt {

namespace {
struct FakeDesc {
  int transA = kNoTrans, transB = kNoTrans;
};

struct FakeLayout {
  uint64_t rows, cols;
  int64_t ld;

  uint64_t bytes() const { return cols ? ((cols - 1) * static_cast<uint64_t>(ld) + rows) * sizeof(float) : 0; }
};

struct FakePreference {
  uint64_t workspace = 0;
  uint32_t alignments[4] = {256, 256, 256, 256};
};

/// What the heuristic puts into an algorithm.
struct Chosen {
  uint64_t workspace;
  uint32_t alignments[4];
};

struct Product {
  uint64_t a, b, c, d, workspace;
  FakeLayout aLayout, bLayout, cLayout;
  int transA, transB;
  uint64_t m, n, k;
  float alpha, beta;
};

constexpr uint64_t kWanted = 1 << 20;

Code explain(Code code, const char *why) {
  std::fprintf(stderr, "fake cublasLt: %s\n", why);
  return code;
}

template <typename T, typename Opaque>
T &the(Opaque *handle) {
  return *reinterpret_cast<T *>(handle);
}

bool shapes(const FakeDesc &desc, const FakeLayout &a, const FakeLayout &b, const FakeLayout &c, Product &product) {
  product.m = desc.transA == kTrans ? a.cols : a.rows;
  product.k = desc.transA == kTrans ? a.rows : a.cols;
  product.n = desc.transB == kTrans ? b.rows : b.cols;
  uint64_t inner = desc.transB == kTrans ? b.cols : b.rows;
  return inner == product.k && c.rows == product.m && c.cols == product.n;
}

int run(const void *data) {
  Product p;
  std::memcpy(&p, data, sizeof p);
  auto *a = static_cast<const float *>(fakeCudaMemory(p.a, p.aLayout.bytes(), 0));
  auto *b = static_cast<const float *>(fakeCudaMemory(p.b, p.bLayout.bytes(), 0));
  // C is not read where it counts for nothing.
  auto *c = p.beta == 0 ? nullptr : static_cast<const float *>(fakeCudaMemory(p.c, p.cLayout.bytes(), 0));
  auto *d = static_cast<float *>(fakeCudaMemory(p.d, p.cLayout.bytes(), 1));
  if (!a || !b || !d || (p.beta != 0 && !c) || (p.workspace && !fakeCudaMemory(p.workspace, kWanted, 1)))
    return explain(cuda::kIllegalAddress, "an operand is not in memory, or was never written");
  auto at = [](const float *matrix, const FakeLayout &layout, bool trans, uint64_t row, uint64_t col) {
    return matrix[(trans ? row : col) * static_cast<uint64_t>(layout.ld) + (trans ? col : row)];
  };
  for (uint64_t col = 0; col < p.n; ++col)
    for (uint64_t row = 0; row < p.m; ++row) {
      float sum = 0;
      for (uint64_t i = 0; i < p.k; ++i)
        sum += at(a, p.aLayout, p.transA == kTrans, row, i) * at(b, p.bLayout, p.transB == kTrans, i, col);
      uint64_t place = col * static_cast<uint64_t>(p.cLayout.ld) + row;
      d[place] = p.alpha * sum + (c ? p.beta * c[place] : 0.0f);
    }
  return cuda::kSuccess;
}
} // namespace

extern "C" {
#define PEER_CUBLASLT_DECLARE(member, symbol, parameters) __attribute__((visibility("default"))) Code symbol parameters;
PEER_CUBLASLT_API(PEER_CUBLASLT_DECLARE)
#undef PEER_CUBLASLT_DECLARE
__attribute__((visibility("default"))) unsigned fakeCublasLtHeuristics();
}

namespace {
unsigned heuristics = 0;
}
unsigned fakeCublasLtHeuristics() { return heuristics; }

Code cublasLtCreate(Handle *handle) {
  *handle = reinterpret_cast<Handle>(new int(0));
  return kSuccess;
}
Code cublasLtDestroy(Handle handle) {
  delete &the<int>(handle);
  return kSuccess;
}

Code cublasLtMatmulDescCreate(MatmulDesc *desc, int computeType, int scaleType) {
  if (computeType != kCompute32 || scaleType != kReal32)
    return kNotSupported;
  *desc = reinterpret_cast<MatmulDesc>(new FakeDesc);
  return kSuccess;
}
Code cublasLtMatmulDescSetAttribute(MatmulDesc desc, int attribute, const void *value, size_t bytes) {
  auto &fake = the<FakeDesc>(desc);
  int *target = attribute == kDescTransA ? &fake.transA : attribute == kDescTransB ? &fake.transB : nullptr;
  if (!target || bytes != sizeof *target)
    return kInvalidValue;
  std::memcpy(target, value, bytes);
  return kSuccess;
}
Code cublasLtMatmulDescDestroy(MatmulDesc desc) {
  delete &the<FakeDesc>(desc);
  return kSuccess;
}

Code cublasLtMatrixLayoutCreate(Layout *layout, int type, uint64_t rows, uint64_t cols, int64_t ld) {
  if (type != kReal32 || ld < static_cast<int64_t>(rows))
    return kInvalidValue;
  *layout = reinterpret_cast<Layout>(new FakeLayout{rows, cols, ld});
  return kSuccess;
}
Code cublasLtMatrixLayoutDestroy(Layout layout) {
  delete &the<FakeLayout>(layout);
  return kSuccess;
}

Code cublasLtMatmulPreferenceCreate(Preference *preference) {
  *preference = reinterpret_cast<Preference>(new FakePreference);
  return kSuccess;
}
Code cublasLtMatmulPreferenceSetAttribute(Preference preference, int attribute, const void *value, size_t bytes) {
  auto &fake = the<FakePreference>(preference);
  if (attribute == kMaxWorkspace && bytes == sizeof fake.workspace)
    std::memcpy(&fake.workspace, value, bytes);
  else if (attribute >= kMinAlignmentA && attribute <= kMinAlignmentD && bytes == sizeof fake.alignments[0])
    std::memcpy(&fake.alignments[attribute - kMinAlignmentA], value, bytes);
  else
    return kInvalidValue;
  return kSuccess;
}
Code cublasLtMatmulPreferenceDestroy(Preference preference) {
  delete &the<FakePreference>(preference);
  return kSuccess;
}

Code cublasLtMatmulAlgoGetHeuristic(Handle, MatmulDesc desc, Layout a, Layout b, Layout c, Layout d,
                                    Preference preference, int wanted, Heuristic *results, int *found) {
  Product product{};
  if (wanted < 1)
    return kInvalidValue;
  if (!shapes(the<FakeDesc>(desc), the<FakeLayout>(a), the<FakeLayout>(b), the<FakeLayout>(c), product) || c != d)
    return explain(kInvalidValue, "the operands do not fit");
  ++heuristics;
  *found = 0;
  // A shape that the tests take for one without an algorithm.
  if (product.k == 1000)
    return kNotSupported;
  const auto &fake = the<FakePreference>(preference);
  Chosen chosen{fake.workspace >= kWanted ? kWanted : 0, {}};
  std::memcpy(chosen.alignments, fake.alignments, sizeof chosen.alignments);
  results[0] = {};
  std::memcpy(&results[0].algo, &chosen, sizeof chosen);
  results[0].workspaceBytes = chosen.workspace;
  *found = 1;
  return kSuccess;
}

Code cublasLtMatmul(Handle, MatmulDesc desc, const void *alpha, const void *a, Layout aLayout, const void *b,
                    Layout bLayout, const void *beta, const void *c, Layout cLayout, void *d, Layout dLayout,
                    const Algo *algo, void *workspace, size_t workspaceBytes, cuda::Stream stream) {
  Chosen chosen;
  std::memcpy(&chosen, algo, sizeof chosen);
  auto address = [](const void *pointer) { return reinterpret_cast<uint64_t>(pointer); };
  const void *operands[] = {a, b, c, d};
  for (size_t i = 0; i < 4; ++i)
    if (address(operands[i]) % chosen.alignments[i] != 0)
      return explain(kInvalidValue, "an operand is less aligned than the heuristic was told");
  if (workspaceBytes < chosen.workspace || (chosen.workspace && !workspace))
    return explain(kInvalidValue, "the workspace is too small");
  const auto &fake = the<FakeDesc>(desc);
  Product product{address(a),
                  address(b),
                  address(c),
                  address(d),
                  chosen.workspace ? address(workspace) : 0,
                  the<FakeLayout>(aLayout),
                  the<FakeLayout>(bLayout),
                  the<FakeLayout>(cLayout),
                  fake.transA,
                  fake.transB,
                  0,
                  0,
                  0,
                  *static_cast<const float *>(alpha),
                  *static_cast<const float *>(beta)};
  if (cLayout != dLayout || !shapes(fake, product.aLayout, product.bLayout, product.cLayout, product))
    return explain(kInvalidValue, "the operands do not fit");
  return fakeCudaEnqueue(stream, run, &product, sizeof product) == cuda::kSuccess ? kSuccess : kExecutionFailed;
}

} // namespace peer::runtime::cublaslt
