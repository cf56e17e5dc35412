// cuBLASLt, opened at run time: products of f32 matrices on a CUDA stream.
//
// PEER_CUBLASLT_LIBRARY may give the path of the library; empty, it says that none is to be used.
#pragma once

#include "CublasLtApi.h"
#include "device/gpu/GpuDevice.h"

#include <map>
#include <memory>

namespace peer::runtime::cuda {

class CublasLt {
public:
  /// Opens the library in the current context; null where there is none. Fails where one was named that cannot be used.
  static Result<std::unique_ptr<CublasLt>> open(const DriverApi &driver);
  ~CublasLt();
  CublasLt(const CublasLt &) = delete;
  CublasLt &operator=(const CublasLt &) = delete;

  /// Puts a product on the stream, in plain f32. False: the library has no way to compute it. The same shape is computed in the same way.
  Result<bool> matmul(const MatrixProduct &product, Stream stream);

private:
  /// How products of one shape are computed.
  struct Plan {
    cublaslt::MatmulDesc desc = nullptr;
    cublaslt::Layout first = nullptr, second = nullptr, result = nullptr;
    cublaslt::Heuristic chosen{};
    bool found = false;
  };
  struct Shape {
    bool transA, transB;
    int64_t m, n, k, lda, ldb, ldc;
    /// Powers of two that the addresses are multiples of.
    uint32_t alignA, alignB, alignC;
    auto operator<=>(const Shape &) const = default;
  };

  CublasLt(const DriverApi &driver, const cublaslt::Api &api) : driver(driver), api(api) {}
  cublaslt::Code makePlan(const Shape &shape, Plan &plan) const;
  cublaslt::Code chooseAlgorithm(const Shape &shape, Plan &plan) const;

  const DriverApi &driver;
  cublaslt::Api api;
  cublaslt::Handle handle = nullptr;
  Pointer workspace = 0;
  uint64_t workspaceBytes = 0;
  std::map<Shape, Plan> plans;
};

} // namespace peer::runtime::cuda
