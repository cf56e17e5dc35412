//===- Conversions.h - passes on trained models, their description halves -===//

#ifndef PEER_PASSES_CONVERSION_CONVERSIONS_H
#define PEER_PASSES_CONVERSION_CONVERSIONS_H

#include "dialect/PeerOps.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace peer {

#define GEN_PASS_DECL
#include "passes/conversion/Conversions.h.inc"

#define GEN_PASS_REGISTRATION
#include "passes/conversion/Conversions.h.inc"

} // namespace peer

#endif // PEER_PASSES_CONVERSION_CONVERSIONS_H
