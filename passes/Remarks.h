//===- Remarks.h - what is said of ops that are lowered or taken apart ---===//

#ifndef PEER_PASSES_REMARKS_H
#define PEER_PASSES_REMARKS_H

#include "mlir/IR/Remarks.h"
#include "mlir/Interfaces/FunctionInterfaces.h"

namespace peer::remarks {

/// All of them are in this category; a remark's name is the emitter's.
inline constexpr llvm::StringLiteral kCategory = "peer-emitter";
/// The arguments: the op's name, the names of what it was taken apart into, and why.
inline constexpr llvm::StringLiteral kOp = "op", kInto = "into", kReason = "reason";

// Emitters:
inline constexpr llvm::StringLiteral kPlainLoops = "plain loops";
inline constexpr llvm::StringLiteral kVectors = "vectors";
/// The pairs of an expert are taken together.
inline constexpr llvm::StringLiteral kProducts = "products per expert";
/// The threads of a block share a tile.
inline constexpr llvm::StringLiteral kBlock = "a block per tile";
/// An op that is left whole chooses its launches where sizes are known.
inline constexpr llvm::StringLiteral kGrid = "launches of its own";
/// No emitter: other ops take the op's place.
inline constexpr llvm::StringLiteral kTakenApart = "taken apart";

inline mlir::remark::RemarkOpts options(mlir::Operation *op, llvm::StringRef emitter) {
  auto function = op->getParentOfType<mlir::FunctionOpInterface>();
  return mlir::remark::RemarkOpts::name(emitter).category(kCategory).function(function ? function.getName() : "");
}

/// The emitter takes the op, where there is a choice for this reason. To be said while the op is there.
inline void taken(mlir::Operation *op, llvm::StringRef emitter, llvm::StringRef reason = "") {
  auto remark = mlir::remark::passed(op->getLoc(), options(op, emitter));
  remark << mlir::remark::detail::Remark::Arg(kOp, op->getName().getStringRef());
  if (!reason.empty())
    remark << mlir::remark::detail::Remark::Arg(kReason, reason);
}

/// The emitter does not take the op, for this reason.
inline void left(mlir::Operation *op, llvm::StringRef emitter, llvm::StringRef reason) {
  mlir::remark::missed(op->getLoc(), options(op, emitter))
      << mlir::remark::detail::Remark::Arg(kOp, op->getName().getStringRef())
      << mlir::remark::detail::Remark::Arg(kReason, reason);
}

/// The op is about to be replaced by others, `into` being their names, for this reason.
inline void takenApart(mlir::Operation *op, llvm::StringRef into, llvm::StringRef reason) {
  mlir::remark::analysis(op->getLoc(), options(op, kTakenApart))
      << mlir::remark::detail::Remark::Arg(kOp, op->getName().getStringRef())
      << mlir::remark::detail::Remark::Arg(kInto, into) << mlir::remark::detail::Remark::Arg(kReason, reason);
}

} // namespace peer::remarks

#endif // PEER_PASSES_REMARKS_H
