//===- SharedTile.h - matrices in shared memory --------------------------===//
//
// What products and attention keep of their operands in a block, as they are stored: f32, bf16, i8 or fp8. Tiles are copied by cp.async, in
// 16-byte pieces where the matrix in memory allows it, and padded by zeros, so that what reads them needs no bounds.
//
//===----------------------------------------------------------------------===//

#ifndef PEER_LOWERING_GPU_BLOCK_SHAREDTILE_H
#define PEER_LOWERING_GPU_BLOCK_SHAREDTILE_H

#include "BlockBuilder.h"

#include <functional>

namespace peer::device {

/// Numbers of the block, the first at a multiple of 16 bytes.
class SharedNumbers {
public:
  /// `type`: f32, unless said.
  SharedNumbers(BlockBuilder &b, int64_t count, mlir::Type type = {});

  /// The element at `offset + constant` as f32; the constant becomes part of the instruction.
  mlir::Value load(BlockBuilder &b, mlir::Value offset, int64_t constant = 0) const;
  /// Done by every thread that reaches it.
  void store(BlockBuilder &b, mlir::Value v, mlir::Value offset, int64_t constant = 0) const;
  mlir::Value pointer(BlockBuilder &b, mlir::Value offset, int64_t constant = 0) const;

private:
  mlir::Type type;
  bool isFP8;
  mlir::Value base;
};

/// A window of a rank-2 buffer of f32, bf16, i8 or fp8: rows from `row`, columns from `column`; what is not below `rowEnd` and `columnEnd`
/// counts as zero.
struct Window {
  mlir::Value buffer, row, rowEnd, column, columnEnd;
  /// `column` and `columnEnd` are multiples of it.
  int64_t columnUnit = 1;
  /// Where a row lies in the buffer, if not at its number; asked for row 0, too, where nothing is copied.
  std::function<mlir::Value(mlir::Value row)> rowAt = nullptr;
};

/// Elements that one access to `buffer` (f32) can cover at columns that are multiples of `columnUnit`: 4 or 1.
int64_t accessWidth(mlir::Value buffer, int64_t columnUnit);

/// Starts the copy of `rows` x `columns` of the window to `to`, element (r, c) at `offset + r * stride + c`; columns and
/// stride are whole pieces of 16 bytes. All threads of the block must reach it; the copy belongs to the open group.
void copyAsync(BlockBuilder &b, const Window &from, int64_t rows, int64_t columns, const SharedNumbers &to,
               mlir::Value offset, int64_t stride);
/// Closes the group of the copies that this thread has started.
void commitCopies(BlockBuilder &b);
/// Waits until at most `pending` groups of this thread are under way. Other threads' copies want a barrier after it.
void awaitCopies(BlockBuilder &b, int64_t pending);

} // namespace peer::device

#endif // PEER_LOWERING_GPU_BLOCK_SHAREDTILE_H
