//===- GpuInfo.h - what emitters know of a GPU ---------------------------===//
//
// Numbers of lanes and the shapes of fragments are not here: how lists, rows and fragments lie in registers (block/) is made for
// warps of 32 lanes.
//
//===----------------------------------------------------------------------===//

#ifndef PEER_LOWERING_GPU_GPUINFO_H
#define PEER_LOWERING_GPU_GPUINFO_H

#include "llvm/ADT/bit.h"
#include "llvm/Support/MathExtras.h"

#include <algorithm>
#include <cstdint>

namespace peer {

/// A GPU of an architecture, the largest that is common. Passes that are run by their flag take it as it stands here.
struct GpuInfo {
  int64_t multiprocessors = 132;
  /// Of a multiprocessor.
  int64_t threads = 2048, registers = 65536;
  /// Bytes of shared memory that a block takes at most.
  int64_t sharedOfBlock = 96 * 1024;

  /// Blocks of so many threads that fit on a multiprocessor if a thread takes so many registers, which are given out by eights.
  int64_t blocksThatFit(int64_t blockThreads, int64_t registersOfThread) const {
    return std::max<int64_t>(1, registers / (blockThreads * int64_t(llvm::alignTo(registersOfThread, 8))));
  }
  /// Blocks of so many threads that all multiprocessors hold at once.
  int64_t blocksAtOnce(int64_t blockThreads) const { return multiprocessors * (threads / blockThreads); }
  /// Warps that keep all multiprocessors busy: half of what they hold, a power of two.
  int64_t busyWarps() const { return llvm::bit_floor(uint64_t(multiprocessors * threads / 64)); }
};

} // namespace peer

#endif // PEER_LOWERING_GPU_GPUINFO_H
