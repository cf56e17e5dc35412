//===- Attention.h - one block's part of attention -----------------------===//

#ifndef PEER_LOWERING_GPU_DENSE_ATTENTION_H
#define PEER_LOWERING_GPU_DENSE_ATTENTION_H

#include "FlashTiles.h"

namespace peer::device {

/// Warps of a forward block; each has 16 query rows.
inline constexpr int64_t kForwardWarps = 4;
inline constexpr int64_t kForwardRows = 16 * kForwardWarps;

/// A block's queries and the keys they may see. Rows and columns count in the whole buffers.
struct AttendJob {
  mlir::Value column;             // the head's first
  mlir::Value queryRow, queryEnd; // the block's first query; no row from queryEnd on is the head's
  mlir::Value keyRow, keyEnd;     // key 0; the end of the keys
  mlir::Value position;           // the block's row i sees key j if j <= position + i
};

/// output = softmax(query key^T / sqrt(width), causal) value for the rows of the job.
void emitAttend(BlockBuilder &b, HeadWidth head, const AttendJob &job, mlir::Value query, mlir::Value key,
                mlir::Value value, mlir::Value output);

/// Blocks of `rows` rows for each sequence and head; the part of the sequence that they have runs slowest.
struct SequenceBlocks {
  HeadWidth head;
  int64_t context, rows;

  int64_t parts() const { return llvm::divideCeil(context, rows); }
  mlir::Value count(LoopBuilder &host, mlir::Value tokens) const;
  struct Place {
    mlir::Value sequenceRow, head, part; // the sequence's first row; numbers
  };
  Place place(BlockBuilder &b, mlir::Value block, mlir::Value tokens) const;
};

/// The launches of the gradient, and of attention over a cache.
void emitAttentionGrad(AttentionGradOp op, LoopBuilder &host);
void emitCachedAttention(CachedAttentionOp op, LoopBuilder &host);

} // namespace peer::device

#endif // PEER_LOWERING_GPU_DENSE_ATTENTION_H
