//===- ParameterNames.h - full names of a description's parameters -------===//

#ifndef PEER_PASSES_CONVERSION_PARAMETERNAMES_H
#define PEER_PASSES_CONVERSION_PARAMETERNAMES_H

#include "dialect/PeerOps.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/StringMap.h"

#include <string>

namespace peer {

/// The names that each `peer.param` has in weights files, by way of all calls that lead to it from entries.
class ParameterNames {
public:
  /// Fails on calls of nothing, on recursion, and where there are more names than a model has.
  static mlir::FailureOr<ParameterNames> find(mlir::ModuleOp module);
  /// Those of one function, whose names are behind a prefix.
  static mlir::FailureOr<ParameterNames> find(mlir::func::FuncOp function, llvm::StringRef prefix,
                                              mlir::SymbolTable &symbols);

  /// None where no entry uses it.
  llvm::ArrayRef<std::string> of(ParamOp param) const;
  /// All declarations of a parameter.
  llvm::ArrayRef<ParamOp> uses(llvm::StringRef name) const;
  /// All of them, in alphabetical order.
  llvm::SmallVector<llvm::StringRef> all() const;
  /// What calls put before the names of a function, a prefix for each way that leads to other names.
  llvm::ArrayRef<std::string> prefixesOf(mlir::func::FuncOp function) const;

private:
  mlir::LogicalResult visit(mlir::func::FuncOp function, llvm::StringRef prefix, mlir::SymbolTable &symbols);

  llvm::DenseMap<mlir::Operation *, llvm::SmallVector<std::string>> namesOf, prefixes;
  llvm::StringMap<llvm::SmallVector<ParamOp>> usesOf;
  llvm::SmallVector<mlir::func::FuncOp> stack;
};

/// The function that an op of a description calls, once or several times; null where it calls none.
mlir::FlatSymbolRefAttr calleeOf(mlir::Operation *op);

/// Where messages about a model as a whole point to: its first entry.
mlir::Location locationOf(mlir::ModuleOp module);

/// Whether a parameter belongs to one of the layers that are named by prefixes; to all of none.
bool isInLayers(llvm::StringRef parameter, llvm::ArrayRef<std::string> layers);

} // namespace peer

#endif // PEER_PASSES_CONVERSION_PARAMETERNAMES_H
