//===- SharedTile.h - f32 matrices in shared memory ----------------------===//
//
// What products and attention keep of their operands in a block. Tiles are copied by cp.async, in 16-byte pieces where
// the matrix in memory allows it, and padded by zeros, so that what reads them needs no bounds.
//
//===----------------------------------------------------------------------===//

#ifndef PEER_LOWERING_GPU_BLOCK_SHAREDTILE_H
#define PEER_LOWERING_GPU_BLOCK_SHAREDTILE_H

#include "BlockBuilder.h"

#include <functional>

namespace peer::device {

/// f32 of the block, the first at a multiple of 16 bytes.
class SharedFloats {
public:
  SharedFloats(BlockBuilder &b, int64_t count);

  /// The element at `offset + constant`; the constant becomes part of the instruction.
  mlir::Value load(BlockBuilder &b, mlir::Value offset, int64_t constant = 0) const;
  /// Done by every thread that reaches it.
  void store(BlockBuilder &b, mlir::Value v, mlir::Value offset, int64_t constant = 0) const;
  mlir::Value pointer(BlockBuilder &b, mlir::Value offset, int64_t constant = 0) const;

private:
  mlir::Value base;
};

/// A window of a rank-2 f32 buffer: rows from `row`, columns from `column`; what is not below `rowEnd` and `columnEnd`
/// counts as zero.
struct Window {
  mlir::Value buffer, row, rowEnd, column, columnEnd;
  /// `column` and `columnEnd` are multiples of it.
  int64_t columnUnit = 1;
  /// Where a row lies in the buffer, if not at its number; asked for row 0, too, where nothing is copied.
  std::function<mlir::Value(mlir::Value row)> rowAt = nullptr;
};

/// Elements that one access to `buffer` can cover at columns that are multiples of `columnUnit`: 4 or 1.
int64_t accessWidth(mlir::Value buffer, int64_t columnUnit);

/// Starts the copy of `rows` x `columns` of the window to `to`, element (r, c) at `offset + r * stride + c`; columns and
/// stride are multiples of 4. All threads of the block must reach it; the copy belongs to the open group.
void copyAsync(BlockBuilder &b, const Window &from, int64_t rows, int64_t columns, const SharedFloats &to,
               mlir::Value offset, int64_t stride);
/// Closes the group of the copies that this thread has started.
void commitCopies(BlockBuilder &b);
/// Waits until at most `pending` groups of this thread are under way. Other threads' copies want a barrier after it.
void awaitCopies(BlockBuilder &b, int64_t pending);

} // namespace peer::device

#endif // PEER_LOWERING_GPU_BLOCK_SHAREDTILE_H
