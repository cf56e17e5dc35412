//===- LaneRows.h - rows of numbers in the registers of warps ------------===//
//
// A warp reads a row with accesses as wide as they can be, neighbouring lanes at neighbouring addresses, and keeps what it
// sums in registers.
//
//===----------------------------------------------------------------------===//

#ifndef PEER_LOWERING_GPU_BLOCK_LANEROWS_H
#define PEER_LOWERING_GPU_BLOCK_LANEROWS_H

#include "BlockBuilder.h"

#include "lowering/emit/RoutingBuilder.h"

namespace peer::device {

/// How a row lies over the lanes of one warp or several: chunk c of warp s has at lane l the `vector` elements from
/// ((s * chunks + c) * 32 + l) * vector on. Where two elements are a byte, bytes lie so, and each chunk has two runs of elements.
struct RowLayout {
  int64_t width;  // elements of a row, or bytes
  int64_t vector; // neighbouring elements of a lane: one access
  int64_t chunks; // accesses of a lane
  int64_t warps;  // that share a row: a power of two
  int64_t runs = 1;
  bool isFP8 = false;

  int64_t perLane() const { return runs * chunks * vector; }
  /// The fewest accesses, of at most 16 bytes; at most about `most` elements per lane.
  static RowLayout choose(int64_t width, mlir::Type element, int64_t most, bool packed = false);
};

/// One warp's part of rows. All lanes of the warp must reach every method.
class LaneRow {
public:
  using Value = mlir::Value;

  /// `part` (index): which of the warps that share a row; null for the only one.
  LaneRow(BlockBuilder &b, const RowLayout &layout, Value part = {});

  Values zeros() const;
  /// The elements of buffer[at..., :] as they are stored, i8 and fp8 by fours in words where an access takes so many; nothing writes the
  /// buffer while the kernel runs. Lanes beyond the end of the row have some of its elements.
  Values load(Value buffer, mlir::ValueRange at) const;
  /// The same of a table's vector, and behind it, where groups have scales of their own, those of the chunks.
  Values load(const StoredTable &table, mlir::ValueRange at) const;
  /// Of f32 or bf16, as f32, 0 beyond the end of the row.
  Values loadFloats(Value buffer, mlir::ValueRange at) const;
  /// The lane's part of the dot product of a row as loaded and one from loadFloats.
  Value dot(mlir::ValueRange row, mlir::ValueRange floats) const;
  /// sums + scale * row.
  Values addScaled(mlir::ValueRange sums, Value scale, mlir::ValueRange row) const;
  void store(mlir::ValueRange floats, Value buffer, mlir::ValueRange at) const;

  /// Shared memory for `sumWarps` over this many warps.
  Value sharedForWarps(int64_t warps) const;
  /// buffer[at..., :] = the sum over the block's warps, in their order, of `floats`. All threads of the block reach it.
  void storeSumOfWarps(mlir::ValueRange floats, Value shared, Value buffer, mlir::ValueRange at) const;

private:
  /// As f32, times the scales that came with it: a value for each run.
  Values widen(mlir::ValueRange row) const;
  Value widenRun(Value loaded, int64_t run) const;
  /// Of f32: where run `run` of a chunk begins at a lane whose access begins at `column`.
  Value place(Value column, int64_t run) const;
  /// Values of a chunk that are 0 beyond the end of the row.
  Value insideOnly(Value floats, int64_t chunk) const;
  Value padded(Value column) const;

  BlockBuilder &b;
  RowLayout layout;
  Values columns, starts; // of each chunk: the lane's first element, before and after moving it into the row
  Values inside;          // of each chunk: whether the lane has elements of the row; null where every lane has
  Value slice;            // the warp's first element, null for 0
};

/// The four i8 of each word (a vector of i32) as f32.
mlir::Value widenWords(BlockBuilder &b, mlir::Value words);
/// The four f8E4M3FN of each word as f32: exactly, NaN as NaN.
mlir::Value widenFP8Words(BlockBuilder &b, mlir::Value words);
/// The four int4 of each word that are the lower halves of its bytes, or the upper ones where `shift` (i32) is 4 and not 0.
mlir::Value widenNibbles(BlockBuilder &b, mlir::Value words, mlir::Value shift);

/// Per lane one of the n values (a power of two): the one whose `leaderLane` is the first lane of its group of 32 / n.
mlir::Value pickOwn(BlockBuilder &b, mlir::ValueRange values);
/// Sums n values (a power of two) over the lanes with fewer shuffles than n butterflies: each lane gets the sum of its own
/// value, as `pickOwn` says. The order of additions is fixed.
mlir::Value sumOwn(BlockBuilder &b, mlir::ValueRange values);
/// The first lane that has value i of n as its own.
inline int64_t leaderLane(int64_t i, int64_t n) { return i * (kWarpSize / n); }

/// A loop that counts in i32: half the registers of one over indices.
Values loop32(LoopBuilder &b, mlir::Value low, mlir::Value high, mlir::ValueRange init, LoopBuilder::CarryBody body,
              int64_t step = 1);

/// Keeps a loop (by one of its results) as it is written. LLVM would otherwise take up to four rounds at once, and with their
/// registers the assembler would keep some values in memory.
void keepRolled(mlir::Value result);

/// Visits the set bits of `mask` (i32, the same in all lanes), lowest first: `unroll` of them at a time, then the remaining ones
/// singly. `body` gets their positions (i32) and the carried values, and returns the next ones.
Values forSetBits(BlockBuilder &b, mlir::Value mask, int64_t unroll, mlir::ValueRange init,
                  llvm::function_ref<Values(mlir::ArrayRef<mlir::Value> positions, mlir::ValueRange carried)> body);

/// Whether a buffer starts where its pointer points and has no gaps: accesses as wide as its rows allow are aligned.
inline bool isPlain(mlir::Value buffer) {
  return llvm::cast<mlir::MemRefType>(buffer.getType()).getLayout().isIdentity();
}

} // namespace peer::device

#endif // PEER_LOWERING_GPU_BLOCK_LANEROWS_H
