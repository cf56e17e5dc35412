//===- NamedOutputs.cpp - outputs of graph ops by name -------------------===//

#include "dialect/interfaces/NamedOutputs.h"

#include "dialect/interfaces/Destinations.h"

using namespace mlir;
using namespace peer;

Value peer::getOutputAt(Operation *op, unsigned position) {
  if (op->getNumResults() > 0)
    return op->getResult(position);
  OpOperand *destination = getDestination(cast<GraphOpInterface>(op), position);
  return destination ? destination->get() : Value();
}
