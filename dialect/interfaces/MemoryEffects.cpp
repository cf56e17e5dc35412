//===- MemoryEffects.cpp - what graph ops read and write -----------------===//

#include "dialect/interfaces/MemoryEffects.h"

#include "dialect/interfaces/Destinations.h"
#include "dialect/interfaces/IndexNotation.h"

using namespace mlir;
using namespace peer;

void peer::getGraphOpEffects(Operation *op, EffectInstances &effects) {
  auto graphOp = cast<GraphOpInterface>(op);
  unsigned numInputs = getNumInputs(graphOp);
  for (OpOperand &operand : op->getOpOperands()) {
    if (!isa<BaseMemRefType>(operand.get().getType()))
      continue;
    if (operand.getOperandNumber() < numInputs)
      effects.emplace_back(MemoryEffects::Read::get(), &operand, SideEffects::DefaultResource::get());
    if (getWrittenOutput(graphOp, operand))
      effects.emplace_back(MemoryEffects::Write::get(), &operand, SideEffects::DefaultResource::get());
  }
}
