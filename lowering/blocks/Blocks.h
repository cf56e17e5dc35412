//===- Blocks.h - passes on what a model repeats -------------------------===//

#ifndef PEER_LOWERING_BLOCKS_BLOCKS_H
#define PEER_LOWERING_BLOCKS_BLOCKS_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace peer {

#define GEN_PASS_DECL
#include "lowering/blocks/Blocks.h.inc"

#define GEN_PASS_REGISTRATION
#include "lowering/blocks/Blocks.h.inc"

/// On a function that several blocks of a model share: it calls kernels, as an entry does.
inline constexpr llvm::StringLiteral kBlockAttr = "peer.block";

inline bool isSharedBlock(mlir::func::FuncOp function) { return function->hasAttr(kBlockAttr); }

} // namespace peer

#endif // PEER_LOWERING_BLOCKS_BLOCKS_H
