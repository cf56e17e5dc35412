// A description, compiled in this process to the kernel level of --target=TARGET: it compiles, or an error says why not.
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

// Not `cpu`: what this machine has must not decide what is found.
static constexpr std::string_view kTarget = "--target=";
static std::string target = "cpu:x86-64-v3";

extern "C" int LLVMFuzzerInitialize(int *argc, char ***argv) {
  learnTokens(*argc, *argv);
  for (int i = 1; i < *argc; ++i)
    if (std::string_view option = (*argv)[i]; option.starts_with(kTarget))
      target = option.substr(kTarget.size());
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
  options.target = target;
  options.stage = peer::Stage::Kernel;
  Capture capture;
  bool compiled = mlir::succeeded(peer::compileModel(options, registry()));
  std::string printed = capture.end();
  bool said = printed.find("error: ") != std::string::npos;
  if (said == compiled)
    finding(said ? "an error was printed, and it compiled" : "refused without a sentence", printed);
  // What passes say of IR that they made themselves is none of the author's business. Messages quote the input.
  std::string_view input(reinterpret_cast<const char *>(data), size);
  for (const char *phrase : {"failed to legalize", "unrealized_conversion_cast", "LLVM ERROR"})
    if (printed.find(phrase) != std::string::npos && input.find(phrase) == std::string_view::npos)
      finding("an internal error", printed);
  return 0;
}
