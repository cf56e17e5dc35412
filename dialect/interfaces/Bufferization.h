//===- Bufferization.h - bufferization of graph ops ----------------------===//

#ifndef PEER_DIALECT_INTERFACES_BUFFERIZATION_H
#define PEER_DIALECT_INTERFACES_BUFFERIZATION_H

#include "mlir/IR/DialectRegistry.h"

namespace peer {

/// Gives all graph ops BufferizableOpInterface: inputs are read, outs written,
/// tied inputs updated in place. In buffer form an op has no results.
void registerBufferizableOpInterfaceExternalModels(mlir::DialectRegistry &registry);

} // namespace peer

#endif // PEER_DIALECT_INTERFACES_BUFFERIZATION_H
