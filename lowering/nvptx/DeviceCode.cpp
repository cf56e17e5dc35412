//===- DeviceCode.cpp - the PTX of a compiled module ---------------------===//

#include "DeviceCode.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"

using namespace mlir;

std::string peer::ptxOf(ModuleOp module) {
  std::string text;
  for (gpu::BinaryOp binary : module.getOps<gpu::BinaryOp>())
    for (auto object : binary.getObjects().getAsRange<gpu::ObjectAttr>())
      text += object.getObject().getValue();
  while (!text.empty() && text.back() == '\0')
    text.pop_back();
  return text;
}
