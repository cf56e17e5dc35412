//===- LoopEmitters.cpp - what there is for each op on a CPU -------------===//

#include "lowering/cpu/Kernels.h"
#include "lowering/nn/Emit.h"
#include "lowering/plain/Loops.h"
#include "lowering/tuning/Tuning.h"

using namespace mlir;
using namespace peer;

const char *peer::rejectStridedRows(Operation *op) {
  for (Value operand : op->getOperands()) {
    SmallVector<int64_t> strides;
    int64_t offset;
    if (failed(cast<MemRefType>(operand.getType()).getStridesAndOffset(strides, offset)) ||
        (!strides.empty() && strides.back() != 1))
      return "has an operand whose rows are not contiguous";
  }
  return nullptr;
}

void LoopEmitters::populateLoops(RewritePatternSet &patterns) const {
  for (const auto &add : plainPatterns)
    add(patterns);
}

void LoopEmitters::populateVectors(RewritePatternSet &patterns, const VectorOptions &options) const {
  populateLoops(patterns);
  for (const auto &add : vectorPatterns)
    add(patterns, options);
}

static LoopEmitters makeLoopEmitters() {
  LoopEmitters emitters;
  for (auto add :
       {loops::addForward, loops::addSelect,   loops::addMix,          loops::addRouteGrad, loops::addPoolGrad,
        loops::addUpdate,  nn::addLinear,      nn::addQuantizedLinear, nn::addRowNorms,     nn::addColumnSums,
        nn::addBatchNorm,  nn::addLoss,        nn::addRotary,          nn::addAttention,    nn::addCachedAttention,
        cpu::addRoute,     cpu::addScore,      cpu::addSelect,         cpu::addGate,        cpu::addMix,
        cpu::addMixGrad,   cpu::addGroupedMix, cpu::addRouteGrad,      cpu::addPoolGrad,    cpu::addPairSort,
        cpu::addUpdate,    nn::addProbability, nn::addBalance,         loops::addCapacity,  cpu::addCapacity,
        cpu::addPackKeys,  nn::addCausalConv,  nn::addSelectiveScan})
    add(emitters);
  // Loops of upstream (convert-linalg-to-loops).
  emitters.elementwiseTiles([](linalg::LinalgOp op) -> int64_t {
    return op.getNumLoops() == 1 ? 4096 : tuned(op, tuning::kElementwiseRows);
  });
  return emitters;
}

const LoopEmitters &peer::getLoopEmitters() {
  static const LoopEmitters emitters = makeLoopEmitters();
  return emitters;
}
