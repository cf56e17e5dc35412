//===- GateMass.cpp - histograms of gate mass ----------------------------===//

#include "GateMass.h"

using namespace mlir;
using namespace peer;

void peer::addMass(LoopBuilder &b, Value mass, Value expert, Value sum) {
  Type element = cast<MemRefType>(mass.getType()).getElementType();
  Value old = b.load(mass, {expert});
  if (element.isF64())
    return b.store(b.add(old, sum), mass, {expert});
  Value wide = b.add(arith::ExtFOp::create(b, b.getF64Type(), old), sum);
  b.store(arith::TruncFOp::create(b, element, wide), mass, {expert});
}
