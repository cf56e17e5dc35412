//===- Remarks.h - what emitters say of the ops they take or leave -------===//

#ifndef PEER_LOWERING_EMIT_REMARKS_H
#define PEER_LOWERING_EMIT_REMARKS_H

#include "mlir/IR/Remarks.h"
#include "mlir/Interfaces/FunctionInterfaces.h"

namespace peer::remarks {

/// All of them are in this category; a remark's name is the emitter's.
inline constexpr llvm::StringLiteral kCategory = "peer-emitter";
/// The argument that names the op.
inline constexpr llvm::StringLiteral kOp = "op";

// Emitters:
inline constexpr llvm::StringLiteral kPlainLoops = "plain loops";
inline constexpr llvm::StringLiteral kVectors = "vectors";
/// The threads of a block share a tile.
inline constexpr llvm::StringLiteral kBlock = "a block per tile";
/// An op that is left whole chooses its launches where sizes are known.
inline constexpr llvm::StringLiteral kGrid = "launches of its own";

inline mlir::remark::RemarkOpts options(mlir::Operation *op, llvm::StringRef emitter) {
  auto function = op->getParentOfType<mlir::FunctionOpInterface>();
  return mlir::remark::RemarkOpts::name(emitter).category(kCategory).function(function ? function.getName() : "");
}

/// The emitter takes the op. To be said while the op is there.
inline void taken(mlir::Operation *op, llvm::StringRef emitter) {
  mlir::remark::passed(op->getLoc(), options(op, emitter))
      << mlir::remark::detail::Remark::Arg(kOp, op->getName().getStringRef());
}

/// The emitter does not take the op, for this reason.
inline void left(mlir::Operation *op, llvm::StringRef emitter, llvm::StringRef reason) {
  mlir::remark::missed(op->getLoc(), options(op, emitter))
      << mlir::remark::detail::Remark::Arg(kOp, op->getName().getStringRef())
      << mlir::remark::detail::Remark::Arg("reason", reason);
}

} // namespace peer::remarks

#endif // PEER_LOWERING_EMIT_REMARKS_H
