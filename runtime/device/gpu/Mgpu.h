// What host code compiled for a GPU calls: upstream's names, as MLIR's lowering of the gpu dialect emits them, and two of our own.
//
// They return no status. The first error of a call stays with it (DeviceCall) and the session reports it; what follows does nothing.
// There is one stream: creating one names it, and synchronising does nothing, since the session does so at the end of a call.
#pragma once

#include <cstddef>
#include <cstdint>

extern "C" {
/// Announce a module, from a global constructor: PTX that ends with a zero (JIT), or machine code.
void *mgpuModuleLoadJIT(void *data, int optLevel);
void *mgpuModuleLoad(void *data, size_t bytes);
void mgpuModuleUnload(void *module);
void *mgpuModuleGetFunction(void *module, const char *name);

void mgpuLaunchKernel(void *function, intptr_t gridX, intptr_t gridY, intptr_t gridZ, intptr_t blockX, intptr_t blockY,
                      intptr_t blockZ, int32_t sharedBytes, void *stream, void **parameters, void **extra,
                      size_t parameterCount);

void *mgpuStreamCreate();
void mgpuStreamDestroy(void *stream);
void mgpuStreamSynchronize(void *stream);
void mgpuStreamWaitEvent(void *stream, void *event);
void *mgpuEventCreate();
void mgpuEventDestroy(void *event);
void mgpuEventSynchronize(void *event);
void mgpuEventRecord(void *event, void *stream);

/// Memory of the call in progress; null where there is none left.
void *mgpuMemAlloc(uint64_t bytes, void *stream, bool isHostShared);
void mgpuMemFree(void *pointer, void *stream);
/// Within the device.
void mgpuMemcpy(void *to, void *from, size_t bytes, void *stream);
void mgpuMemset32(void *to, unsigned int value, size_t count, void *stream);
void mgpuMemset16(void *to, unsigned short value, size_t count, void *stream);
void mgpuSetDefaultDevice(int32_t device);

/// C = alpha * op(A) op(B) + beta * C in f32, row-major, on the device; C is m x n, a non-zero trans takes the stored matrix transposed. Returns
/// 1 when the device's library does it (or the call failed before), 0 when there is none and the caller has to launch a kernel of its own.
int8_t peer_rt_matmul(void *stream, int64_t transA, int64_t transB, int64_t m, int64_t n, int64_t k, float alpha,
                      const void *a, int64_t lda, const void *b, int64_t ldb, float beta, void *c, int64_t ldc);
}
