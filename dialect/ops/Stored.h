//===- Stored.h - tables of vectors in fewer bits -------------------------===//

#ifndef PEER_DIALECT_OPS_STORED_H
#define PEER_DIALECT_OPS_STORED_H

#include "dialect/ops/Check.h"

namespace peer {

/// Elements that two nibbles a byte, and one scale, come in whole multiples of.
inline constexpr int64_t kStoredBlock = 32;

/// How the vectors of a table, its last dimension, lie in its bytes. The shapes say it: of the table, of its scales, which lack the last
/// dimension or have the number of groups there, and the width that the vectors' readers expect.
struct StoredRows {
  StoredRows(mlir::Value table, mlir::Value scales, int64_t width);

  int64_t width;
  /// Scales of a vector, and whether they have a dimension.
  int64_t groups;
  bool isGrouped;
  /// Two elements a byte: int4, of each 32 the first 16 in the lower bits of 16 bytes and the others in the upper ones.
  bool packed;
  /// f8E4M3FN, and not whole numbers.
  bool isFP8;

  int64_t elementsOfGroup() const { return width / groups; }
};

/// Checks a table of i8 or fp8 and its scales: both begin with the dimensions `outer`, as "N F"; the vectors are as wide as the letter `width`, which
/// is bound. `c` are the numbers of the table's shape check, and `blocks` that of what groups and nibbles divide.
mlir::LogicalResult checkStored(Check &check, ConstraintNumbers c, int blocks, llvm::StringRef name, mlir::Value table,
                                mlir::Value scales, llvm::StringRef outer, char width);

} // namespace peer

#endif // PEER_DIALECT_OPS_STORED_H
