#include "Mgpu.h"

#include "DeviceCall.h"

using namespace peer::runtime;

namespace {
/// Stands for the one stream and for every event on it: compiled code only passes them back.
char stream;

DeviceAddress addressOf(const void *pointer) { return reinterpret_cast<DeviceAddress>(pointer); }

/// Does `operation` (DeviceCall & -> Status) in the call in progress.
template <typename Operation>
void inCall(Operation operation) {
  if (DeviceCall *call = DeviceCall::current())
    call->run([&] { return operation(*call); });
}

bool fitsIn32Bits(intptr_t value) { return value >= 0 && value <= UINT32_MAX; }
} // namespace

void *mgpuModuleLoadJIT(void *data, int optLevel) { return new ModuleRecord{data, 0, true, {}}; }
void *mgpuModuleLoad(void *data, size_t bytes) { return new ModuleRecord{data, bytes, false, {}}; }
void mgpuModuleUnload(void *module) { delete static_cast<ModuleRecord *>(module); }

void *mgpuModuleGetFunction(void *module, const char *name) {
  return module ? static_cast<ModuleRecord *>(module)->kernel(name) : nullptr;
}

void mgpuLaunchKernel(void *function, intptr_t gridX, intptr_t gridY, intptr_t gridZ, intptr_t blockX, intptr_t blockY,
                      intptr_t blockZ, int32_t sharedBytes, void *, void **parameters, void **, size_t parameterCount) {
  inCall([&](DeviceCall &call) -> Status {
    if (!function)
      return Status::error("the artifact launches a kernel of no module");
    auto &kernel = *static_cast<ModuleRecord::Kernel *>(function);
    LaunchShape shape{{static_cast<uint64_t>(gridX), static_cast<uint64_t>(gridY), static_cast<uint64_t>(gridZ)},
                      {static_cast<uint64_t>(blockX), static_cast<uint64_t>(blockY), static_cast<uint64_t>(blockZ)},
                      static_cast<uint32_t>(sharedBytes)};
    bool sane = sharedBytes >= 0;
    for (intptr_t size : {gridX, gridY, gridZ, blockX, blockY, blockZ})
      sane &= fitsIn32Bits(size);
    if (!sane)
      return Status::error("kernel '", kernel.name, "': it cannot be launched on ", gridX, " x ", gridY, " x ", gridZ,
                           " blocks of ", blockX, " x ", blockY, " x ", blockZ, " threads with ", sharedBytes,
                           " bytes of shared memory");
    // No block, no work: T = 0.
    if (gridX == 0 || gridY == 0 || gridZ == 0)
      return {};
    PEER_TRY_ASSIGN(DeviceFunction * loaded, call.modules.function(kernel));
    return call.device.launch(loaded, shape, {parameters, parameterCount});
  });
}

void *mgpuStreamCreate() { return &stream; }
void mgpuStreamDestroy(void *) {}
void mgpuStreamSynchronize(void *) {}
void mgpuStreamWaitEvent(void *, void *) {}
void *mgpuEventCreate() { return &stream; }
void mgpuEventDestroy(void *) {}
void mgpuEventSynchronize(void *) {}
void mgpuEventRecord(void *, void *) {}
void mgpuSetDefaultDevice(int32_t) {}

void *mgpuMemAlloc(uint64_t bytes, void *, bool) {
  DeviceAddress address = 0;
  inCall([&](DeviceCall &call) -> Status {
    PEER_TRY_ASSIGN(address, call.heap.take(bytes));
    return {};
  });
  return reinterpret_cast<void *>(address);
}

void mgpuMemFree(void *pointer, void *) {
  inCall([&](DeviceCall &call) { return call.heap.give(addressOf(pointer)); });
}

void mgpuMemcpy(void *to, void *from, size_t bytes, void *) {
  inCall([&](DeviceCall &call) { return call.device.copy(addressOf(to), addressOf(from), bytes); });
}

void mgpuMemset32(void *to, unsigned int value, size_t count, void *) {
  inCall([&](DeviceCall &call) { return call.device.fill(addressOf(to), value, 4, count); });
}

void mgpuMemset16(void *to, unsigned short value, size_t count, void *) {
  inCall([&](DeviceCall &call) { return call.device.fill(addressOf(to), value, 2, count); });
}

int8_t peer_rt_matmul(void *, int64_t transA, int64_t transB, int64_t m, int64_t n, int64_t k, float alpha,
                      const void *a, int64_t lda, const void *b, int64_t ldb, float beta, void *c, int64_t ldc) {
  bool done = true;
  inCall([&](DeviceCall &call) -> Status {
    if (m <= 0 || n <= 0)
      return {};
    PEER_TRY_ASSIGN(done, call.device.matmul({transA != 0, transB != 0, m, n, k, alpha, beta, addressOf(a),
                                              addressOf(b), addressOf(c), lda, ldb, ldc}));
    return {};
  });
  return done;
}
