#include "Hooks.h"

#include "Profile.h"
#include "core/Allocator.h"
#include "gpu/DeviceCall.h"

#include <atomic>
#include <chrono>

namespace peer::runtime {

namespace {
std::atomic<ProfileRecording *> active{nullptr};
thread_local bool recordingThread = false;
} // namespace

int64_t nowNanoseconds() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

ProfileRecording::ProfileRecording(ProfileGrain grain) : grain(grain) {
  marks.reserve(4096);
  recordingThread = true;
  active.store(this, std::memory_order_relaxed);
}

ProfileRecording::~ProfileRecording() {
  active.store(nullptr, std::memory_order_relaxed);
  recordingThread = false;
}

ProfileRecording *ProfileRecording::ofThisThread() {
  return recordingThread ? active.load(std::memory_order_relaxed) : nullptr;
}

} // namespace peer::runtime

using namespace peer::runtime;

void *_mlir_memref_to_llvm_alloc(size_t bytes) { return allocateBlock(bytes); }
void *_mlir_memref_to_llvm_aligned_alloc(size_t alignment, size_t bytes) { return allocateBlock(bytes, alignment); }
void _mlir_memref_to_llvm_free(void *pointer) { releaseBlock(pointer); }

void peer_rt_mark(int64_t kernel) {
  ProfileRecording *recording = active.load(std::memory_order_relaxed);
  if (!recording || !recordingThread) [[likely]]
    return;
  if (DeviceCall *call = DeviceCall::current()) {
    if (recording->grain == ProfileGrain::Kernels)
      call->run([&] { return call->device.mark(kernel); });
  } else {
    recording->marks.push_back({kernel, nowNanoseconds()});
  }
}
