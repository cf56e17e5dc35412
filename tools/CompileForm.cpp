//===- CompileForm.cpp - the options of the compiling form ---------------===//

#include "CompileForm.h"
#include "OptionValues.h"
#include "StageParser.h"
#include "TuneOptions.h"

#include "lowering/Compiler.h"

#include "mlir/IR/AsmState.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Support/Timing.h"
#include "llvm/Support/CommandLine.h"

namespace cl = llvm::cl;
using peer::Stage;

/// Upstream's options that --help shows.
static constexpr llvm::StringLiteral kShown[] = {"mlir-timing", "mlir-print-ir-after-all", "mlir-print-debuginfo"};

int compile(int argc, char **argv, const char *overview, mlir::DialectRegistry &registry) {
  peer::CompileOptions options;
  cl::opt<std::string, true> input(cl::Positional, cl::desc("MODEL.mlir"), cl::location(options.input), cl::init("-"));
  cl::opt<std::string, true> output("o", cl::desc("the output"), cl::value_desc("FILE"), cl::location(options.output));
  cl::opt<std::string, true> target(
      "target", cl::desc("cpu (this machine), cpu:NAME[+NAME ...], such as cpu:x86-64-v3, or a GPU, such as sm_90"),
      cl::location(options.target), cl::init("cpu"));
  cl::opt<Stage, true, peer::StageParser> emit(
      "emit", cl::desc("where to stop:"), cl::location(options.stage), cl::init(Stage::Artifact),
      cl::values(clEnumValN(Stage::Graph, "graph", "functions on whole tensors, gradients and updates explicit"),
                 clEnumValN(Stage::Tiled, "tiled", "the same ops on tiles inside loops"),
                 clEnumValN(Stage::Kernel, "kernel", "loops and vectors on buffers"),
                 clEnumValN(Stage::LLVM, "llvm", "optimized LLVM IR; for a GPU, its kernels'"),
                 clEnumValN(Stage::Assembly, "asm", "assembly; for a GPU, PTX"),
                 clEnumValN(Stage::Artifact, "artifact", "what peer-run loads")));
  cl::opt<peer::Explain, true> explain(
      "explain", cl::desc("say which emitter takes each op, and why no faster one does (--explain=json: for programs)"),
      cl::ValueOptional, cl::location(options.explain), cl::init(peer::Explain::No),
      cl::values(clEnumValN(peer::Explain::Text, "", ""), clEnumValN(peer::Explain::Text, "text", "a table"),
                 clEnumValN(peer::Explain::JSON, "json", "the same for programs")));
  cl::opt<bool, true> plain("plain-loops", cl::desc("slow, obvious scalar loops instead of vector code"),
                            cl::location(options.plainLoops));
  cl::opt<peer::MixForm, true> mix(
      "mix", cl::desc("how experts of several rows are mixed:"), cl::location(options.mix),
      cl::init(peer::MixForm::Auto),
      cl::values(clEnumValN(peer::MixForm::Auto, "auto", "by expert where rows and tokens are many"),
                 clEnumValN(peer::MixForm::Grouped, "grouped", "by expert, with a product of matrices for each"),
                 clEnumValN(peer::MixForm::Tokens, "tokens", "token by token")));
  cl::opt<bool, true> accumulate(
      "accumulate", cl::desc("also what 'peer-run train --accumulate' needs: the training step in two parts"),
      cl::location(options.accumulate));
  cl::opt<int64_t, true> disable(
      "disable-top-experts",
      cl::desc("inference without each token's N best experts, as 'peer-run eval --disable-top-experts' measures it"),
      cl::value_desc("N"), cl::location(options.disabledExperts));
  cl::opt<bool, true> without(
      "no-description", cl::desc("leave the description's text, which 'peer-run convert' reads, out of the artifact"),
      cl::location(options.noDescription));
  cl::opt<bool, true> internal("internal-ops", cl::desc("accept ops that passes make, for tests of them"), cl::Hidden,
                               cl::location(options.internalOps));
  cl::opt<bool, true> separate("separate-blocks",
                               cl::desc("compile each block by itself, for tests of what they share"), cl::Hidden,
                               cl::location(options.separateBlocks));
  cl::opt<std::string, true> ptxas("ptxas",
                                   cl::desc("what makes machine code of PTX (default: if this machine has it)"),
                                   cl::value_desc("PATH|none"), cl::location(options.ptxas));
  TuneOptions tuning;
  mlir::registerAsmPrinterCLOptions();
  mlir::registerMLIRContextCLOptions();
  mlir::registerPassManagerCLOptions();
  mlir::registerDefaultTimingManagerCLOptions();
  // One screen for what compiling needs; the rest works and is listed by --help-hidden.
  for (auto &option : cl::getRegisteredOptions())
    if (option.first.starts_with("mlir-") && !llvm::is_contained(kShown, option.first))
      option.second->setHiddenFlag(cl::Hidden);
  if (!parseOptions(argc, argv, overview))
    return 1;
  return tuning.compile(options, registry);
}
