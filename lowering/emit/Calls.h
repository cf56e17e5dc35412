//===- Calls.h - calls of the runtime ------------------------------------===//

#ifndef PEER_LOWERING_EMIT_CALLS_H
#define PEER_LOWERING_EMIT_CALLS_H

#include "LoopBuilder.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace peer {

/// Declares a function of the runtime on first use.
void declareHook(mlir::OpBuilder &b, mlir::ModuleOp module, llvm::StringRef name, mlir::FunctionType type);
/// Calls one, whose type is that of the operands and results. Lowerings run on modules, so adding the declaration from inside a
/// pattern is safe.
mlir::func::CallOp callHook(LoopBuilder &b, llvm::StringRef name, mlir::ValueRange operands,
                            mlir::TypeRange results = {});

/// An f32 matrix as BLAS takes it.
struct MatrixOperand {
  mlir::Value pointer, stride; // of its first element; elements from row to row, i64
};
/// Of a rank-2 buffer with unit inner stride; slices are fine.
MatrixOperand matrixOperand(LoopBuilder &b, mlir::Value buffer);

/// An index as i64.
mlir::Value toI64(LoopBuilder &b, mlir::Value index);

} // namespace peer

#endif // PEER_LOWERING_EMIT_CALLS_H
