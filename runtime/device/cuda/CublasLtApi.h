// The part of cuBLASLt's interface that the runtime calls, declared here so that building needs no CUDA. A unit test compares every
// declaration with the real header where there is one.
#pragma once

#include "CudaApi.h"

namespace peer::runtime::cublaslt {

using Code = int;
using Handle = struct OpaqueHandle *;
using MatmulDesc = struct OpaqueMatmulDesc *;
using Layout = struct OpaqueLayout *;
using Preference = struct OpaquePreference *;

/// cublasStatus_t.
enum : Code { kSuccess = 0, kInvalidValue = 7, kExecutionFailed = 13, kNotSupported = 15 };
/// cudaDataType, cublasComputeType_t, cublasOperation_t. The compute type is plain f32, never TF32.
enum : int { kReal32 = 0, kCompute32 = 68, kNoTrans = 0, kTrans = 1 };
/// cublasLtMatmulDescAttributes_t, cublasLtMatmulPreferenceAttributes_t.
enum : int { kDescTransA = 3, kDescTransB = 4 };
enum : int { kMaxWorkspace = 1, kMinAlignmentA = 5, kMinAlignmentB = 6, kMinAlignmentC = 7, kMinAlignmentD = 8 };

/// cublasLtMatmulAlgo_t.
struct Algo {
  uint64_t data[8];
};

/// cublasLtMatmulHeuristicResult_t.
struct Heuristic {
  Algo algo;
  size_t workspaceBytes;
  Code state;
  float waves;
  int reserved[4];
};

// X(member, symbol, parameters)
#define PEER_CUBLASLT_API(X)                                                                                           \
  X(create, cublasLtCreate, (Handle * handle))                                                                         \
  X(destroy, cublasLtDestroy, (Handle handle))                                                                         \
  X(descCreate, cublasLtMatmulDescCreate, (MatmulDesc * desc, int computeType, int scaleType))                         \
  X(descSet, cublasLtMatmulDescSetAttribute, (MatmulDesc desc, int attribute, const void *value, size_t bytes))        \
  X(descDestroy, cublasLtMatmulDescDestroy, (MatmulDesc desc))                                                         \
  X(layoutCreate, cublasLtMatrixLayoutCreate, (Layout * layout, int type, uint64_t rows, uint64_t cols, int64_t ld))   \
  X(layoutDestroy, cublasLtMatrixLayoutDestroy, (Layout layout))                                                       \
  X(preferenceCreate, cublasLtMatmulPreferenceCreate, (Preference * preference))                                       \
  X(preferenceSet, cublasLtMatmulPreferenceSetAttribute,                                                               \
    (Preference preference, int attribute, const void *value, size_t bytes))                                           \
  X(preferenceDestroy, cublasLtMatmulPreferenceDestroy, (Preference preference))                                       \
  X(heuristic, cublasLtMatmulAlgoGetHeuristic,                                                                         \
    (Handle handle, MatmulDesc desc, Layout a, Layout b, Layout c, Layout d, Preference preference, int wanted,        \
     Heuristic *results, int *found))                                                                                  \
  X(matmul, cublasLtMatmul,                                                                                            \
    (Handle handle, MatmulDesc desc, const void *alpha, const void *a, Layout aLayout, const void *b, Layout bLayout,  \
     const void *beta, const void *c, Layout cLayout, void *d, Layout dLayout, const Algo *algo, void *workspace,      \
     size_t workspaceBytes, cuda::Stream stream))

/// The library's functions, once found.
struct Api {
#define PEER_CUBLASLT_MEMBER(member, symbol, parameters) Code(*member) parameters = nullptr;
  PEER_CUBLASLT_API(PEER_CUBLASLT_MEMBER)
#undef PEER_CUBLASLT_MEMBER
};

} // namespace peer::runtime::cublaslt
