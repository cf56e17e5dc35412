//===- Compiler.h - a model description to an artifact -------------------===//

#ifndef PEER_LOWERING_COMPILER_H
#define PEER_LOWERING_COMPILER_H

#include "lowering/emit/MixForm.h"
#include "lowering/tuning/Parameters.h"

#include "mlir/IR/DialectRegistry.h"
#include "mlir/Support/LLVM.h"
#include "llvm/Support/JSON.h"

#include <string>

namespace peer {

/// Where to stop; each stage's text (the artifact's bytes) is what is written.
enum class Stage { Graph, Tiled, Kernel, LLVM, Assembly, Artifact };

/// Instead of a stage: who lowers each op and why no faster emitter does.
enum class Explain { No, Text, JSON };

struct CompileOptions {
  std::string input = "-";
  /// Empty: standard output for text; an artifact needs a path.
  std::string output;
  /// `cpu`, `cpu:NAME`, `cpu:NAME+NAME+...` for an artifact with several versions of the code, or a GPU architecture, such as `sm_90`.
  std::string target = "cpu";
  Stage stage = Stage::Artifact;
  Explain explain = Explain::No;
  bool plainLoops = false;
  /// How ops that mix walk their pairs: as pays, or as a person wants it.
  MixForm mix = MixForm::Auto;
  /// Build the training step in two entries, too, so that gradients can be summed over calls.
  bool accumulate = false;
  /// How many of each token's best experts entries of inference go without: a test of robustness.
  int64_t disabledExperts = 0;
  /// Leave the description's text out of the artifact, which commands that rewrite it read there.
  bool noDescription = false;
  /// Accept ops that passes make, which no description may hold: for tests of them.
  bool internalOps = false;
  /// Compile each block of a model by itself, for tests of what blocks share.
  bool separateBlocks = false;
  /// The assembler that makes machine code out of PTX, beside which that is put: a path; empty: where it usually is, if
  /// anywhere; `none`: no machine code.
  std::string ptxas;
  /// What kernels for CPUs take instead of their own values.
  TuningValues tuning;
  /// Of several versions of the code, the target of the one that takes them; empty: all do.
  std::string tunedVersion;
  /// Compile this entry alone, with what it needs; empty: all.
  std::string onlyEntry;
  /// Where given: what the artifact's manifest says is put there, too.
  llvm::json::Object *manifest = nullptr;
};

/// All dialects, passes and external models of this project and of upstream.
void registerEverything(mlir::DialectRegistry &registry);

/// Says on standard error what of the options cannot be meant, before anything is compiled.
mlir::LogicalResult checkOptions(const CompileOptions &options);

/// Compiles one file. Problems are reported on standard error with the place in
/// the description; nothing is written then, and a written file is complete.
mlir::LogicalResult compileModel(const CompileOptions &options, mlir::DialectRegistry &registry);

} // namespace peer

#endif // PEER_LOWERING_COMPILER_H
