//===- StoredTable.h - vectors of tables, as they are stored --------------===//

#ifndef PEER_LOWERING_EMIT_STOREDTABLE_H
#define PEER_LOWERING_EMIT_STOREDTABLE_H

#include "LoopBuilder.h"

#include "dialect/ops/Stored.h"

namespace peer {

/// A table whose vectors are f32, bf16, or fewer bits with scales (int8, int4, fp8). Elements are counted as readers do, who see neither bytes nor groups.
struct StoredTable : StoredRows {
  /// `scales` is null where the table holds the elements themselves.
  StoredTable(mlir::Value table, mlir::Value scales, int64_t width)
      : StoredRows(table, scales, width), table(table), scales(scales) {}

  /// `lanes` elements of a vector from `at` on, as f32. Where two are a byte, lanes are 1 to 16 and divide `at`. A scale of the whole vector is left to
  /// the reader.
  mlir::Value load(LoopBuilder &b, mlir::ValueRange vector, mlir::Value at, int64_t lanes) const;
  /// Multiplied by that, too.
  mlir::Value loadScaled(LoopBuilder &b, mlir::ValueRange vector, mlir::Value at, int64_t lanes) const;
  bool hasVectorScales() const { return scales && !isGrouped; }
  mlir::Value scaleOf(LoopBuilder &b, mlir::ValueRange vector) const { return b.load(scales, vector); }

  /// Whether an element, of two in a byte, is that in the upper four bits.
  mlir::Value isUpper(LoopBuilder &b, mlir::Value at) const;
  /// Where the byte of an element is in its vector, and by how many bits it is moved up, in i32, for the element's to be the uppermost four.
  mlir::Value byteOf(LoopBuilder &b, mlir::Value at) const;
  mlir::Value shiftOf(LoopBuilder &b, mlir::Value at) const;

  mlir::Value table, scales;
};

} // namespace peer

#endif // PEER_LOWERING_EMIT_STOREDTABLE_H
