#include "Blas.h"

#include "core/Allocator.h"
#include "core/Memory.h"
#include "core/Tensor.h"
#include "device/Hooks.h"
#include "device/cpu/PanelProduct.h"

#include <algorithm>
#include <atomic>
#include <climits>
#include <condition_variable>
#include <cstdlib>
#include <dlfcn.h>
#include <mutex>
#include <omp.h>
#include <vector>

namespace peer::runtime {

namespace {
constexpr char kCoreType[] = "OPENBLAS_CORETYPE";
// CBLAS's constants and signatures, so that building needs no header of it.
constexpr int kRowMajor = 101, kNoTrans = 111, kTrans = 112;
using Sgemm = void (*)(int, int, int, int, int, int, float, const float *, int, const float *, int, float, float *,
                       int);
using Sgemv = void (*)(int, int, int, int, float, const float *, int, const float *, int, float, float *, int);

struct Blas {
  Sgemm sgemm = nullptr;
  Sgemv sgemv = nullptr;
  std::string core;
  /// What our own products may take: a person who chose kernels holds them to these, too.
  BlasVectors widest = BlasVectors::Avx512;
  /// How many calls may run at once; 0: any number. The serial flavour hands its work buffers out without a lock, so that two calls at once
  /// compute in the same one; and each call at the same time needs a buffer.
  int most = 0;
  Status status;
};

/// OpenBLAS gives each call at the same time a work buffer of this many addresses, of which a product touches what it needs, and asks for ever
/// where it does not get them.
constexpr uint64_t kBufferBytes = 134'225'920;
/// So many calls are never at the same time.
constexpr uint64_t kMostCalls = 1 << 16;

/// Lets threads multiply at once, so that each has its buffer before tables and activations take the addresses. The
/// product lasts long enough for them to meet, in one round or another, and is too large for kernels without a buffer.
void takeBuffers(Sgemm sgemm, int threads) {
  constexpr int n = 192;
#pragma omp parallel num_threads(threads)
  {
    std::vector<float> a(n * n), b(n * n), c(n * n);
    for (int round = 0; round < 8; ++round) {
#pragma omp barrier
      sgemm(kRowMajor, kNoTrans, kNoTrans, n, n, n, 1, a.data(), n, b.data(), n, 0, c.data(), n);
    }
  }
}

/// Flavours have folders of their own; under the plain name any may be installed. Null: there is none.
void *load() {
  void *handle = dlopen(PEER_OPENBLAS_PATH, RTLD_NOW | RTLD_LOCAL);
  return handle ? handle : dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
}

std::string coreOf(void *handle) {
  auto name = reinterpret_cast<char *(*)()>(dlsym(handle, "openblas_get_corename"));
  return name ? name() : "";
}

/// Set by who opens it: asking for the name of its kernels does not.
std::atomic<bool> opened{false};

Blas open() {
  opened = true;
  Blas blas;
  int callers = omp_get_max_threads();
  // Threads first: their stacks and what the C library keeps for each take addresses, too.
  std::atomic<int> started{0};
#pragma omp parallel
  started.fetch_add(1, std::memory_order_relaxed);
  uint64_t addresses = availableAddresses();
  if (addresses < kBufferBytes) {
    blas.status = Status::error("computing with 1 thread needs ", bytesText(kBufferBytes), " of addresses, ",
                                bytesText(addresses), " available (ulimit -v, or vm.overcommit_memory=2)");
    return blas;
  }
  // Where addresses are few, half of them are for tables and activations, and calls wait for each other.
  if (uint64_t buffers = std::max<uint64_t>(1, addresses / 2 / kBufferBytes); buffers < kMostCalls)
    blas.most = static_cast<int>(buffers);
  // A threaded flavour must not start threads of its own: products are called from OpenMP's. It starts them when it is
  // loaded, each with a buffer.
  setenv("OPENBLAS_NUM_THREADS", "1", 1);
  void *handle = load();
  if (const char *better = handle ? widerKernels(coreOf(handle)) : nullptr; better && !std::getenv(kCoreType)) {
    // Its choice is made while it is loaded. What another library of the process holds stays as it is, and advice is given.
    setenv(kCoreType, better, 1);
    dlclose(handle);
    handle = load();
    unsetenv(kCoreType);
  }
  if (!handle) {
    blas.status = Status::error("cannot load OpenBLAS (Debian: libopenblas0-pthread): ", dlerror());
    return blas;
  }
  blas.sgemm = reinterpret_cast<Sgemm>(dlsym(handle, "cblas_sgemm"));
  blas.sgemv = reinterpret_cast<Sgemv>(dlsym(handle, "cblas_sgemv"));
  if (!blas.sgemm || !blas.sgemv)
    blas.status = Status::error("the OpenBLAS found has no cblas_sgemm");
  blas.core = coreOf(handle);
  if (BlasVectors chosen = vectorsOf(blas.core); std::getenv(kCoreType) && chosen != BlasVectors::Unknown)
    blas.widest = chosen;
  // One that was loaded before us has its threads already.
  if (auto threads = reinterpret_cast<void (*)(int)>(dlsym(handle, "openblas_set_num_threads")))
    threads(1);
  auto parallel = reinterpret_cast<int (*)()>(dlsym(handle, "openblas_get_parallel"));
  if (!parallel || parallel() == 0)
    blas.most = 1;
  // Without a limit there is nothing that tables could take away.
  if (blas.status.ok() && blas.most > 0)
    takeBuffers(blas.sgemm, std::min(blas.most, callers));
  return blas;
}

const Blas &blas() {
  static const Blas instance = open();
  return instance;
}

/// Held during a call: at most so many are at the same time.
class Turn {
public:
  explicit Turn(int most) : most(most) {
    if (most == 0)
      return;
    std::unique_lock lock(mutex());
    changed().wait(lock, [&] { return running() < most; });
    ++running();
  }
  ~Turn() {
    if (most == 0)
      return;
    {
      std::lock_guard lock(mutex());
      --running();
    }
    changed().notify_one();
  }
  Turn(const Turn &) = delete;
  Turn &operator=(const Turn &) = delete;

private:
  static std::mutex &mutex() {
    static std::mutex instance;
    return instance;
  }
  static std::condition_variable &changed() {
    static std::condition_variable instance;
    return instance;
  }
  static int &running() {
    static int count = 0;
    return count;
  }
  int most;
};
} // namespace

Status loadBlas() { return blas().status; }
std::string productsText() {
  int64_t lanes = panelLanes(blas().widest);
  return concat(lanes > 0 ? concat("panels of ", lanes, " lanes, ") : std::string(), "BLAS kernels: ", blas().core);
}
std::string blasCore() { return opened ? blas().core : std::string(); }

} // namespace peer::runtime

