//===- RowSelect.h - the best of rows of scores, by groups of lanes ------===//
//
// A group of lanes keeps the best scores of its row as a sorted list. Scores that exceed the least of the list go into a
// queue in shared memory; a full queue is sorted and merged with the list. The order is that of select: the greater
// score, then the lower index.
//
//===----------------------------------------------------------------------===//

#ifndef PEER_LOWERING_GPU_ROUTE_ROWSELECT_H
#define PEER_LOWERING_GPU_ROUTE_ROWSELECT_H

#include "lowering/gpu/block/LaneList.h"
#include "lowering/gpu/block/SharedPlan.h"

namespace peer::device {

/// Selections of at most this many experts are kept in registers.
inline constexpr int64_t kMostSelected = 64;

/// The best of a row so far: the list, and how many scores wait in the row's queue (i32).
struct RowState {
  Entries best;
  mlir::Value queued;
};

/// The k best of rows that are looked at in pieces. All methods are for all lanes of a warp; `slot` (index) says whose queue a
/// group uses.
class RowSelect {
public:
  /// Reserves queues for so many rows at a time.
  RowSelect(BlockBuilder &b, int64_t k, int64_t slots, SharedPlan &shared);
  /// Bytes of shared memory that it will reserve.
  static int64_t queueBytes(int64_t k, int64_t slots);

  const LaneList &lists() const { return list; }
  /// A list of nothing, (-inf, greatest index), and an empty queue.
  RowState empty() const;
  /// A piece of a row: the scores with numbers `first` .. `first + count - 1` (index; `count` may differ between the warp's
  /// groups, but is at most `most`, which is the same in all).
  struct Piece {
    mlir::Value first, count, most;
    /// Whether nothing follows (i1): then the queue is empty in the end.
    mlir::Value isLast;
    /// The score of a number relative to `first`.
    llvm::function_ref<mlir::Value(mlir::Value number)> score;
  };
  /// Offers a piece. Numbers ascend from call to call.
  RowState offer(const RowState &row, mlir::Value slot, const Piece &piece) const;
  /// Puts the lowest numbers that are not listed in place of the entries of -inf. The queue must be empty.
  Entries fill(const Entries &best, mlir::Value slot) const;

private:
  /// While a piece is looked at: also the score to exceed, and where the queue begins.
  struct State {
    Entries best;
    mlir::Value queued, least, start;
  };
  State push(const State &state, mlir::Value score, mlir::Value number) const;
  State flush(const State &state) const;
  State flushDownTo(const State &state, mlir::Value limit) const;
  mlir::Value startOf(mlir::Value slot) const;
  mlir::Value leastOf(const Entries &best) const { return list.at(best, k - 1)[0]; }
  Values pack(const State &state) const;
  State unpack(mlir::ValueRange values, mlir::Value start) const;

  BlockBuilder &b;
  int64_t k;
  LaneList list;
  SharedWords queueScores, queueNumbers;
};

/// The k best pairs of two sorted lists, in the order of emitPrecedes.
class PairSelect {
public:
  using Half = llvm::function_ref<std::pair<mlir::Value, mlir::Value>(int64_t half, mlir::Value rank)>;

  /// Writes a table of pairs to shared memory, which the next barrier makes visible.
  PairSelect(BlockBuilder &b, int64_t n, int64_t k, SharedPlan &shared);
  /// Bytes of shared memory that it will reserve.
  static int64_t tableBytes(int64_t k);

  const LaneList &lists() const { return list; }
  /// Entries (sum, rest, expert), of which k are meant. `half` gives score and number (i32) of a rank (index, below k) of
  /// the first or second half.
  Entries select(Half half) const;

private:
  /// The pair of ranks (i, j), or one that every pair precedes.
  Entry candidate(Half half, mlir::Value i, mlir::Value j, mlir::Value present) const;

  BlockBuilder &b;
  int64_t n, k;
  LaneList list;
  SharedWords table; // of the pairs of ranks (i, j) with i > 0: i * kMostSelected + j
};

/// The weights of sorted scores, of which k are meant; -inf has weight 0.
Values emitGateWeights(BlockBuilder &b, GateKind kind, const LaneList &list, int64_t k,
                       llvm::ArrayRef<mlir::Value> scores);

} // namespace peer::device

#endif // PEER_LOWERING_GPU_ROUTE_ROWSELECT_H
