#include "Hooks.h"

#include "Profile.h"
#include "ScoredKeys.h"
#include "core/Allocator.h"
#include "gpu/DeviceCall.h"

#include <atomic>
#include <chrono>
#include <utility>

namespace peer::runtime {

namespace {
std::atomic<ProfileRecording *> active{nullptr};
thread_local bool recordingThread = false;

/// Since the latest mark, by all threads.
struct {
  std::atomic<int64_t> rows{0}, unbounded{0}, keys{0}, scored{0}, bytes{0};
} counting;
std::vector<ScoredKeys> countedByKernel; // of the thread that records
int64_t countingKernel = -1;

/// Takes what was counted to the kernel that ended; `next` begins.
void takeCounts(int64_t next) {
  auto take = [](std::atomic<int64_t> &count) { return count.exchange(0, std::memory_order_relaxed); };
  ScoredKeys now{take(counting.rows), take(counting.unbounded), take(counting.keys), take(counting.scored),
                 take(counting.bytes)};
  int64_t kernel = std::exchange(countingKernel, next);
  if (now.rows == 0 || kernel < 0)
    return;
  if (countedByKernel.size() <= static_cast<size_t>(kernel))
    countedByKernel.resize(static_cast<size_t>(kernel) + 1);
  countedByKernel[static_cast<size_t>(kernel)] += now;
}
} // namespace

ScoredKeys scoredKeysOf(int64_t kernel) {
  return kernel >= 0 && static_cast<size_t>(kernel) < countedByKernel.size()
             ? countedByKernel[static_cast<size_t>(kernel)]
             : ScoredKeys();
}

int64_t nowNanoseconds() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

ProfileRecording::ProfileRecording(ProfileGrain grain) : grain(grain) {
  marks.reserve(4096);
  takeCounts(-1);
  countedByKernel.clear();
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
    takeCounts(kernel);
    recording->marks.push_back({kernel, nowNanoseconds()});
  }
}

void peer_rt_scored(int64_t rows, int64_t unbounded, int64_t keys, int64_t scored, int64_t bytes) {
  if (!active.load(std::memory_order_relaxed)) [[likely]]
    return;
  auto add = [](std::atomic<int64_t> &count, int64_t by) { count.fetch_add(by, std::memory_order_relaxed); };
  add(counting.rows, rows);
  add(counting.unbounded, unbounded);
  add(counting.keys, keys);
  add(counting.scored, scored);
  add(counting.bytes, bytes);
}
