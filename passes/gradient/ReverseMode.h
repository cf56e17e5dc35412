//===- ReverseMode.h - reverse mode over straight-line graph ops ---------===//

#ifndef PEER_PASSES_GRADIENT_REVERSEMODE_H
#define PEER_PASSES_GRADIENT_REVERSEMODE_H

#include "mlir/IR/Builders.h"

namespace peer {

/// The type of a gradient with respect to a value: its shape in f32, or in f64 for f64.
mlir::Type getGradientType(mlir::Type type);

/// Whether a value can carry a gradient: a tensor of floats.
bool isDifferentiableType(mlir::Type type);

/// Builds, at `builder`'s insertion point, the gradients of
/// `sum over i of seeds[i] . outputs[i]` with respect to `inputs`, all values of one
/// block. `gradients` gets one value per input, null where no gradient reaches it.
/// Reports ops on the way that have no gradient.
llvm::LogicalResult differentiate(mlir::OpBuilder &builder, llvm::ArrayRef<mlir::Value> outputs,
                                  llvm::ArrayRef<mlir::Value> seeds, llvm::ArrayRef<mlir::Value> inputs,
                                  llvm::SmallVectorImpl<mlir::Value> &gradients);

/// A gradient of zeros for `value`, with its dynamic sizes.
mlir::Value createZeroGradient(mlir::OpBuilder &builder, mlir::Value value);

} // namespace peer

#endif // PEER_PASSES_GRADIENT_REVERSEMODE_H
