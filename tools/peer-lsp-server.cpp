//===- peer-lsp-server.cpp - editor support for descriptions -------------===//

#include "HoverDocs.h"

#include "lowering/Compiler.h"

#include "mlir/Tools/mlir-lsp-server/MlirLspServerMain.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  peer::registerEverything(registry);
  auto serve = [&] { return int(mlir::failed(mlir::MlirLspServerMain(argc, argv, registry))); };
  // Help and version are no messages of the protocol.
  bool talks = llvm::none_of(llvm::ArrayRef(argv, argc), [](llvm::StringRef argument) {
    return argument.starts_with("--help") || argument == "-h" || argument == "--version";
  });
  return talks ? withHoverDocs(serve) : serve();
}
