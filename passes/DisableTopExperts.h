//===- DisableTopExperts.h - a pass that is a test of models -------------===//

#ifndef PEER_PASSES_DISABLETOPEXPERTS_H
#define PEER_PASSES_DISABLETOPEXPERTS_H

#include "passes/Passes.h"

namespace peer {

#define GEN_PASS_DECL_DISABLETOPEXPERTS
#define GEN_PASS_REGISTRATION_DISABLETOPEXPERTS
#include "passes/DisableTopExperts.h.inc"

} // namespace peer

#endif // PEER_PASSES_DISABLETOPEXPERTS_H
