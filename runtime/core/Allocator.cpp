#include "Allocator.h"

#include "Memory.h"
#include "Tensor.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <csetjmp>
#include <cstdlib>
#include <mutex>
#include <omp.h>
#include <sys/mman.h>
#include <unistd.h>

namespace peer::runtime {

namespace {
constexpr size_t kHeader = 64;
constexpr size_t kHugePage = size_t{2} << 20;
// Up to here a thread keeps freed blocks to itself, without a lock.
constexpr size_t kThreadBlock = size_t{8} << 20;
constexpr size_t kThreadCache = size_t{32} << 20;
// From here a fresh block is checked against what the system has, since Linux itself would promise it and kill the process later.
constexpr size_t kCheckedBlock = size_t{64} << 20;
constexpr size_t kSteps = 8; // size classes per doubling: at most an eighth is wasted
constexpr size_t kClasses = 64 * kSteps;

/// Lies in front of every block. For alignments beyond 64 the bytes before the user's pointer hold `self` only.
struct Block {
  Block *self;
  size_t capacity; // bytes after the header
  uint32_t sizeClass;
  uint32_t mapped;        // from mmap rather than aligned_alloc
  Block *next, *previous; // in a cache, or in the list of large blocks in use
  uint64_t call;          // large blocks: the guarded call that asked for it
};
static_assert(sizeof(Block) <= kHeader);

/// Rounds up to a size class.
uint32_t classOf(size_t bytes, size_t &capacity) {
  size_t size = std::max<size_t>(bytes, 64 * kSteps);
  int shift = std::bit_width(size - 1) - 1 - std::countr_zero(kSteps);
  size_t steps = ((size - 1) >> shift) + 1; // kSteps + 1 ... 2 * kSteps
  capacity = steps << shift;
  return static_cast<uint32_t>(shift * kSteps + (steps - kSteps - 1));
}

struct Shared {
  std::mutex mutex;
  Block *free[kClasses] = {};
  Block *large = nullptr; // blocks beyond kThreadBlock in use
  size_t cachedBytes = 0;
  std::atomic<uint64_t> current{0}, peak{0}, calls{0};
};

/// Never destroyed: threads may free blocks while the process exits.
Shared &shared() {
  static Shared *instance = new Shared;
  return *instance;
}

void releaseToSystem(Block *block) {
  if (block->mapped)
    munmap(block, block->capacity + kHeader);
  else
    std::free(block);
}

/// Empties the shared cache. The caller holds the mutex.
void trim(Shared &state) {
  for (Block *&list : state.free)
    while (Block *block = list) {
      list = block->next;
      releaseToSystem(block);
    }
  state.cachedBytes = 0;
}

void putShared(Shared &state, Block *block) {
  block->next = state.free[block->sizeClass];
  state.free[block->sizeClass] = block;
  state.cachedBytes += block->capacity;
}

Block *takeShared(Shared &state, uint32_t sizeClass) {
  Block *block = state.free[sizeClass];
  if (block) {
    state.free[sizeClass] = block->next;
    state.cachedBytes -= block->capacity;
  }
  return block;
}

struct ThreadCache {
  Block *free[kClasses] = {};
  size_t bytes = 0;
  bool open = true;

