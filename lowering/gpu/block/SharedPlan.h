//===- SharedPlan.h - dynamic shared memory of a launch ------------------===//

#ifndef PEER_LOWERING_GPU_BLOCK_SHAREDPLAN_H
#define PEER_LOWERING_GPU_BLOCK_SHAREDPLAN_H

#include "BlockBuilder.h"

namespace peer::device {

/// Blocks at once whose registers there is room for, whether or not their shared memory fits.
inline constexpr int64_t kBlocksAtOnce = 2;

/// Words of 32 bits in shared memory; offsets count words, constants become part of the instruction.
struct SharedWords {
  mlir::Value base; // pointer to shared memory

  mlir::Value pointer(BlockBuilder &b, mlir::Value word, int64_t constant = 0) const;
  /// A scalar or vector, aligned to its size.
  mlir::Value load(BlockBuilder &b, mlir::Type type, mlir::Value word, int64_t constant = 0) const;
  /// Done by every thread that reaches it.
  void store(BlockBuilder &b, mlir::Value v, mlir::Value word, int64_t constant = 0) const;
};

/// Lays out one op's buffers in the dynamic shared memory of its launch. Ops of one launch follow each other behind
/// barriers and use the same memory, of which the launch gets as much as the largest of them wants. Such a launch must have no
/// other shared memory.
class SharedPlan {
public:
  explicit SharedPlan(BlockBuilder &b);

  /// So many words, aligned to 16 bytes.
  SharedWords words(int64_t count);
  /// Bytes that words() takes.
  static int64_t bytesOf(int64_t count) { return llvm::alignTo(4 * count, 16); }

private:
  BlockBuilder &b;
  mlir::gpu::LaunchOp launch;
  mlir::Value base;
  int64_t bytes = 0;
};

} // namespace peer::device

#endif // PEER_LOWERING_GPU_BLOCK_SHAREDPLAN_H
