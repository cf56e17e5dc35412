//===- NarrowFloats.h - arithmetic on bf16 and f16 -------------*- C++ -*-===//

#ifndef PEER_LOWERING_NARROWFLOATS_H
#define PEER_LOWERING_NARROWFLOATS_H

#include "mlir/IR/Operation.h"

namespace peer {

/// Makes f32 arithmetic of that on bf16 and f16, with one rounding per op, and leaves no conversion that a target would call
/// a library for, but that of f32 to bf16: every machine computes the same, with no more than f32 instructions.
void expandNarrowFloats(mlir::Operation *root);

} // namespace peer

#endif // PEER_LOWERING_NARROWFLOATS_H
