//===- PassForm.cpp - peer-opt as an mlir-opt ----------------------------===//

#include "PassForm.h"

#include "lowering/host/InputFile.h"
#include "lowering/host/Messages.h"
#include "lowering/host/OutputFile.h"

#include "mlir/Support/FileUtilities.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "llvm/Support/ToolOutputFile.h"

int runPasses(int argc, char **argv, const char *overview, mlir::DialectRegistry &registry) {
  auto [input, output] = mlir::registerAndParseCLIOptions(argc, argv, overview, registry);
  if (llvm::Error error = peer::checkOutput(output, input))
    return mlir::failed(peer::failWith(std::move(error)));
  mlir::MlirOptMainConfig config = mlir::MlirOptMainConfig::createFromCLOptions();
  if (config.shouldListPasses() || config.shouldShowDialects())
    return mlir::asMainReturnCode(mlir::MlirOptMain(argc, argv, input, output, registry));
  // mlir-opt would read a pipe that never ends to the end of memory.
  auto text = peer::readInput(input);
  if (!text)
    return mlir::failed(peer::failWith(text.takeError()));
  auto run = [&](llvm::StringRef path) -> llvm::LogicalResult {
    std::string error;
    auto file = mlir::openOutputFile(path, &error);
    if (!file)
      return peer::failWith(llvm::createStringError(error));
    if (mlir::failed(mlir::MlirOptMain(file->os(), std::move(*text), registry, config)))
      return mlir::failure();
    file->keep();
    return mlir::success();
  };
  if (peer::isStream(output))
    return mlir::asMainReturnCode(run(output));
  // mlir-opt truncates its output before it reads, and removes it where a pass fails.
  bool said = false;
  llvm::Error error = peer::replaceFile(output, [&](llvm::StringRef temporary, int) -> llvm::Error {
    said = mlir::failed(run(temporary));
    return said ? llvm::createStringError("the passes failed") : llvm::Error::success();
  });
  if (!said)
    return error ? mlir::failed(peer::failWith(std::move(error))) : 0;
  llvm::consumeError(std::move(error));
  return 1;
}
