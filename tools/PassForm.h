//===- PassForm.h - peer-opt as an mlir-opt ------------------------------===//

#ifndef PEER_TOOLS_PASSFORM_H
#define PEER_TOOLS_PASSFORM_H

#include "mlir/IR/DialectRegistry.h"

/// peer-opt where passes are named: mlir-opt, but for its output, which is whole or as it was and no input. `overview` heads
/// the help. Returns the exit code.
int runPasses(int argc, char **argv, const char *overview, mlir::DialectRegistry &registry);

#endif // PEER_TOOLS_PASSFORM_H
