//===- DeviceCode.cpp - the code of a compiled module's kernels ----------===//

#include "DeviceCode.h"

#include "lowering/host/ObjectCode.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "llvm/Bitcode/BitcodeReader.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"

using namespace mlir;

/// All kernels share one binary.
static StringRef objectOf(ModuleOp module) {
  for (gpu::BinaryOp binary : module.getOps<gpu::BinaryOp>())
    for (auto object : binary.getObjects().getAsRange<gpu::ObjectAttr>())
      return object.getObject().getValue();
  return {};
}

std::string peer::ptxOf(ModuleOp module) { return objectOf(module).rtrim('\0').str(); }

llvm::Expected<std::string> peer::deviceIROf(ModuleOp module) {
  StringRef bitcode = objectOf(module);
  if (bitcode.empty())
    return std::string();
  llvm::LLVMContext context;
  auto code = llvm::parseBitcodeFile(llvm::MemoryBufferRef(bitcode, "kernels"), context);
  if (!code)
    return code.takeError();
  return textOf(**code);
}
