//===- CompileForm.h - the options of the compiling form -----------------===//

#ifndef PEER_TOOLS_COMPILEFORM_H
#define PEER_TOOLS_COMPILEFORM_H

#include "mlir/IR/DialectRegistry.h"

/// peer-opt where `--target` or `--emit` is given; `overview` heads the help. Returns the exit code.
int compile(int argc, char **argv, const char *overview, mlir::DialectRegistry &registry);

#endif // PEER_TOOLS_COMPILEFORM_H