using namespace peer::runtime;

void peer_rt_sgemm(int64_t transA, int64_t transB, int64_t m, int64_t n, int64_t k, float alpha, const float *a,
                   int64_t lda, const float *b, int64_t ldb, float beta, float *c, int64_t ldc) {
  if (m <= 0 || n <= 0)
    return;
  if (k <= 0) {
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < n; ++j)
        c[i * ldc + j] = beta == 0 ? 0 : beta * c[i * ldc + j];
    return;
  }
  const Blas &library = blas();
  if (!library.status.ok())
    failInCompiledCode(library.status.message());
  if (m > 1 && n > 1 &&
      multiplyInPanels(transA != 0, transB != 0, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc, library.widest))
    return;
  if (std::max({m, n, k, lda, ldb, ldc}) > INT_MAX)
    failInCompiledCode(
        concat("a matrix product of ", m, " x ", n, " x ", k, " is too large for the BLAS, which counts in 32 bits"));
  Turn turn(library.most);
  auto i32 = [](int64_t value) { return static_cast<int>(value); };
  // Vectors: gemm would copy the whole matrix into its packed form first.
  if (m == 1)
    library.sgemv(kRowMajor, transB ? kNoTrans : kTrans, i32(transB ? n : k), i32(transB ? k : n), alpha, b, i32(ldb),
                  a, i32(transA ? lda : 1), beta, c, 1);
  else if (n == 1)
    library.sgemv(kRowMajor, transA ? kTrans : kNoTrans, i32(transA ? k : m), i32(transA ? m : k), alpha, a, i32(lda),
                  b, i32(transB ? 1 : ldb), beta, c, i32(ldc));
  else
    library.sgemm(kRowMajor, transA ? kTrans : kNoTrans, transB ? kTrans : kNoTrans, i32(m), i32(n), i32(k), alpha, a,
                  i32(lda), b, i32(ldb), beta, c, i32(ldc));
}
