//===- RowSelect.h - the best of rows of scores, by groups of lanes ------===//
//
// A group of lanes keeps the best scores of its row as a sorted list. Scores that exceed the least of the list go into a
// queue in shared memory; a full queue is sorted and merged with the list. The order is that of select: the greater
// score, then the lower index.
//
//===----------------------------------------------------------------------===//

#ifndef PEER_LOWERING_NVPTX_ROWSELECT_H
#define PEER_LOWERING_NVPTX_ROWSELECT_H

#include "LaneList.h"
#include "SharedPlan.h"

namespace peer::nvptx {

/// Selections of at most this many experts are kept in registers.
inline constexpr int64_t kMostSelected = 64;

/// The k best of rows that are looked at in pieces. All methods are for all lanes of a warp.
class RowSelect {
public:
  /// Reserves the queues of the block's warps.
  RowSelect(BlockBuilder &b, int64_t k, SharedPlan &shared);
  /// Bytes of shared memory that it will reserve.
  static int64_t queueBytes(int64_t k, int64_t warps);

  const LaneList &lists() const { return list; }
  /// A list of nothing: (-inf, greatest index).
  Entries empty() const;
  /// Offers the scores with numbers first .. first + count - 1 (index; `count` may differ between the warp's groups, but is at
  /// most `most`, which is the same in all), `score` of a number relative to first. Numbers ascend from call to call.
  Entries offer(const Entries &best, mlir::Value first, mlir::Value count, mlir::Value most,
                llvm::function_ref<mlir::Value(mlir::Value number)> score) const;
  /// Puts the lowest numbers that are not listed in place of the entries of -inf.
  Entries fill(const Entries &best) const;

private:
  struct State {
    Entries best;
    mlir::Value count, least;
  };
  State push(const State &state, mlir::Value score, mlir::Value number) const;
  State flush(const State &state) const;
  State flushDownTo(const State &state, mlir::Value limit) const;
  mlir::Value leastOf(const Entries &best) const { return list.at(best, k - 1)[0]; }
  Values pack(const State &state) const;
  State unpack(mlir::ValueRange values) const;

  BlockBuilder &b;
  int64_t k;
  LaneList list;
  mlir::Value queueScores, queueNumbers; // 1-D, this group's part begins at queueStart
  mlir::Value queueStart;
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
  mlir::Value table; // of the pairs of ranks (i, j) with i > 0: i * kMostSelected + j
};

/// The weights of sorted scores, of which k are meant; -inf has weight 0.
Values emitGateWeights(BlockBuilder &b, GateKind kind, const LaneList &list, int64_t k,
                       llvm::ArrayRef<mlir::Value> scores);

} // namespace peer::nvptx

#endif // PEER_LOWERING_NVPTX_ROWSELECT_H
