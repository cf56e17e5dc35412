//===- RowTopK.h - the k best of a row of scores -------------------------===//

#ifndef PEER_LOWERING_CPU_ROWTOPK_H
#define PEER_LOWERING_CPU_ROWTOPK_H

#include "SortedList.h"

namespace peer::cpu {

/// Selections of more go through memory: their sorted list would not fit in registers.
inline constexpr int64_t kMostSelected = 64;

/// What is known of a row of which only upper bounds have been stored. An entry that is not a number is no candidate.
struct CoarseRow {
  /// A score that reaches the k-th has a bound of at least this, and so have at least k.
  mlir::Value lowest;
  /// Room for the i32 indices of those whose bounds reach it, and for their scores, f32: `survivorsOf` the row's length.
  mlir::Value survivors, values;
  /// Room for what is ranked, `rankedOf`: ranks, i32, scores in their order, f32, and their indices, i32.
  mlir::Value ranks, bestScores, bestIndices;
  /// The scores of some, formed together.
  llvm::function_ref<Values(mlir::ValueRange js)> scores;
};

/// Survivors that are ranked side by side; more are inserted one after the other. Narrow vectors have more: their bounds are wider, and
/// an insertion takes as long as the ranks of several.
inline int64_t mostRanked(int64_t k, int64_t width) {
  return std::max((width < 16 ? 6 : 2) * listLanes(k, width), (width < 16 ? 4 : 1) * width);
}
/// A rank of none is the number of all.
inline int64_t rankedOf(int64_t k, int64_t width) { return mostRanked(k, width) + width; }
/// Elements of `CoarseRow::survivors` for n bounds: vectors are stored there whole, and the last group is filled.
inline int64_t survivorsOf(int64_t n, int64_t k, int64_t width) { return std::max(n, mostRanked(k, width)) + width; }

/// Selects the k best of the first n entries of a row of scores. Lists have `listLanes(k, width)` lanes, of which k are meant:
/// scores in descending order, then indices; equal scores in the order of their indices.
class RowTopK {
public:
  RowTopK(LoopBuilder &b, mlir::Value row, int64_t n, int64_t k, int64_t width)
      : b(b), row(row), n(n), k(k), width(width), lanes(listLanes(k, width)) {}

  Values emit();
  /// Of a row of upper bounds. All scores must be finite.
  Values emit(const CoarseRow &bounds);

private:
  /// Survivors that are scored at once: as many sums as there are registers for.
  int64_t scoredTogether() const { return width < 16 ? 2 : 4; }
  Values emitList(mlir::Value bound);
  mlir::Value emitBound();
  /// Offers the scores of `vectors` vectors from `at` on to the list.
  Values emitBlock(mlir::Value at, int64_t vectors, mlir::Value bound, mlir::ValueRange list);
  Values emitTail(int64_t from, mlir::Value bound, mlir::ValueRange list);
  /// Lists the entries that reach a bound, in order; how many there are.
  mlir::Value emitSurvivors(mlir::Value lowest, mlir::Value survivors);
  /// The list of `count` survivors, and whether it is one: there are not too many, and no equal scores among the k best.
  Values emitRanked(const CoarseRow &bounds, mlir::Value count);
  /// The best of `count` survivors whose scores and ranks are known.
  Values emitInOrder(const CoarseRow &bounds, mlir::Value count);
  /// Lists the lowest indices of -inf (or NaN) where fewer than k scores are larger.
  Values emitFill(mlir::ValueRange list);

  LoopBuilder &b;
  mlir::Value row;
  int64_t n, k, width, lanes;
};

/// max(x, m) in one instruction, ignoring a NaN in x.
mlir::Value emitMax(LoopBuilder &b, mlir::Value x, mlir::Value m);

/// Vectors of maxima over disjoint groups of scores that bound the k-th score from below.
int64_t maximaVectors(int64_t k, int64_t width);

/// Stores what a token and a head (`at`) select: the first k of a list, or of the best sums of two that have n keys each. `half` makes
/// the list of each of the halves, one or two.
void emitSelected(LoopBuilder &b, llvm::function_ref<Values(int64_t p)> half, int64_t halves, int64_t n, int64_t k,
                  mlir::Value idx, mlir::Value val, llvm::ArrayRef<mlir::Value> at);

} // namespace peer::cpu

#endif // PEER_LOWERING_CPU_ROWTOPK_H
