//===- RoutingBuilder.h - what lowerings of the routing ops share --------===//

#ifndef PEER_LOWERING_EMIT_ROUTINGBUILDER_H
#define PEER_LOWERING_EMIT_ROUTINGBUILDER_H

#include "StoredTable.h"

namespace peer {

using Values = llvm::SmallVector<mlir::Value>;

mlir::Value both(LoopBuilder &b, mlir::Value x, mlir::Value y);
mlir::Value either(LoopBuilder &b, mlir::Value x, mlir::Value y);

/// Nested loops from 0 to each bound.
void nest(LoopBuilder &b, llvm::ArrayRef<mlir::Value> bounds,
          llvm::function_ref<void(llvm::ArrayRef<mlir::Value>)> body);
/// Sizes of the buffer's first `rank` dimensions.
Values dims(LoopBuilder &b, mlir::Value buffer, unsigned rank);

/// buffer[:, h, p, :] as a matrix.
mlir::Value headMatrix(LoopBuilder &b, mlir::Value buffer, mlir::Value h, mlir::Value p);

/// Whether the dimensions from `first` on lie side by side, so that a slice which fixes the earlier ones flattens.
bool isDense(mlir::Value buffer, unsigned first);
/// A dense buffer as rank 1.
mlir::Value flatten(LoopBuilder &b, mlir::Value buffer);
/// buffer[at...] as rank 1: what remains must be dense.
mlir::Value flatSlice(LoopBuilder &b, mlir::Value buffer, mlir::ValueRange at);

/// Operands of an op that mixes.
struct MixOperands {
  mlir::Value x, idx, weights, pool, scales, y; // scales: null where the pool holds the vectors themselves
  std::optional<Activation> activation;         // none where rows are one vector
  int64_t rowsPerExpert;

  MixOperands(MixLikeOpInterface op);
  StoredTable table() const;
  template <typename Op>
    requires std::is_convertible_v<Op, MixLikeOpInterface>
  MixOperands(Op op) : MixOperands(MixLikeOpInterface(op)) {}
};

//===----------------------------------------------------------------------===//
// The order of selections
//===----------------------------------------------------------------------===//

/// A NaN score counts as -inf.
mlir::Value emitScore(LoopBuilder &b, mlir::Value score);

/// A candidate expert of product_topk, scalar or one per lane.
///
/// Candidates are the pairs of ranks (i, j) in the sorted halves with (i + 1) * (j + 1) <= k. They are ordered by the
/// exact sum of the two scores, before rounding: `sum` is the rounded sum and `rest` what rounding took away, so
/// comparing (sum, rest) compares exact sums. Ties go to the lowest expert id. That makes the pruning exact: each pair of
/// ranks not above (i, j) precedes it, also where rounding makes their f32 sums equal. Infinite sums, which have no rest,
/// are ordered by their ranks.
struct Candidate {
  mlir::Value sum, rest, expert;
};
/// `rank` is i * k + j as f32.
Candidate emitCandidate(LoopBuilder &b, mlir::Value first, mlir::Value second, mlir::Value rank, mlir::Value expert);
/// Whether x comes before y.
mlir::Value emitPrecedes(LoopBuilder &b, const Candidate &x, const Candidate &y);

//===----------------------------------------------------------------------===//
// The row-sparse gradient of a pool
//===----------------------------------------------------------------------===//

/// How many segments and how many pairs, i32.
struct SortedPairs {
  mlir::Value segments, pairs;
};
/// The flat numbers of the pairs of idx (`T x H x K`) that select an expert, by expert, in order (i32, one for each pair). ends (i32, one
/// for each expert): where those of an expert end in it. `opens` gets the number and the first place of the segment of each expert that
/// has pairs.
SortedPairs emitPairSort(LoopBuilder &b, mlir::Value idx, mlir::Value order, mlir::Value ends,
                         llvm::function_ref<void(mlir::Value segment, mlir::Value start)> opens = nullptr);

/// Operands of pool_grad, pool_grad_norm and row_update.
struct RowGrad {
  mlir::Value idx, order, starts, segments, pairs, coef, x, dy;
  bool flat; // idx and coef are rank 1, indexed by pair numbers
  int64_t heads, selected, rowsPerExpert, vectors, width;

  /// The tensor that coef[..., f] scales: x, or dy for the last vector.
  mlir::Value source(int64_t f) const { return f + 1 == vectors ? dy : x; }
};
RowGrad emitRowGrad(LoopBuilder &b, mlir::Value idx, mlir::Value order, mlir::Value starts, mlir::Value count,
                    mlir::Value coef, mlir::Value x, mlir::Value dy);
template <typename OpTy>
RowGrad emitRowGrad(LoopBuilder &b, OpTy op) {
  return emitRowGrad(b, op.getIdx(), op.getOrder(), op.getStarts(), op.getCount(), op.getCoef(), op.getX(), op.getDy());
}
/// A segment's expert and its range in `order`.
struct Segment {
  mlir::Value expert, begin, end;
};
Segment emitSegment(LoopBuilder &b, const RowGrad &grad, mlir::Value segment);
/// The coefficient of vector f of a row, and the token, of one entry of `order`.
std::pair<mlir::Value, mlir::Value> emitPair(LoopBuilder &b, const RowGrad &grad, mlir::Value entry, mlir::Value row,
                                             int64_t f);

/// Null, or why an op is not one pass over flat buffers.
const char *rejectUpdate(UpdateOp op);
const char *rejectSumSquares(SumSquaresOp op);

} // namespace peer

#endif // PEER_LOWERING_EMIT_ROUTINGBUILDER_H
