//===- Causal.h - what the attention emitters share ----------------------===//
//
// Queries are taken in blocks of rows. A block's scores reach up to its last row's
// position and no further, so half of the square is never computed, and the
// scratch stays in the second-level cache.
//
//===----------------------------------------------------------------------===//

#ifndef PEER_LOWERING_NN_CAUSAL_H
#define PEER_LOWERING_NN_CAUSAL_H

#include "Emit.h"

namespace peer::nn {

/// Rows of queries that are scored together.
int64_t getQueryBlock(int64_t rows, int64_t width);

/// A zeroed scratch of scores for one block of queries against `keys` keys, on the heap. Rows end on a whole
/// vector; the columns behind the last key stay zero.
mlir::Value allocateScores(LoopBuilder &b, int64_t block, int64_t keys, int64_t width);

/// scores[row, 0:valid] = softmax(scores[row, 0:valid]), zero from there to the row's end. Rank 2, or rank 1 and no row.
void emitSoftmaxRow(LoopBuilder &b, mlir::Value scores, mlir::ValueRange row, mlir::Value valid, int64_t width);

/// One head: `queries` rows against the keys up to each row's own position.
struct Head {
  mlir::Value query, key, value;
  /// Position of the first query row among the keys, and the number of keys at
  /// most; null for self-attention, where row i sees keys 0 to i.
  mlir::Value first, limit;
};

/// Rows [start, start + rows) of a head's queries and the keys they see.
struct QueryBlock {
  mlir::OpFoldResult start, rows, keys;
  mlir::Value probabilities; // rows x keys of the scratch
};

/// For each block of a head's queries: probabilities into `scores`, then `body`.
void forQueryBlocks(LoopBuilder &b, const Head &head, mlir::Value scores, int64_t width,
                    llvm::function_ref<void(const QueryBlock &)> body);

/// output = probabilities * value.
void emitAttend(LoopBuilder &b, const Head &head, mlir::Value output, mlir::Value scores, int64_t width);

/// All columns of some rows of a matrix.
mlir::Value emitRows(LoopBuilder &b, mlir::Value matrix, mlir::OpFoldResult start, mlir::OpFoldResult rows);

/// For each sequence and head of a `T x D` tile: `body` gets a function that takes the head's rows out of a buffer.
using TakeHead = llvm::function_ref<mlir::Value(mlir::Value buffer)>;
void forHeads(LoopBuilder &b, mlir::Value tile, int64_t heads, int64_t context,
              llvm::function_ref<void(TakeHead)> body);

} // namespace peer::nn

#endif // PEER_LOWERING_NN_CAUSAL_H
