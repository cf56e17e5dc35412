//===- Autotune.h - a model compiled as this machine likes it ------------===//

#ifndef PEER_LOWERING_AUTOTUNE_AUTOTUNE_H
#define PEER_LOWERING_AUTOTUNE_AUTOTUNE_H

#include "lowering/Compiler.h"

namespace peer {

/// Whether tuning parameters are measured.
enum class Autotune {
  No,
  /// Unless the cache says what came of it before.
  Yes,
  /// Whatever the cache says.
  Force
};

struct AutotuneOptions {
  Autotune mode = Autotune::No;
  /// Seconds after which no measurement begins.
  int64_t seconds = 60;
  /// The function that is timed; empty: the training step, or the first one of the description where there is none.
  std::string entry;
  /// Its T; 0: what `peer-run bench` takes.
  int64_t tokens = 0;
};

/// Finds the values of tuning parameters that are faster on this machine, or reads from the cache what was found before, says on standard error what
/// each gained, and compiles the model with them. Of several versions of the code the one that runs here has them. Fails, having said why, where this
/// machine cannot run what is to be compiled.
mlir::LogicalResult autotuneModel(const CompileOptions &options, const AutotuneOptions &autotune,
                                  mlir::DialectRegistry &registry);

} // namespace peer

#endif // PEER_LOWERING_AUTOTUNE_AUTOTUNE_H
