// The part of the CUDA driver's interface that the runtime calls, declared here so that building needs no CUDA. Handles are opaque;
// enumerations are ints with the documented values. A unit test compares every declaration with the real header where there is one.
#pragma once

#include <cstddef>
#include <cstdint>

namespace peer::runtime::cuda {

using Code = int;
using DeviceOrdinal = int;
using Pointer = unsigned long long;
using Context = struct OpaqueContext *;
using Module = struct OpaqueModule *;
using Function = struct OpaqueFunction *;
using Stream = struct OpaqueStream *;
using Event = struct OpaqueEvent *;
using Graph = struct OpaqueGraph *;
using GraphExec = struct OpaqueGraphExec *;

/// CUresult: the codes that are told apart. Every other one is reported by its name.
enum : Code {
  kSuccess = 0,
  kInvalidValue = 1,
  kOutOfMemory = 2,
  kNotInitialized = 3,
  kNoDevice = 100,
  kInvalidDevice = 101,
  kInvalidImage = 200,
  kInvalidContext = 201,
  kNoBinaryForGpu = 209,
  kInvalidPtx = 218,
  kUnsupportedPtxVersion = 222,
  kInvalidHandle = 400,
  kNotFound = 500,
  kNotReady = 600,
  kIllegalAddress = 700,
  kLaunchOutOfResources = 701,
  kLaunchTimeout = 702,
  kAssert = 710,
  kHardwareStackError = 714,
  kIllegalInstruction = 715,
  kMisalignedAddress = 716,
  kInvalidAddressSpace = 717,
  kInvalidPc = 718,
  kLaunchFailed = 719,
  kNotSupported = 801,
  kCaptureUnsupported = 900,
  kCaptureInvalidated = 901,
  kCaptureUnmatched = 903,
  kCaptureIsolation = 905,
  kCapturedEvent = 907,
};

/// CUdevice_attribute.
enum : int { kSmCount = 16, kCapabilityMajor = 75, kCapabilityMinor = 76, kMaxSharedOptin = 97 };
/// CUfunction_attribute.
enum : int { kFunctionMaxThreads = 0, kFunctionStaticShared = 1, kFunctionMaxDynamicShared = 8 };
/// CUjit_option. Numbers are given in the place of a pointer.
enum : int { kJitErrorLog = 5, kJitErrorLogBytes = 6 };
/// CUstream_flags and CUevent_flags.
enum : unsigned { kStreamNonBlocking = 1, kEventDefault = 0, kEventDisableTiming = 2 };
/// CUstreamCaptureMode. Relaxed: memory may be allocated during a capture.
enum : int { kCaptureGlobal = 0, kCaptureThreadLocal = 1, kCaptureRelaxed = 2 };
/// CUstreamCaptureStatus.
enum : int { kNotCaptured = 0, kCaptureActive = 1, kCaptureBroken = 2 };

/// What a kernel may have of dynamic shared memory without asking.
constexpr unsigned kSharedWithoutAsking = 48 * 1024;

// X(member, symbol, parameters): names with a version are those that the driver exports for what the header calls without one.
#define PEER_CUDA_API(X)                                                                                               \
  X(init, cuInit, (unsigned flags))                                                                                    \
  X(driverGetVersion, cuDriverGetVersion, (int *version))                                                              \
  X(getErrorName, cuGetErrorName, (Code code, const char **text))                                                      \
  X(getErrorString, cuGetErrorString, (Code code, const char **text))                                                  \
  X(deviceGetCount, cuDeviceGetCount, (int *count))                                                                    \
  X(deviceGet, cuDeviceGet, (DeviceOrdinal * device, int ordinal))                                                     \
  X(deviceGetName, cuDeviceGetName, (char *name, int bytes, DeviceOrdinal device))                                     \
  X(deviceGetAttribute, cuDeviceGetAttribute, (int *value, int attribute, DeviceOrdinal device))                       \
  X(primaryCtxRetain, cuDevicePrimaryCtxRetain, (Context * context, DeviceOrdinal device))                             \
  X(primaryCtxRelease, cuDevicePrimaryCtxRelease_v2, (DeviceOrdinal device))                                           \
  X(ctxSetCurrent, cuCtxSetCurrent, (Context context))                                                                 \
  X(memGetInfo, cuMemGetInfo_v2, (size_t *free, size_t *total))                                                        \
  X(memAlloc, cuMemAlloc_v2, (Pointer * pointer, size_t bytes))                                                        \
  X(memFree, cuMemFree_v2, (Pointer pointer))                                                                          \
  X(memAllocHost, cuMemAllocHost_v2, (void **pointer, size_t bytes))                                                   \
  X(memFreeHost, cuMemFreeHost, (void *pointer))                                                                       \
  X(memcpyHtoDAsync, cuMemcpyHtoDAsync_v2, (Pointer to, const void *from, size_t bytes, Stream stream))                \
  X(memcpyDtoHAsync, cuMemcpyDtoHAsync_v2, (void *to, Pointer from, size_t bytes, Stream stream))                      \
  X(memcpyDtoDAsync, cuMemcpyDtoDAsync_v2, (Pointer to, Pointer from, size_t bytes, Stream stream))                    \
  X(memsetD8Async, cuMemsetD8Async, (Pointer to, unsigned char value, size_t count, Stream stream))                    \
  X(memsetD16Async, cuMemsetD16Async, (Pointer to, unsigned short value, size_t count, Stream stream))                 \
  X(memsetD32Async, cuMemsetD32Async, (Pointer to, unsigned value, size_t count, Stream stream))                       \
  X(moduleLoadDataEx, cuModuleLoadDataEx,                                                                              \
    (Module * module, const void *image, unsigned count, int *options, void **values))                                 \
  X(moduleUnload, cuModuleUnload, (Module module))                                                                     \
  X(moduleGetFunction, cuModuleGetFunction, (Function * function, Module module, const char *name))                    \
  X(funcGetAttribute, cuFuncGetAttribute, (int *value, int attribute, Function function))                              \
  X(funcSetAttribute, cuFuncSetAttribute, (Function function, int attribute, int value))                               \
  X(launchKernel, cuLaunchKernel,                                                                                      \
    (Function function, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned blockX, unsigned blockY,              \
     unsigned blockZ, unsigned sharedBytes, Stream stream, void **parameters, void **extra))                           \
  X(streamCreate, cuStreamCreate, (Stream * stream, unsigned flags))                                                   \
  X(streamDestroy, cuStreamDestroy_v2, (Stream stream))                                                                \
  X(streamSynchronize, cuStreamSynchronize, (Stream stream))                                                           \
  X(streamWaitEvent, cuStreamWaitEvent, (Stream stream, Event event, unsigned flags))                                  \
  X(streamIsCapturing, cuStreamIsCapturing, (Stream stream, int *status))                                              \
  X(threadExchangeCaptureMode, cuThreadExchangeStreamCaptureMode, (int *mode))                                         \
  X(streamBeginCapture, cuStreamBeginCapture_v2, (Stream stream, int mode))                                            \
  X(streamEndCapture, cuStreamEndCapture, (Stream stream, Graph * graph))                                              \
  X(graphInstantiate, cuGraphInstantiateWithFlags, (GraphExec * exec, Graph graph, unsigned long long flags))          \
  X(graphLaunch, cuGraphLaunch, (GraphExec exec, Stream stream))                                                       \
  X(graphDestroy, cuGraphDestroy, (Graph graph))                                                                       \
  X(graphExecDestroy, cuGraphExecDestroy, (GraphExec exec))                                                            \
  X(eventCreate, cuEventCreate, (Event * event, unsigned flags))                                                       \
  X(eventDestroy, cuEventDestroy_v2, (Event event))                                                                    \
  X(eventRecord, cuEventRecord, (Event event, Stream stream))                                                          \
  X(eventSynchronize, cuEventSynchronize, (Event event))                                                               \
  X(eventElapsedTime, cuEventElapsedTime, (float *milliseconds, Event start, Event end))

// What older drivers do not have, and the runtime can do without.
#define PEER_CUDA_OPTIONAL_API(X)                                                                                      \
  X(funcGetParamInfo, cuFuncGetParamInfo, (Function function, size_t index, size_t *offset, size_t *bytes))

/// The driver's functions, once found; optional ones are null where it has none.
struct DriverApi {
#define PEER_CUDA_MEMBER(member, symbol, parameters) Code(*member) parameters = nullptr;
  PEER_CUDA_API(PEER_CUDA_MEMBER)
  PEER_CUDA_OPTIONAL_API(PEER_CUDA_MEMBER)
#undef PEER_CUDA_MEMBER
};

} // namespace peer::runtime::cuda
