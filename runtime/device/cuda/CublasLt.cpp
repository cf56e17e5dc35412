#include "CublasLt.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <dlfcn.h>

namespace peer::runtime::cuda {

namespace {
/// What NVIDIA recommends for its newer GPUs.
constexpr uint64_t kWorkspaceBytes = uint64_t{32} << 20;
/// The heuristic assumes this alignment where it is told nothing.
constexpr uint32_t kMostAlignment = 256;
/// A newer library than the driver supports loads, but makes no handle.
constexpr std::array kLibraries{"libcublasLt.so.13", "libcublasLt.so.12", "libcublasLt.so.11", "libcublasLt.so"};

uint32_t alignmentOf(DeviceAddress address) {
  return address ? static_cast<uint32_t>(std::min<uint64_t>(kMostAlignment, uint64_t{1} << std::countr_zero(address)))
                 : kMostAlignment;
}

bool findAll(void *library, cublaslt::Api &api) {
  bool all = true;
#define PEER_CUBLASLT_FIND(member, symbol, parameters)                                                                 \
  api.member = reinterpret_cast<decltype(api.member)>(dlsym(library, #symbol));                                        \
  all = all && api.member;
  PEER_CUBLASLT_API(PEER_CUBLASLT_FIND)
#undef PEER_CUBLASLT_FIND
  return all;
}
} // namespace

Result<std::unique_ptr<CublasLt>> CublasLt::open(const DriverApi &driver) {
  const char *given = std::getenv("PEER_CUBLASLT_LIBRARY");
  std::vector<const char *> names(kLibraries.begin(), kLibraries.end());
  if (given)
    names = *given ? std::vector{given} : std::vector<const char *>{};
  std::unique_ptr<CublasLt> library;
  for (const char *name : names) {
    void *loaded = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    cublaslt::Api api;
    cublaslt::Handle handle = nullptr;
    if (!loaded || !findAll(loaded, api) || api.create(&handle) != cublaslt::kSuccess) {
      if (given)
        return Status::error("PEER_CUBLASLT_LIBRARY names ", name, ", which is no usable cuBLASLt");
      continue;
    }
    library.reset(new CublasLt(driver, api));
    library->handle = handle;
    break;
  }
  // Without memory for it only algorithms that need none are chosen.
  if (library && driver.memAlloc(&library->workspace, kWorkspaceBytes) == cuda::kSuccess)
    library->workspaceBytes = kWorkspaceBytes;
  return library;
}

CublasLt::~CublasLt() {
  for (auto &[shape, plan] : plans) {
    for (cublaslt::Layout layout : {plan.first, plan.second, plan.result})
      if (layout)
        (void)api.layoutDestroy(layout);
    if (plan.desc)
      (void)api.descDestroy(plan.desc);
  }
  (void)api.destroy(handle);
  if (workspaceBytes)
    (void)driver.memFree(workspace);
}

// The library's matrices are column-major. A row-major matrix is the transpose of the column-major one in the same memory, so that
// C^T = op(B)^T op(A)^T is asked for: B comes first, and each operand's transposition is the one given.
cublaslt::Code CublasLt::makePlan(const Shape &shape, Plan &plan) const {
  auto u64 = [](int64_t value) { return static_cast<uint64_t>(value); };
  cublaslt::Code code = api.descCreate(&plan.desc, cublaslt::kCompute32, cublaslt::kReal32);
  auto step = [&](auto call) {
    if (code == cublaslt::kSuccess)
      code = call();
  };
  int transFirst = shape.transB ? cublaslt::kTrans : cublaslt::kNoTrans;
  int transSecond = shape.transA ? cublaslt::kTrans : cublaslt::kNoTrans;
  step([&] { return api.descSet(plan.desc, cublaslt::kDescTransA, &transFirst, sizeof transFirst); });
  step([&] { return api.descSet(plan.desc, cublaslt::kDescTransB, &transSecond, sizeof transSecond); });
  auto layout = [&](cublaslt::Layout &made, int64_t rows, int64_t cols, int64_t ld) {
    step([&] { return api.layoutCreate(&made, cublaslt::kReal32, u64(cols), u64(rows), ld); });
  };
  layout(plan.first, shape.transB ? shape.n : shape.k, shape.transB ? shape.k : shape.n, shape.ldb);
  layout(plan.second, shape.transA ? shape.k : shape.m, shape.transA ? shape.m : shape.k, shape.lda);
  layout(plan.result, shape.m, shape.n, shape.ldc);
  step([&] { return chooseAlgorithm(shape, plan); });
  return code;
}

cublaslt::Code CublasLt::chooseAlgorithm(const Shape &shape, Plan &plan) const {
  cublaslt::Preference preference = nullptr;
  if (cublaslt::Code code = api.preferenceCreate(&preference))
    return code;
  cublaslt::Code code = cublaslt::kSuccess;
  auto set = [&](int attribute, auto value) {
    if (code == cublaslt::kSuccess)
      code = api.preferenceSet(preference, attribute, &value, sizeof value);
  };
  set(cublaslt::kMaxWorkspace, workspaceBytes);
  set(cublaslt::kMinAlignmentA, shape.alignB);
  set(cublaslt::kMinAlignmentB, shape.alignA);
  set(cublaslt::kMinAlignmentC, shape.alignC);
  set(cublaslt::kMinAlignmentD, shape.alignC);
  int count = 0;
  if (code == cublaslt::kSuccess)
    code = api.heuristic(handle, plan.desc, plan.first, plan.second, plan.result, plan.result, preference, 1,
                         &plan.chosen, &count);
  (void)api.preferenceDestroy(preference);
  plan.found = code == cublaslt::kSuccess && count > 0 && plan.chosen.state == cublaslt::kSuccess;
  // That there is no algorithm is an answer, not an error.
  return code == cublaslt::kNotSupported ? cublaslt::kSuccess : code;
}

Result<bool> CublasLt::matmul(const MatrixProduct &p, Stream stream) {
  if (p.m <= 0 || p.n <= 0)
    return true;
  // Nothing to multiply, but C may have to be scaled: nothing a library of products does.
  if (p.k <= 0)
    return false;
  Shape shape{p.transA,         p.transB,        p.m, p.n, p.k, p.lda, p.ldb, p.ldc, alignmentOf(p.a),
              alignmentOf(p.b), alignmentOf(p.c)};
  auto failed = [&](cublaslt::Code code) {
    return Status::error("cuBLASLt failed with status ", code, " at a product of ", p.m, " x ", p.n, " x ", p.k);
  };
  auto [entry, isNew] = plans.try_emplace(shape);
  Plan &plan = entry->second;
  if (isNew)
    if (cublaslt::Code code = makePlan(shape, plan))
      return failed(code);
  if (!plan.found)
    return false;
  auto pointer = [](uint64_t address) { return reinterpret_cast<void *>(address); };
  cublaslt::Code code = api.matmul(handle, plan.desc, &p.alpha, pointer(p.b), plan.first, pointer(p.a), plan.second,
                                   &p.beta, pointer(p.c), plan.result, pointer(p.c), plan.result, &plan.chosen.algo,
                                   pointer(workspace), workspaceBytes, stream);
  if (code != cublaslt::kSuccess)
    return failed(code);
  return true;
}

} // namespace peer::runtime::cuda
