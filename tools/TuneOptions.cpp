//===- TuneOptions.cpp - the options of tuning ---------------------------===//

#include "TuneOptions.h"

#include "lowering/host/Messages.h"
#include "lowering/tuning/Tuning.h"

int TuneOptions::compile(peer::CompileOptions options, mlir::DialectRegistry &registry) {
  if (text == "help") {
    llvm::outs() << peer::tuningTable();
    return 0;
  }
  if (tune.getNumOccurrences() > 0) {
    auto values = peer::parseTuning(text);
    if (!values)
      return mlir::failed(peer::failWith(values.takeError()));
    options.tuning = *values;
  }
  // The linker resets all options of the process: keep what was parsed.
  const peer::AutotuneOptions parsed = autotune;
  return mlir::failed(parsed.mode == peer::Autotune::No ? peer::compileModel(options, registry)
                                                        : peer::autotuneModel(options, parsed, registry));
}
