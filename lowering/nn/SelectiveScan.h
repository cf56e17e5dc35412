//===- SelectiveScan.h - some states of some channels of a scan ----------===//

#ifndef PEER_LOWERING_NN_SELECTIVESCAN_H
#define PEER_LOWERING_NN_SELECTIVESCAN_H

#include "Emit.h"

namespace peer::nn {

/// What a scan reads; row 0 of a sequence is row `first`.
struct ScanInputs {
  mlir::Value x, delta, a, b, c, first;
};

/// Where the gradients of a group of channels go; see the op.
struct ScanOutputs {
  mlir::Value dx, ddelta, da, db, dc;
  mlir::Value sequence, group; // numbers
};

/// Buffers for the states of a strip, `steps x states` of `lanes` elements from `slot` on.
struct ScanStates {
  mlir::Value kept;  // every chunk's first
  mlir::Value chunk; // of one chunk, before each step
  mlir::Value slot;
};

/// `count` states from `from` on of `lanes` channels from `at` on. No state needs another one, so they are walked through in
/// parts that registers hold.
class ScanStrip {
public:
  ScanStrip(LoopBuilder &b, ScanInputs in, mlir::Value at, int64_t lanes, int64_t from, int64_t count);

  /// The rows of y that these states make of a sequence of `count` (index) rows, beside what other states make of them.
  void emitSequence(mlir::Value count, mlir::Value y) { emitRows(count, zeros(), y); }
  /// The same of `count` rows that go on from `states`; the states after them.
  llvm::SmallVector<mlir::Value> emitRows(mlir::Value count, mlir::ValueRange states, mlir::Value y);
  /// The same of `count` rows that go on at position `start`, from the states in `state`, which are updated.
  void emitCached(mlir::Value start, mlir::Value count, mlir::Value state, mlir::Value y);

  /// The states after `count` rows that begin with zeros, and the sum of their delta, of which the decay of what was before is made.
  llvm::SmallVector<mlir::Value> emitEnd(mlir::Value count);
  /// The gradients of the states before `count` rows, if none comes from behind them.
  llvm::SmallVector<mlir::Value> emitGradEnd(mlir::Value dy, mlir::Value count);

  /// Gradients of a sequence of `context` rows, of which `states` holds a chunk of `chunk`. `sum` adds what all channels of
  /// the group have of an element up and puts it where it belongs; `guard` runs what stores of channels do.
  using Sum = llvm::function_ref<void(mlir::Value share, mlir::Value buffer, mlir::ValueRange at)>;
  using Guard = llvm::function_ref<void(llvm::function_ref<void()> body)>;
  void emitGrad(mlir::Value dy, const ScanOutputs &out, const ScanStates &states, int64_t context, int64_t chunk,
                Sum sum, Guard guard);
  /// Of its rows [low, high), which `states.chunk` has room for, from the states `first` on. `carried` and what is returned: the
  /// gradients of the states behind the rows and before them, and the sums for a that have come together.
  llvm::SmallVector<mlir::Value> emitChunkGrad(mlir::Value dy, const ScanOutputs &out, const ScanStates &states,
                                               mlir::Value low, mlir::Value high, mlir::ValueRange first,
                                               mlir::ValueRange carried, Sum sum, Guard guard);
  /// The sums for a, `count` of them, where they belong.
  void putGradOfA(mlir::ValueRange sums, const ScanOutputs &out);
  llvm::SmallVector<mlir::Value> zeros();

private:
  /// Walks rows [low, high), and calls `visit` with each row, the states before it and y's part of these states. Behind `states`
  /// there may be a number that each row's delta is added to.
  using Visit = llvm::function_ref<void(mlir::Value t, mlir::ValueRange before, mlir::Value y)>;
  llvm::SmallVector<mlir::Value> walk(mlir::Value low, mlir::Value high, mlir::ValueRange states, Visit visit);
  struct Row {
    mlir::Value x, delta, u;
  };
  Row takeRow(mlir::Value t);
  /// Element t, n of b or c, in all lanes.
  mlir::Value takeShared(mlir::Value rows, mlir::Value t, int64_t i);
  mlir::Value decay(const Row &row, int64_t i);
  mlir::Value rowOf(mlir::Value t) { return builder.add(in.first, t); }
  /// Stores, or adds where another part of the states was first.
  void put(mlir::Value value, mlir::Value buffer, mlir::ValueRange at);
  llvm::SmallVector<mlir::Value> walkBack(mlir::Value dy, const ScanOutputs &out, const ScanStates &states,
                                          mlir::Value low, mlir::Value high, mlir::ValueRange carried, Sum sum,
                                          Guard guard);

  LoopBuilder &builder;
  ScanInputs in;
  mlir::Value at;
  int64_t lanes, from, count;
  llvm::SmallVector<mlir::Value> a;
};

/// States that a strip has at most.
inline constexpr int64_t kStripStates = 16;
/// Calls `body` with the parts of `states` states, which have `most` at most.
inline void forStateParts(int64_t states, llvm::function_ref<void(int64_t from, int64_t count)> body,
                          int64_t most = kStripStates) {
  for (int64_t from = 0; from < states; from += most)
    body(from, std::min(most, states - from));
}
/// Rows of a chunk, of whose states one is kept: about as many as there are chunks.
int64_t chunkOf(int64_t context);

} // namespace peer::nn

#endif // PEER_LOWERING_NN_SELECTIVESCAN_H
