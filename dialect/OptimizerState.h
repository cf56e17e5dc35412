//===- OptimizerState.h - what an optimizer keeps of a parameter ---------===//

#ifndef PEER_DIALECT_OPTIMIZERSTATE_H
#define PEER_DIALECT_OPTIMIZERSTATE_H

#include "mlir/IR/Types.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"

namespace peer {

/// Along what a state has one number.
enum class StateKind {
  Whole,  ///< each element: the parameter's shape
  Row,    ///< each row: the first dimensions of the parameter, whatever the others are
  Column, ///< each column: its last dimension
};

struct OptimizerState {
  llvm::StringRef name;
  StateKind kind;
  llvm::SmallVector<int64_t> shape;
  mlir::Type element; ///< f32, or bf16
};

} // namespace peer

#endif // PEER_DIALECT_OPTIMIZERSTATE_H
