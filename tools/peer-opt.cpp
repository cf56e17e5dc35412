//===- peer-opt.cpp - compiles model descriptions ------------------------===//

#include "lowering/Compiler.h"
#include "lowering/Passes.h"
#include "lowering/Pipelines.h"
#include "passes/Passes.h"

#include "mlir/IR/AsmState.h"
#include "mlir/InitAllPasses.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Support/Timing.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/InitLLVM.h"

namespace cl = llvm::cl;
using peer::Stage;

static constexpr const char *kOverview =
    "peer-opt: compiles model descriptions\n\n"
    "  peer-opt MODEL.mlir --target=cpu[:CPU]|sm_90 -o MODEL.peer   an artifact for peer-run\n"
    "  peer-opt MODEL.mlir --emit=graph|tiled|kernel|llvm|asm   stop earlier and print\n"
    "  peer-opt MODEL.mlir --peer-inline-modules ...            any pass, as mlir-opt does\n\n"
    "--target=cpu means this machine; --target=cpu:x86-64-v3 runs on any machine with AVX2.\n"
    "--help-hidden lists LLVM's own options too.\n";

/// The compiling form: `--target` or `--emit` is given.
static int compile(int argc, char **argv, mlir::DialectRegistry &registry) {
  peer::CompileOptions options;
  cl::opt<std::string, true> input(cl::Positional, cl::desc("MODEL.mlir"), cl::location(options.input), cl::init("-"));
  cl::opt<std::string, true> output("o", cl::desc("the output"), cl::value_desc("FILE"), cl::location(options.output));
  cl::opt<std::string, true> target(
      "target", cl::desc("cpu (this machine), cpu:NAME, such as cpu:x86-64-v3, or a GPU, such as sm_90"),
      cl::location(options.target), cl::init("cpu"));
  cl::opt<Stage, true> emit(
      "emit", cl::desc("where to stop:"), cl::location(options.stage), cl::init(Stage::Artifact),
      cl::values(clEnumValN(Stage::Graph, "graph", "functions on whole tensors, gradients and updates explicit"),
                 clEnumValN(Stage::Tiled, "tiled", "the same ops on tiles inside loops"),
                 clEnumValN(Stage::Kernel, "kernel", "loops and vectors on buffers"),
                 clEnumValN(Stage::LLVM, "llvm", "optimized LLVM IR"), clEnumValN(Stage::Assembly, "asm", "assembly"),
                 clEnumValN(Stage::Artifact, "artifact", "what peer-run loads")));
  cl::opt<bool, true> plain("plain-loops", cl::desc("slow, obvious scalar loops instead of vector code"),
                            cl::location(options.plainLoops));
  mlir::registerAsmPrinterCLOptions();
  mlir::registerMLIRContextCLOptions();
  mlir::registerPassManagerCLOptions();
  mlir::registerDefaultTimingManagerCLOptions();
  std::string wrong;
  llvm::raw_string_ostream said(wrong);
  if (!cl::ParseCommandLineOptions(argc, argv, kOverview, &said)) {
    // LLVM names the tool and the mistake on one line, guesses on others; wrong values it has reported itself.
    if (!wrong.empty())
      llvm::errs() << "peer-opt: error: " << llvm::StringRef(wrong).split('\n').first.split(": ").second << "\n";
    return 1;
  }
  // The linker resets all options of the process, ours too: keep what was parsed.
  const peer::CompileOptions parsed = options;
  return mlir::failed(peer::compileModel(parsed, registry));
}

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  // The options of every LLVM back end would bury ours.
  for (auto &option : cl::getRegisteredOptions())
    option.second->setHiddenFlag(cl::Hidden);
  mlir::DialectRegistry registry;
  peer::registerEverything(registry);
  // Not every flag that begins so: --emit-bytecode is mlir-opt's.
  auto compiles = [](llvm::StringRef argument) {
    llvm::StringRef name = argument.split('=').first;
    return name.starts_with("-") && (name.ltrim('-') == "target" || name.ltrim('-') == "emit");
  };
  // The compiling form knows passes too: --mlir-print-ir-after=PASS names one.
  peer::registerPeerPasses();
  peer::registerPeerLoweringPasses();
  if (llvm::any_of(llvm::ArrayRef(argv, argc), compiles))
    return compile(argc, argv, registry);
  mlir::registerAllPasses();
  peer::registerPipelines();
  return mlir::asMainReturnCode(mlir::MlirOptMain(argc, argv, kOverview, registry));
}
