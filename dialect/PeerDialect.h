//===- PeerDialect.h - the peer dialect: types, attributes, helpers ------===//

#ifndef PEER_DIALECT_PEERDIALECT_H
#define PEER_DIALECT_PEERDIALECT_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/SmallBitVector.h"

#include "PeerDialect.h.inc"
#include "PeerEnums.h.inc"

#include "OptimizerState.h"
#include "PeerAttrInterfaces.h.inc"

#define GET_ATTRDEF_CLASSES
#include "PeerAttrs.h.inc"

namespace peer {

/// True if each given type could be a more or less static form of the inferred
/// one: equal element types, compatible shapes.
bool areCompatibleTypes(mlir::TypeRange inferred, mlir::TypeRange given);

/// Names of the attributes that describe entries, their arguments and results
/// (see passes/README.md for who sets which).
namespace attrs {
constexpr llvm::StringLiteral kKind = "peer.kind";
constexpr llvm::StringLiteral kOf = "peer.of";
constexpr llvm::StringLiteral kMultipleOf = "peer.multiple_of";
constexpr llvm::StringLiteral kMaxTokens = "peer.max_tokens";
constexpr llvm::StringLiteral kGroups = "peer.groups";
constexpr llvm::StringLiteral kName = "peer.name";
constexpr llvm::StringLiteral kRole = "peer.role";
constexpr llvm::StringLiteral kParameter = "peer.parameter";
constexpr llvm::StringLiteral kRange = "peer.range";
constexpr llvm::StringLiteral kGrid = "peer.grid";
constexpr llvm::StringLiteral kUpdates = "peer.updates";
constexpr llvm::StringLiteral kPairs = "peer.pairs";
} // namespace attrs

} // namespace peer

#endif // PEER_DIALECT_PEERDIALECT_H
