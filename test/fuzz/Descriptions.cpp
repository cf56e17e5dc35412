// A description, compiled in this process to the kernel level of PEER_FUZZ_TARGET: it compiles, or an error says why not.
#include "Harness.h"
#include "TokenMutator.h"

#include "lowering/Compiler.h"
#include "lowering/Passes.h"
#include "passes/Passes.h"

#include "mlir/IR/MLIRContext.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Support/Timing.h"
#include "llvm/Support/CommandLine.h"

using namespace peer::fuzz;

static mlir::DialectRegistry &registry() {
  static mlir::DialectRegistry instance;
  return instance;
}

extern "C" int LLVMFuzzerInitialize(int *argc, char ***argv) {
  learnTokens(*argc, *argv);
  peer::registerEverything(registry());
  peer::registerPeerPasses();
  peer::registerPeerLoweringPasses();
  // Threads would cost more than they save, and make runs differ.
  mlir::registerMLIRContextCLOptions();
  // Their values are read, so they have to be there.
  mlir::registerPassManagerCLOptions();
  mlir::registerDefaultTimingManagerCLOptions();
  const char *options[] = {"fuzz", "--mlir-disable-threading"};
  llvm::cl::ParseCommandLineOptions(2, options);
  return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed) {
  return mutateTokens(data, size, most, seed);
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static MemoryFile file("description");
  file.set({reinterpret_cast<const char *>(data), size});
  peer::CompileOptions options;
  options.input = file.path();
  options.output = "/dev/null";
  options.target = PEER_FUZZ_TARGET;
  options.stage = peer::Stage::Kernel;
  Capture capture;
  bool compiled = mlir::succeeded(peer::compileModel(options, registry()));
  if (!captures())
    return 0;
  std::string printed = capture.end();
  bool said = printed.find("error: ") != std::string::npos;
  if (said == compiled)
    finding(said ? "an error was printed, and it compiled" : "refused without a sentence", printed);
  // What passes say of IR that they made themselves is none of the author's business.
  for (const char *phrase : {"failed to legalize", "unrealized_conversion_cast", "LLVM ERROR"})
    if (printed.find(phrase) != std::string::npos)
      finding("an internal error", printed);
  return 0;
}
