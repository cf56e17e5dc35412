//===- peer-opt.cpp - compiles model descriptions ------------------------===//

#include "CompileForm.h"
#include "OptionValues.h"
#include "PassForm.h"
#include "StandardOutput.h"
#include "ThreadLimit.h"

#include "lowering/Compiler.h"
#include "lowering/Passes.h"
#include "lowering/Pipelines.h"
#include "lowering/blocks/Blocks.h"
#include "passes/DisableTopExperts.h"
#include "passes/conversion/Conversions.h"

#include "mlir/InitAllPasses.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/InitLLVM.h"

#include <csignal>

namespace cl = llvm::cl;

static constexpr const char *kOverview =
    "peer-opt: compiles model descriptions\n\n"
    "  peer-opt MODEL.mlir --target=cpu[:CPU]|sm_90 -o MODEL.peer   an artifact for peer-run\n"
    "  peer-opt MODEL.mlir --emit=graph|tiled|kernel|llvm|asm       stop earlier and print\n"
    "  peer-opt MODEL.mlir --target=TARGET --explain                why it is as fast as it is, op by op\n"
    "  peer-opt MODEL.mlir --peer-inline-modules ...                any pass, as mlir-opt does\n\n"
    "--target=cpu means this machine, cpu:x86-64-v3 any with AVX2; cpu:x86-64-v3+x86-64-v4 compiles for each in turn.\n"
    "--target=sm_90 (or any from sm_80 on: sm_90a, sm_100, ...) is a GPU. llvm and asm print its kernels, asm as PTX;\n"
    "the artifact holds the PTX, and machine code beside it where this machine has ptxas.\n"
    "--help-list lists all passes and options of mlir-opt, --help-hidden LLVM's own too.\n";

/// Whether the command line is of the compiling form: it says where to or how far, or asks for help, of which mlir-opt has
/// screens. Not every flag that begins so: --emit-bytecode is mlir-opt's.
static bool compiles(llvm::ArrayRef<char *> arguments) {
  for (auto [i, text] : llvm::enumerate(arguments)) {
    llvm::StringRef argument(text), name = argument.split('=').first.ltrim('-');
    if (!argument.starts_with("-"))
      continue;
    if (name == "target" || name == "emit" || name == "explain" || name == "tune" || name == "autotune" ||
        name == "help" || name == "h")
      return true;
    bool apart = !argument.contains('=') && i + 1 < arguments.size();
    if (name == "o" && llvm::StringRef(apart ? arguments[i + 1] : text).ends_with(".peer"))
      return true;
  }
  return false;
}

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  reportUnwrittenOutput();
  // A limit to the size of files is one more reason that a file cannot be written.
  std::signal(SIGXFSZ, SIG_IGN);
  llvm::SmallVector<char *> arguments(argv, argv + argc);
  respectThreadLimit(arguments);
  argc = static_cast<int>(arguments.size());
  arguments.push_back(nullptr);
  argv = arguments.data();
  // The options of every LLVM back end would bury ours.
  for (auto &option : cl::getRegisteredOptions())
    option.second->setHiddenFlag(cl::Hidden);
  mlir::DialectRegistry registry;
  peer::registerEverything(registry);
  // The compiling form knows passes too: --mlir-print-ir-after=PASS names one.
  peer::registerPeerPasses();
  peer::registerPeerConversionPasses();
  peer::registerDisableTopExperts();
  peer::registerPeerLoweringPasses();
  peer::registerPeerBlocksPasses();
  if (compiles(llvm::ArrayRef(argv, argc).drop_front()))
    return compile(argc, argv, kOverview, registry);
  if (!optionsHaveValues(argc, argv))
    return 1;
  mlir::registerAllPasses();
  peer::registerPipelines();
  return runPasses(argc, argv, kOverview, registry);
}
