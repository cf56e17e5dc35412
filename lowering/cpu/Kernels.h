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

namespace peer::cpu {

void addScore(LoopEmitters &emitters);
void addSelect(LoopEmitters &emitters);
void addGate(LoopEmitters &emitters);
void addMix(LoopEmitters &emitters);
void addMixGrad(LoopEmitters &emitters);
void addRouteGrad(LoopEmitters &emitters);
void addPoolGrad(LoopEmitters &emitters);
void addUpdate(LoopEmitters &emitters);

} // namespace peer::cpu

#endif // PEER_LOWERING_CPU_KERNELS_H
