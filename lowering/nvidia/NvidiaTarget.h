//===- NvidiaTarget.h - NVIDIA's GPUs as targets -------------------------===//

#ifndef PEER_LOWERING_NVIDIA_NVIDIATARGET_H
#define PEER_LOWERING_NVIDIA_NVIDIATARGET_H

#include "lowering/Target.h"

namespace peer {

/// `sm_80` and later.
TargetFamily getNvidiaFamily();

} // namespace peer

#endif // PEER_LOWERING_NVIDIA_NVIDIATARGET_H
