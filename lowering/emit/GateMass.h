//===- GateMass.h - histograms of gate mass ------------------------------===//

#ifndef PEER_LOWERING_EMIT_GATEMASS_H
#define PEER_LOWERING_EMIT_GATEMASS_H

#include "LoopBuilder.h"

namespace peer {

/// mass[expert] += sum, an f64; mass is f64 or f32.
void addMass(LoopBuilder &b, mlir::Value mass, mlir::Value expert, mlir::Value sum);

} // namespace peer

#endif // PEER_LOWERING_EMIT_GATEMASS_H
