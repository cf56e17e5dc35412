//===- Kernels.h - vector code of the routing ops ------------------------===//
//
// Each file registers the emitters it holds. Ops with a token loop run serially in them: tiling has put them into one. The
// others make their own parallel loops.
//
//===----------------------------------------------------------------------===//

#ifndef PEER_LOWERING_CPU_KERNELS_H
#define PEER_LOWERING_CPU_KERNELS_H

#include "lowering/emit/Emitters.h"
#include "lowering/emit/RoutingBuilder.h"
#include "passes/DecomposeRoutes.h"

namespace peer::cpu {

void addRoute(LoopEmitters &emitters);
void addPackKeys(LoopEmitters &emitters);
void addScore(LoopEmitters &emitters);
void addSelect(LoopEmitters &emitters);
void addGate(LoopEmitters &emitters);
void addMix(LoopEmitters &emitters);
void addMixGrad(LoopEmitters &emitters);
void addGroupedMix(LoopEmitters &emitters);
void addRouteGrad(LoopEmitters &emitters);
void addPoolGrad(LoopEmitters &emitters);
void addPairSort(LoopEmitters &emitters);
void addUpdate(LoopEmitters &emitters);
void addCapacity(LoopEmitters &emitters);

// CoarseRoute.cpp
/// Why routes become score, select and gate in their tile: `never`, unless that is null, of all; else of those that vectors of so
/// many lanes do not take.
RejectRoute rejectRoutes(const char *never, int64_t width);
// ExpertChoice.cpp
/// A select whose experts choose tokens.
void emitExpertChoice(SelectOp op, LoopBuilder &b, int64_t width);
// Mix.cpp, MixGrad.cpp
/// The same token by token, whatever was chosen.
void emitMixOfTokens(const MixOperands &op, LoopBuilder &b, int64_t width);
void emitMixGradOfTokens(MixGradOp op, LoopBuilder &b, int64_t width);
// Gate.cpp
/// weights = gate(val), both tokens x heads x k.
void emitGate(GateKind kind, mlir::Value val, mlir::Value weights, LoopBuilder &b, int64_t width);

} // namespace peer::cpu

#endif // PEER_LOWERING_CPU_KERNELS_H
