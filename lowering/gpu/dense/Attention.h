//===- Attention.h - one block's part of attention -----------------------===//

#ifndef PEER_LOWERING_GPU_DENSE_ATTENTION_H
#define PEER_LOWERING_GPU_DENSE_ATTENTION_H

#include "FlashTiles.h"
#include "dialect/ops/Check.h"
#include "lowering/gpu/Emitters.h"

#include <optional>

namespace peer::device {

/// Warps of a forward block; each has 16 query rows.
inline constexpr int64_t kForwardWarps = 4;
inline constexpr int64_t kForwardRows = 16 * kForwardWarps;

/// A block's queries and the keys they may see. Rows and columns count in the whole buffers.
struct AttendJob {
  mlir::Value column;             // the head's first, of queries and outputs
  mlir::Value keyColumn;          // of keys and values
  mlir::Value queryRow, queryEnd; // the block's first query; no row from queryEnd on is the head's
  mlir::Value keyRow, keyEnd;     // key 0; the end of the keys
  mlir::Value position;           // the block's row i sees key j if j <= position + i
  std::optional<int64_t> window;  // and, with one of W, if j > position + i - W
};

/// The key that a query at `position` sees first.
mlir::Value firstOfWindow(LoopBuilder &b, mlir::Value position, std::optional<int64_t> window);

/// Which keys the two rows of a lane see: up to the last, and of a window W no further back.
class SeenKeys {
public:
  SeenKeys(LoopBuilder &b, std::array<mlir::Value, 2> last, std::optional<int64_t> window);
  /// Whether row `half` sees a key; numbers of keys are i32.
  mlir::Value operator()(mlir::Value key, int64_t half) const;

private:
  LoopBuilder &b;
  std::array<mlir::Value, 2> last, before; // null without a window
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

/// Heads of queries for each head of the keys.
inline int64_t groupOf(mlir::Value query, mlir::Value key) { return dimOf(query, 1) / dimOf(key, 1); }

/// Heads up to here are kernels that hold whole rows of a head in registers.
inline constexpr int64_t kWidestHead = 128;
const char *rejectWideHeads(mlir::Value query, int64_t heads);
template <typename OpTy>
const char *rejectHeads(OpTy op) {
  return rejectWideHeads(op.getQuery(), op.getHeads());
}
/// Wider heads are plain loops, of a sequence and a head at a time.
template <typename OpTy>
std::optional<TileSizes> wideHeadTiles(OpTy op) {
  return rejectHeads(op) ? tile({{"s", 1}, {"h", 1}}) : std::nullopt;
}

} // namespace peer::device

#endif // PEER_LOWERING_GPU_DENSE_ATTENTION_H
