//===- ThreadLimit.h - compiling where threads cannot be started ---------===//

#ifndef PEER_TOOLS_THREADLIMIT_H
#define PEER_TOOLS_THREADLIMIT_H

#include "llvm/ADT/SmallVector.h"

/// LLVM and MLIR abort where a thread cannot be started. Where a limit on processes or memory forbids as many as there are processors, both use
/// one: --mlir-disable-threading is added to the arguments.
void respectThreadLimit(llvm::SmallVectorImpl<char *> &arguments);

#endif // PEER_TOOLS_THREADLIMIT_H
