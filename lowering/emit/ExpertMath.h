//===- ExpertMath.h - the formulas that define what a layer computes -----===//
//
// Each is written once, for scalars and vectors, and so rounds alike in plain loops, vectors and warps. In which order terms are
// added is not said here: that follows from how they are spread.
//
//===----------------------------------------------------------------------===//

#ifndef PEER_LOWERING_EMIT_EXPERTMATH_H
#define PEER_LOWERING_EMIT_EXPERTMATH_H

#include "LoopBuilder.h"

namespace peer {

//===----------------------------------------------------------------------===//
// Gates
//===----------------------------------------------------------------------===//

/// Whether a selected score stands for nothing selected: it is -inf.
mlir::Value emitIsNone(LoopBuilder &b, mlir::Value score);
/// What a score counts for, 0 where `none`: its weight, or for a softmax exp(score - highest), the weight up to a factor.
mlir::Value emitGateTerm(LoopBuilder &b, GateKind kind, mlir::Value score, mlir::Value highest, mlir::Value none);
/// The factor of a row whose terms have this sum: 1 / total, 0 where nothing is selected.
mlir::Value emitSoftmaxFactor(LoopBuilder &b, mlir::Value total);
/// The gradient of a score. `mean`: the sum over the row of weight * dweight, of a softmax. `score` is asked for if it is needed.
mlir::Value emitGateGradient(LoopBuilder &b, GateKind kind, mlir::Value weight, mlir::Value dweight, mlir::Value mean,
                             llvm::function_ref<mlir::Value()> score);

//===----------------------------------------------------------------------===//
// Mixes
//===----------------------------------------------------------------------===//

/// What a row's last vector is multiplied with: weight act(a) u, where `dots` are a = first . x and u = second . x, as many as
/// there are. A last vector that is stored with a scale has it in its weight.
mlir::Value emitMixScale(LoopBuilder &b, std::optional<Activation> activation, mlir::Value weight,
                         mlir::ValueRange dots);

/// What follows from a row's dots a, u (or none: 1) and c = last . dy.
struct MixGradient {
  llvm::SmallVector<mlir::Value> coefs; // of the vectors: w act'(a) u c, w act(a) c and w act(a) u
  mlir::Value ofWeight;                 // act(a) u c
};
MixGradient emitMixGradient(LoopBuilder &b, std::optional<Activation> activation, mlir::Value weight,
                            mlir::ValueRange dots);

//===----------------------------------------------------------------------===//
// Experts and their keys
//===----------------------------------------------------------------------===//

/// The key that an expert (index or i32) takes in a half of a product of n keys each; the expert itself where there is one half.
mlir::Value emitKeyOf(LoopBuilder &b, mlir::Value expert, int64_t half, int64_t halves, int64_t n);
/// The same of a half (index) that is known at run time.
mlir::Value emitKeyOf(LoopBuilder &b, mlir::Value expert, mlir::Value half, int64_t halves, int64_t n);

} // namespace peer

#endif // PEER_LOWERING_EMIT_EXPERTMATH_H
