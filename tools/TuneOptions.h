//===- TuneOptions.h - the options of tuning -----------------------------===//

#ifndef PEER_TOOLS_TUNEOPTIONS_H
#define PEER_TOOLS_TUNEOPTIONS_H

#include "lowering/autotune/Autotune.h"

#include "llvm/Support/CommandLine.h"

/// Options of the compiling form: registered while the object is there.
class TuneOptions {
public:
  /// Compiles as they say. Returns the exit code.
  int compile(peer::CompileOptions options, mlir::DialectRegistry &registry);

private:
  peer::AutotuneOptions autotune;
  std::string text;
  llvm::cl::opt<std::string, true> tune{
      "tune",
      llvm::cl::desc("numbers of CPU kernels, such as mix.tokens=32,linear.columns=256 (--tune=help lists them)"),
      llvm::cl::value_desc("NAME=VALUE,..."), llvm::cl::location(text)};
  llvm::cl::opt<peer::Autotune, true> mode{
      "autotune",
      llvm::cl::desc(
          "measure on this machine which of these numbers are faster, keep them in a cache, compile with them "
          "(--autotune=force: whatever the cache says)"),
      llvm::cl::ValueOptional,
      llvm::cl::location(autotune.mode),
      llvm::cl::init(peer::Autotune::No),
      llvm::cl::values(clEnumValN(peer::Autotune::Yes, "", ""), clEnumValN(peer::Autotune::Force, "force", "anew"))};
  llvm::cl::opt<std::string, true> entry{
      "autotune-entry", llvm::cl::desc("the function that is timed (default: the training step, or the first one)"),
      llvm::cl::value_desc("NAME"), llvm::cl::location(autotune.entry)};
  llvm::cl::opt<int64_t, true> tokens{"autotune-tokens",
                                      llvm::cl::desc("tokens that it is called with (default: as 'peer-run bench')"),
                                      llvm::cl::value_desc("T"), llvm::cl::location(autotune.tokens)};
  llvm::cl::opt<int64_t, true> seconds{"autotune-seconds",
                                       llvm::cl::desc("when no measurement begins any more (default: 60)"),
                                       llvm::cl::value_desc("S"), llvm::cl::location(autotune.seconds)};
};

#endif // PEER_TOOLS_TUNEOPTIONS_H
