//===- Tiling.h - tiling and shape reification of graph ops --------------===//

#ifndef PEER_DIALECT_INTERFACES_TILING_H
#define PEER_DIALECT_INTERFACES_TILING_H

#include "dialect/interfaces/IndexNotation.h"

#include "mlir/IR/DialectRegistry.h"

namespace peer {

/// Gives all graph ops TilingInterface and ReifyRankedShapedTypeOpInterface,
/// both derived from the index notation.
void registerTilingExternalModels(mlir::DialectRegistry &registry);

/// Trip count of one of `op`'s loops.
mlir::OpFoldResult getLoopSize(mlir::OpBuilder &builder, GraphOpInterface op, const IndexLoop &loop);

/// `index * scale`, folded where possible.
mlir::OpFoldResult scaleIndex(mlir::OpBuilder &builder, mlir::Location loc, mlir::OpFoldResult index, int64_t scale);

} // namespace peer

#endif // PEER_DIALECT_INTERFACES_TILING_H
