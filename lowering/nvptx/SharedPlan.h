//===- SharedPlan.h - dynamic shared memory of a launch ------------------===//

#ifndef PEER_LOWERING_NVPTX_SHAREDPLAN_H
#define PEER_LOWERING_NVPTX_SHAREDPLAN_H

#include "BlockBuilder.h"

namespace peer::nvptx {

/// What a block may take: two fit on a multiprocessor of sm_90 and later, one on any since sm_80.
inline constexpr int64_t kMostShared = 96 * 1024, kBlocksAtOnce = 2;

/// Lays out one op's buffers in the dynamic shared memory of its launch. Ops of one launch follow each other behind
/// barriers and use the same memory, of which the launch gets as much as the largest of them wants.
class SharedPlan {
public:
  explicit SharedPlan(BlockBuilder &b);

  /// A place of so many bytes, aligned to 16.
  int64_t reserve(int64_t bytes);
  /// The memory from `place` on as a buffer; several may look at one place.
  mlir::Value view(int64_t place, mlir::ArrayRef<int64_t> shape, mlir::Type element);
  /// A pointer to it, in the address space of shared memory.
  mlir::Value pointer(int64_t place);
  mlir::Value buffer(mlir::ArrayRef<int64_t> shape, mlir::Type element);

private:
  BlockBuilder &b;
  mlir::gpu::LaunchOp launch;
  mlir::Value memory;
  int64_t bytes = 0;
};

} // namespace peer::nvptx

#endif // PEER_LOWERING_NVPTX_SHAREDPLAN_H
