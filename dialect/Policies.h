//===- Policies.h - the syntax of select policies in ops -----------------===//

#ifndef PEER_DIALECT_POLICIES_H
#define PEER_DIALECT_POLICIES_H

#include "dialect/PeerDialect.h"

namespace peer {

/// Parses a policy by its bare name, such as `topk<16>` or `all`, with an error where there is none.
mlir::ParseResult parsePolicy(mlir::OpAsmParser &parser, SelectPolicyAttrInterface &policy);
void printPolicy(mlir::OpAsmPrinter &printer, mlir::Operation *op, SelectPolicyAttrInterface policy);

} // namespace peer

#endif // PEER_DIALECT_POLICIES_H
