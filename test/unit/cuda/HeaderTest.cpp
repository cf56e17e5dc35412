// The declarations of the driver and of cuBLASLt beside the real headers, where there are any.
#include "device/cuda/CublasLtApi.h"

#include <gtest/gtest.h>
#include <type_traits>

#if __has_include(<cuda.h>) && __has_include(<cublasLt.h>)
#include <cublasLt.h>
#include <cuda.h>

namespace peer::runtime {

namespace {
/// The values of two enumerations.
constexpr bool same(int ours, int theirs) { return ours == theirs; }

/// Whether two types are passed in the same way: an int stands for an enumeration, any pointer for any other.
template <typename A, typename B>
constexpr bool kSameInCalls = sizeof(A) == sizeof(B) && std::is_pointer_v<A> == std::is_pointer_v<B> &&
                              std::is_floating_point_v<A> == std::is_floating_point_v<B>;

template <typename A, typename B>
struct SameCall : std::false_type {};
template <typename R, typename... A, typename S, typename... B>
  requires(sizeof...(A) == sizeof...(B))
struct SameCall<R (*)(A...), S (*)(B...)>
    : std::bool_constant<kSameInCalls<R, S> && (kSameInCalls<A, B> && ... && true)> {};

#define PEER_SAME_CALL(member, symbol, parameters)                                                                     \
  static_assert(SameCall<decltype(Table::member), decltype(&::symbol)>::value, #symbol);
namespace driver {
using Table = cuda::DriverApi;
PEER_CUDA_API(PEER_SAME_CALL)
PEER_CUDA_OPTIONAL_API(PEER_SAME_CALL)
} // namespace driver
namespace library {
using Table = cublaslt::Api;
PEER_CUBLASLT_API(PEER_SAME_CALL)
} // namespace library

static_assert(same(cuda::kInvalidValue, CUDA_ERROR_INVALID_VALUE) &&
              same(cuda::kOutOfMemory, CUDA_ERROR_OUT_OF_MEMORY));
static_assert(same(cuda::kNotInitialized, CUDA_ERROR_NOT_INITIALIZED) && same(cuda::kNoDevice, CUDA_ERROR_NO_DEVICE));
static_assert(same(cuda::kInvalidDevice, CUDA_ERROR_INVALID_DEVICE) &&
              same(cuda::kInvalidImage, CUDA_ERROR_INVALID_IMAGE));
static_assert(same(cuda::kInvalidContext, CUDA_ERROR_INVALID_CONTEXT));
static_assert(same(cuda::kNoBinaryForGpu, CUDA_ERROR_NO_BINARY_FOR_GPU) &&
              same(cuda::kInvalidPtx, CUDA_ERROR_INVALID_PTX));
static_assert(same(cuda::kUnsupportedPtxVersion, CUDA_ERROR_UNSUPPORTED_PTX_VERSION));
static_assert(same(cuda::kInvalidHandle, CUDA_ERROR_INVALID_HANDLE) && same(cuda::kNotFound, CUDA_ERROR_NOT_FOUND));
static_assert(same(cuda::kNotReady, CUDA_ERROR_NOT_READY) && same(cuda::kIllegalAddress, CUDA_ERROR_ILLEGAL_ADDRESS));
static_assert(same(cuda::kLaunchOutOfResources, CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES));
static_assert(same(cuda::kLaunchTimeout, CUDA_ERROR_LAUNCH_TIMEOUT) && same(cuda::kAssert, CUDA_ERROR_ASSERT));
static_assert(same(cuda::kHardwareStackError, CUDA_ERROR_HARDWARE_STACK_ERROR));
static_assert(same(cuda::kIllegalInstruction, CUDA_ERROR_ILLEGAL_INSTRUCTION));
static_assert(same(cuda::kMisalignedAddress, CUDA_ERROR_MISALIGNED_ADDRESS));
static_assert(same(cuda::kInvalidAddressSpace, CUDA_ERROR_INVALID_ADDRESS_SPACE));
static_assert(same(cuda::kInvalidPc, CUDA_ERROR_INVALID_PC) && same(cuda::kLaunchFailed, CUDA_ERROR_LAUNCH_FAILED));
static_assert(same(cuda::kNotSupported, CUDA_ERROR_NOT_SUPPORTED));
static_assert(same(cuda::kCaptureUnsupported, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED));
static_assert(same(cuda::kCaptureInvalidated, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED));
static_assert(same(cuda::kCaptureUnmatched, CUDA_ERROR_STREAM_CAPTURE_UNMATCHED));
static_assert(same(cuda::kCaptureIsolation, CUDA_ERROR_STREAM_CAPTURE_ISOLATION));
static_assert(same(cuda::kCapturedEvent, CUDA_ERROR_CAPTURED_EVENT));

static_assert(same(cuda::kSmCount, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT));
static_assert(same(cuda::kCapabilityMajor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR));
static_assert(same(cuda::kCapabilityMinor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR));
static_assert(same(cuda::kMaxSharedOptin, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN));
static_assert(same(cuda::kFunctionMaxThreads, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK));
static_assert(same(cuda::kFunctionStaticShared, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES));
static_assert(same(cuda::kFunctionMaxDynamicShared, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES));
static_assert(same(cuda::kJitErrorLog, CU_JIT_ERROR_LOG_BUFFER));
static_assert(same(cuda::kJitErrorLogBytes, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES));
static_assert(same(cuda::kStreamNonBlocking, CU_STREAM_NON_BLOCKING) && same(cuda::kEventDefault, CU_EVENT_DEFAULT));
static_assert(same(cuda::kEventDisableTiming, CU_EVENT_DISABLE_TIMING));
static_assert(same(cuda::kCaptureGlobal, CU_STREAM_CAPTURE_MODE_GLOBAL));
static_assert(same(cuda::kCaptureThreadLocal, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
static_assert(same(cuda::kCaptureRelaxed, CU_STREAM_CAPTURE_MODE_RELAXED));
static_assert(same(cuda::kNotCaptured, CU_STREAM_CAPTURE_STATUS_NONE));
static_assert(same(cuda::kCaptureActive, CU_STREAM_CAPTURE_STATUS_ACTIVE));
static_assert(same(cuda::kCaptureBroken, CU_STREAM_CAPTURE_STATUS_INVALIDATED));

static_assert(same(cublaslt::kSuccess, CUBLAS_STATUS_SUCCESS) &&
              same(cublaslt::kInvalidValue, CUBLAS_STATUS_INVALID_VALUE));
static_assert(same(cublaslt::kExecutionFailed, CUBLAS_STATUS_EXECUTION_FAILED));
static_assert(same(cublaslt::kNotSupported, CUBLAS_STATUS_NOT_SUPPORTED));
static_assert(same(cublaslt::kReal32, CUDA_R_32F) && same(cublaslt::kCompute32, CUBLAS_COMPUTE_32F));
static_assert(same(cublaslt::kNoTrans, CUBLAS_OP_N) && same(cublaslt::kTrans, CUBLAS_OP_T));
static_assert(same(cublaslt::kDescTransA, CUBLASLT_MATMUL_DESC_TRANSA));
static_assert(same(cublaslt::kDescTransB, CUBLASLT_MATMUL_DESC_TRANSB));
static_assert(same(cublaslt::kMaxWorkspace, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES));
static_assert(same(cublaslt::kMinAlignmentA, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES));
static_assert(same(cublaslt::kMinAlignmentB, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES));
static_assert(same(cublaslt::kMinAlignmentC, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES));
static_assert(same(cublaslt::kMinAlignmentD, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES));

using RealHeuristic = cublasLtMatmulHeuristicResult_t;
static_assert(sizeof(cublaslt::Algo) == sizeof(cublasLtMatmulAlgo_t));
static_assert(sizeof(cublaslt::Heuristic) == sizeof(RealHeuristic));
static_assert(offsetof(cublaslt::Heuristic, workspaceBytes) == offsetof(RealHeuristic, workspaceSize));
static_assert(offsetof(cublaslt::Heuristic, state) == offsetof(RealHeuristic, state));
static_assert(offsetof(cublaslt::Heuristic, waves) == offsetof(RealHeuristic, wavesCount));
} // namespace

TEST(CudaHeaders, AgreeWithTheDeclarations) { SUCCEED() << "checked by the compiler"; }

} // namespace peer::runtime
#else
TEST(CudaHeaders, AgreeWithTheDeclarations) { GTEST_SKIP() << "no CUDA headers on this machine"; }
#endif
