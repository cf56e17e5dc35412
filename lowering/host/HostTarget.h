//===- HostTarget.h - CPUs as a target -----------------------------------===//

#ifndef PEER_LOWERING_HOST_HOSTTARGET_H
#define PEER_LOWERING_HOST_HOSTTARGET_H

#include "lowering/Target.h"

namespace peer {

/// `cpu`, the machine that compiles, and `cpu:NAME`.
TargetFamily getHostFamily();

} // namespace peer

#endif // PEER_LOWERING_HOST_HOSTTARGET_H
