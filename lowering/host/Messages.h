//===- Messages.h - what peer-opt says on standard error -----------------===//

#ifndef PEER_LOWERING_HOST_MESSAGES_H
#define PEER_LOWERING_HOST_MESSAGES_H

#include "mlir/Support/LLVM.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/Error.h"

namespace peer {

/// `peer-opt: error: ...`, with control bytes made visible.
mlir::LogicalResult failWith(const llvm::Twine &sentence);
mlir::LogicalResult failWith(llvm::Error error);

/// `peer-opt: warning: ...`, the same way.
void warnWith(const llvm::Twine &sentence);

} // namespace peer

#endif // PEER_LOWERING_HOST_MESSAGES_H
