//===- StandardOutput.cpp - what is printed arrives, or is told of -------===//

#include "StandardOutput.h"

#include "llvm/Support/raw_ostream.h"

#include <cstdlib>

static void report() {
  llvm::outs().flush();
  if (!llvm::outs().has_error())
    return;
  llvm::errs() << "peer-opt: error: cannot write standard output: " << llvm::outs().error().message() << "\n";
  llvm::outs().clear_error();
  std::_Exit(1);
}

void reportUnwrittenOutput() {
  // The stream is to be destroyed after the report.
  llvm::outs();
  std::atexit(report);
}
