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

#include <optional>

namespace peer::nn {

/// Rows of queries that are scored together.
int64_t getQueryBlock(int64_t rows, int64_t width);

/// Keys that a row sees at most, itself included, where it does not see all before it.
using SlidingWindow = std::optional<int64_t>;

/// A zeroed scratch of scores for one block of queries against `keys` keys, or those that a block's windows reach, on the heap.
/// Rows end on a whole vector; the columns behind the last key stay zero.
mlir::Value allocateScores(LoopBuilder &b, int64_t block, int64_t keys, SlidingWindow window, int64_t width);

/// scores[row, first:end] = softmax(scores[row, first:end]), zero in the rest of the row; a null `first` is 0. Rank 2, or rank 1
/// and no row.
void emitSoftmaxRow(LoopBuilder &b, mlir::Value scores, mlir::ValueRange row, mlir::Value first, mlir::Value end,
                    int64_t width);

/// One head: `queries` rows against the keys up to each row's own position.
struct Head {
  mlir::Value query, key, value;
  /// Position of the first query row among the keys, and the number of keys at
  /// most; null for self-attention, where row i sees keys 0 to i.
  mlir::Value first, limit;
  SlidingWindow window;
};

/// Rows [start, start + rows) of a head's queries and the keys [from, from + keys), which are all that they see.
struct QueryBlock {
  mlir::OpFoldResult start, rows, from, keys;
  mlir::Value probabilities; // rows x keys of the scratch
};

/// For each block of a head's queries: probabilities into `scores`, then `body`.
void forQueryBlocks(LoopBuilder &b, const Head &head, mlir::Value scores, int64_t width,
                    llvm::function_ref<void(const QueryBlock &)> body);

/// output = probabilities * value.
void emitAttend(LoopBuilder &b, const Head &head, mlir::Value output, mlir::Value scores, int64_t width);

/// All columns of some rows of a matrix.
mlir::Value emitRows(LoopBuilder &b, mlir::Value matrix, mlir::OpFoldResult start, mlir::OpFoldResult rows);

/// Takes a head's columns of a sequence's rows out of a buffer.
using TakeHead = llvm::function_ref<mlir::Value(mlir::Value buffer)>;

/// A head of the keys in one sequence, and the heads of the query that it serves.
class HeadGroup {
public:
  HeadGroup(LoopBuilder &b, int64_t width, int64_t heads, int64_t context, mlir::Value row, mlir::Value number)
      : b(b), width(width), heads(heads), context(context), row(row), number(number) {}

  /// Of a buffer of keys or values.
  mlir::Value take(mlir::Value buffer) const { return takeHead(buffer, number); }
  /// For each head of the query: `body` gets what takes it out of a buffer of queries.
  void forQueries(llvm::function_ref<void(TakeHead)> body) const;

private:
  mlir::Value takeHead(mlir::Value buffer, mlir::Value head) const;

  LoopBuilder &b;
  int64_t width, heads, context;
  mlir::Value row, number;
};

/// For each sequence and head of the keys of a tile with `heads` heads of the query.
void forHeadGroups(LoopBuilder &b, mlir::Value query, mlir::Value key, int64_t heads, int64_t context,
                   llvm::function_ref<void(const HeadGroup &)> body);

} // namespace peer::nn

#endif // PEER_LOWERING_NN_CAUSAL_H