  void flush() {
    Shared &state = shared();
    std::lock_guard lock(state.mutex);
    for (Block *&list : free)
      while (Block *block = list) {
        list = block->next;
        putShared(state, block);
      }
    bytes = 0;
  }
  ~ThreadCache() {
    flush();
    open = false; // what is freed later in this thread's exit goes to the shared cache
  }
};
thread_local ThreadCache cache;

/// The guarded call in progress on this thread.
struct Guard {
  std::jmp_buf jump;
  std::string *message;
  uint64_t call;
};
thread_local Guard *guard = nullptr;

Block *freshBlock(size_t capacity, uint32_t sizeClass) {
  size_t bytes = capacity + kHeader;
  void *memory = nullptr;
  bool mapped = bytes >= kHugePage;
  if (bytes >= kCheckedBlock && bytes > availableMemory())
    return nullptr;
  if (mapped) {
    memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
      return nullptr;
    madvise(memory, bytes, MADV_HUGEPAGE);
  } else {
    memory = std::aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (!memory)
      return nullptr;
  }
  return new (memory) Block{static_cast<Block *>(memory), capacity, sizeClass, mapped, nullptr, nullptr, 0};
}

/// Leaves the sentence with the guarded call in progress; ends the process where there is none to go back to.
void reportOutOfMemory(size_t bytes) {
  std::string sentence = concat("out of memory: the compiled code needs ", bytesText(bytes), " more (it holds ",
                                bytesText(shared().current.load()), "), ", bytesText(availableMemory()), " available");
  if (!guard || omp_get_level() > 0)
    failInCompiledCode(sentence);
  *guard->message = std::move(sentence);
}

[[noreturn]] void outOfMemory(size_t bytes) {
  reportOutOfMemory(bytes);
  // Compiled code has nothing to unwind, and no object is alive in the frames of this file that the jump passes.
  std::longjmp(guard->jump, 1);
}

Block *takeBlock(size_t capacity, uint32_t sizeClass) {
  bool large = capacity > kThreadBlock;
  if (!large && cache.open) {
    if (Block *block = cache.free[sizeClass]) {
      cache.free[sizeClass] = block->next;
      cache.bytes -= block->capacity;
      return block;
    }
  }
  Shared &state = shared();
  std::lock_guard lock(state.mutex);
  Block *block = takeShared(state, sizeClass);
  if (!block) {
    // Shapes that changed leave blocks nobody asks for again.
    if (state.cachedBytes > std::max<uint64_t>(state.peak.load(std::memory_order_relaxed) / 2, kCheckedBlock))
      trim(state);
    block = freshBlock(capacity, sizeClass);
  }
  if (!block) {
    trim(state);
    block = freshBlock(capacity, sizeClass);
  }
  if (block && large) {
    block->call = guard ? guard->call : 0;
    block->previous = nullptr;
    block->next = state.large;
    if (state.large)
      state.large->previous = block;
    state.large = block;
  }
  return block;
}

void unlinkLarge(Shared &state, Block *block) {
  (block->previous ? block->previous->next : state.large) = block->next;
  if (block->next)
    block->next->previous = block->previous;
}

/// After an abandoned call: its large blocks go back.
void releaseCall(uint64_t call) {
  Shared &state = shared();
  std::lock_guard lock(state.mutex);
  for (Block *block = state.large, *next = nullptr; block; block = next) {
    next = block->next;
    if (block->call != call)
      continue;
    unlinkLarge(state, block);
    state.current.fetch_sub(block->capacity, std::memory_order_relaxed);
    releaseToSystem(block);
  }
}
} // namespace

void *allocateBlock(size_t bytes, size_t alignment) {
  size_t slack = alignment > kHeader ? alignment : 0;
  size_t capacity = 0;
  // A size near 2^64 is a negative size computed by somebody; it would overflow the rounding.
  if (bytes > SIZE_MAX / 4 || slack > SIZE_MAX / 4)
    outOfMemory(bytes);
  uint32_t sizeClass = classOf(bytes + slack, capacity);
  Block *block = takeBlock(capacity, sizeClass);
  if (!block)
    outOfMemory(bytes);
  Shared &state = shared();
  uint64_t now = state.current.fetch_add(capacity, std::memory_order_relaxed) + capacity;
  for (uint64_t peak = state.peak.load(std::memory_order_relaxed);
       now > peak && !state.peak.compare_exchange_weak(peak, now, std::memory_order_relaxed);) {
  }
  uintptr_t user = reinterpret_cast<uintptr_t>(block) + kHeader;
  if (slack) {
    user = (user + alignment - 1) / alignment * alignment;
    *reinterpret_cast<Block **>(user - kHeader) = block;
  }
  return reinterpret_cast<void *>(user);
}

void releaseBlock(void *pointer) {
  if (!pointer)
    return;
  Block *block = *reinterpret_cast<Block **>(static_cast<char *>(pointer) - kHeader);
  Shared &state = shared();
  state.current.fetch_sub(block->capacity, std::memory_order_relaxed);
  if (block->capacity <= kThreadBlock && cache.open && cache.bytes + block->capacity <= kThreadCache) {
    block->next = cache.free[block->sizeClass];
    cache.free[block->sizeClass] = block;
    cache.bytes += block->capacity;
    return;
  }
  std::lock_guard lock(state.mutex);
  if (block->capacity > kThreadBlock)
    unlinkLarge(state, block);
  putShared(state, block);
}

AllocatorUsage allocatorUsage() { return {shared().current.load(), shared().peak.load()}; }
void resetAllocatorPeak() { shared().peak.store(shared().current.load()); }

void releaseCachedBlocks() {
  cache.flush();
  std::lock_guard lock(shared().mutex);
  trim(shared());
}

bool runGuarded(void (*function)(void **), void **args, std::string &message) {
  Guard here;
  here.message = &message;
  here.call = ++shared().calls;
  Guard *outer = guard;
  guard = &here;
  if (setjmp(here.jump) == 0) {
    function(args);
    guard = outer;
    return true;
  }
  // Read through the thread's pointer: locals need not survive the jump.
  uint64_t call = guard->call;
  guard = nullptr;
  releaseCall(call);
  return false;
}

void failInCompiledCode(const std::string &sentence) {
  std::string line = concat("peer-run: error: ", sentence, "\n");
  ssize_t written = write(STDERR_FILENO, line.data(), line.size());
  (void)written;
  // Other threads are still in compiled code: no destructor may run under them.
  _exit(1);
}

} // namespace peer::runtime
