// The memory of compiled code: a caching allocator, because a training step asks for the same sizes again and again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace peer::runtime {

/// Memory aligned to `alignment` (a power of two; at least 64 is used), not initialised. Never null: see runGuarded.
void *allocateBlock(size_t bytes, size_t alignment = 64);

/// Gives back what allocateBlock returned, on any thread; null is ignored.
void releaseBlock(void *pointer);

/// Bytes that compiled code holds now, and the most it held since resetAllocatorPeak().
struct AllocatorUsage {
  uint64_t current, peak;
};
AllocatorUsage allocatorUsage();
void resetAllocatorPeak();

/// Returns cached blocks (of the shared cache and of this thread) to the system.
void releaseCachedBlocks();

/// Runs `function(args)`. Returns false, with a message, when memory ran out on this thread outside a parallel region: the call is abandoned and
/// its large blocks are released (small ones cannot be told from those still in use, and stay). Within a parallel region nobody can unwind
/// compiled code; there the process ends with one sentence on stderr and exit code 1.
bool runGuarded(void (*function)(void **), void **args, std::string &message);

/// Ends the process with one sentence on stderr, for failures within compiled code that it has no way to report.
[[noreturn]] void failInCompiledCode(const std::string &sentence);

} // namespace peer::runtime
