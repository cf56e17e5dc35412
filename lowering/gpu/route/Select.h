//===- Select.h - from scores to experts and weights ---------------------===//

#ifndef PEER_LOWERING_GPU_ROUTE_SELECT_H
#define PEER_LOWERING_GPU_ROUTE_SELECT_H

#include "RowSelect.h"

#include <optional>

namespace peer::device {

/// What is selected, and where it goes.
struct Selection {
  SelectPolicyAttrInterface policy;
  int64_t n, k;
  mlir::Value idx, val, weights; // tokens x heads x k; val and weights: null where nobody wants them
  std::optional<GateKind> gate;  // of the weights

  static Selection of(SelectOp op);
  static Selection of(RouteOp op);
  /// Rows of scores per token and head.
  int64_t halves() const { return policy.getHalves(); }
};

/// Why a select is left to plain loops, or null.
const char *rejectSelect(SelectOp op);

/// The sorted lists of rows in shared memory: as many as a row has halves; `slot` numbers rows.
class RowLists {
public:
  RowLists(BlockBuilder &b, int64_t k, int64_t halves, int64_t slots, SharedPlan &shared);
  /// Bytes of shared memory that it will reserve.
  static int64_t sharedBytes(int64_t k, int64_t halves, int64_t slots);

  const LaneList &lists() const { return rows.lists(); }

  /// Begins the row's half: nothing is listed. The groups of a warp store, offer and load their own slots only.
  void clear(mlir::Value slot, mlir::Value half) { store(rows.empty(), slot, half); }
  /// Offers a piece of the row's half; one half after the other.
  void offer(mlir::Value slot, mlir::Value half, const RowSelect::Piece &piece);
  /// The sorted list of a row's half; to be stored with an empty queue.
  RowState load(mlir::Value slot, mlir::Value half);
  void store(const RowState &row, mlir::Value slot, mlir::Value half);

protected:
  mlir::Value place(mlir::Value slot, mlir::Value half) const;

  BlockBuilder &b;
  RowSelect rows;
  SharedWords scores, numbers;

private:
  int64_t halves;
  SharedWords queued;
};

/// The lists of rows, and what becomes of them. A barrier must lie between the constructor and finish().
class SelectRows : public RowLists {
public:
  SelectRows(BlockBuilder &b, Selection what, int64_t slots, SharedPlan &shared);
  /// Bytes of shared memory that it will reserve.
  static int64_t sharedBytes(int64_t k, int64_t halves, int64_t slots);

  /// Combines the lists of each group's row and writes its results, where `present`. All lanes of a warp must reach it, and
  /// what wrote the lists must be ordered before.
  void finish(mlir::Value slot, mlir::Value token, mlir::Value head, mlir::Value present);

private:
  Selection what;
  std::optional<PairSelect> pairs;
};

/// The groups of lanes of a block: how many, and which one this is (index).
struct Groups {
  int64_t count;
  mlir::Value number;

  Groups(BlockBuilder &b, const LaneList &list)
      : count(b.warps() * list.groups()), number(b.add(b.mul(b.warp(), b.index(list.groups())), list.group())) {}
};

/// Selects from logits in memory, one tile per block.
void emitSelection(const Selection &what, mlir::Value logits, BlockBuilder &b);
/// A select's tile, of any policy.
void emitSelect(SelectOp op, BlockBuilder &b);

} // namespace peer::device

#endif // PEER_LOWERING_GPU_ROUTE_SELECT_H
