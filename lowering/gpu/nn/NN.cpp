//===- NN.cpp - nn: norms, embedding, activation, losses, rotary positions ---===//
//
// Ops on rows are the CPU's emitters, their rows given to warps and their strips to lanes; the others are this folder's own.
//
//===----------------------------------------------------------------------===//

#include "NN.h"
#include "Elementwise.h"
#include "lowering/gpu/Kernels.h"
#include "lowering/gpu/block/Alignment.h"
#include "lowering/gpu/block/LaunchBounds.h"

#include "lowering/nn/Emit.h"

using namespace mlir;
using namespace peer;
using namespace peer::device;

/// Blocks of layer_norm_grad at once: its rows are loaded from three places.
static constexpr int64_t kLayerNormGradBlocks = 4;

/// Each warp its rows, four neighbouring elements per lane where all rows are aligned to that.
template <typename OpTy>
static void emitRows(OpTy op, BlockBuilder &b) {
  nn::emit(b, op, alignedLanes(op, b.staticDim(getOutputAt(op, 0), 1)));
}

static void emitLayerNormGrad(LayerNormGradOp op, BlockBuilder &b) {
  auto launch = op->getParentOfType<gpu::LaunchOp>();
  emitRows(op, b);
  launch.walk([](gpu::ShuffleOp shuffle) {
    noteBlocks(shuffle, kLayerNormGradBlocks);
    return WalkResult::interrupt();
  });
}

/// Whether row lengths are known: then lanes have work of equal length.
template <typename OpTy>
static const char *rejectDynamicRows(OpTy op) {
  return cast<MemRefType>(getOutputAt(op, 0).getType()).isDynamicDim(1) ? "has rows of dynamic length" : nullptr;
}

template <typename OpTy>
static const char *rejectDynamicColumns(OpTy op) {
  return cast<MemRefType>(op->getOperand(0).getType()).isDynamicDim(1) ? "has rows of dynamic length" : nullptr;
}

/// y of each element of x, element for element over the threads.
template <typename OpTy>
static void forEach(OpTy op, BlockBuilder &b, llvm::function_ref<Value(Value x, ValueRange at, int64_t lanes)> term) {
  Value x = op.getX(), y = getOutputAt(op, 0);
  int64_t lanes = alignedLanes(op, b.staticDim(x, 1));
  forElements(b, {b.dim(x, 0), b.dim(x, 1)}, lanes,
              [&](ArrayRef<Value> at) { b.store(term(b.load(x, at, lanes), at, lanes), y, at); });
}

static void emitActivations(ActivationOp op, BlockBuilder &b) {
  forEach(op, b, [&](Value x, ValueRange, int64_t) { return emitActivation(b, op.getKind(), x); });
}

static void emitActivationGrads(ActivationGradOp op, BlockBuilder &b) {
  forEach(op, b, [&](Value x, ValueRange at, int64_t lanes) {
    return b.mul(b.load(op.getDy(), at, lanes), emitActivationGrad(b, op.getKind(), x));
  });
}

void device::populateNNPatterns(PatternSets sets) {
  sets.block<EmbeddingOp>(emitRows, rejectDynamicRows);
  sets.block<RMSNormOp>(emitRows, rejectDynamicRows);
  sets.block<RMSNormGradOp>(emitRows, rejectDynamicRows);
  sets.block<LayerNormOp>(emitRows, rejectDynamicRows);
  sets.block<LayerNormGradOp>(emitLayerNormGrad, rejectDynamicRows);
  sets.block<ActivationOp>(emitActivations, rejectDynamicRows);
  sets.block<ActivationGradOp>(emitActivationGrads, rejectDynamicRows);
  sets.block<CrossEntropyOp>(emitCrossEntropy, rejectDynamicColumns);
  sets.block<CrossEntropyGradOp>(emitCrossEntropyGrad, rejectDynamicRows);
  sets.grid<RMSNormWeightGradOp>(launchRMSNormWeightGrad, rejectDynamicColumns);
  sets.grid<LayerNormWeightGradOp>(launchLayerNormWeightGrad, rejectDynamicColumns);
  sets.grid<BatchStatsOp>(launchBatchStats, rejectDynamicColumns);
  sets.grid<BatchNormWeightGradOp>(launchBatchNormWeightGrad, rejectDynamicColumns);
  sets.grid<BatchNormOp>(launchBatchNorm, rejectDynamicColumns);
  sets.grid<BatchNormGradOp>(launchBatchNormGrad, rejectDynamicColumns);
  sets.grid<EmbeddingGradOp>(launchEmbeddingGrad);
  sets.grid<MeanOp>(launchMean);
  sets.grid<MeanGradOp>(launchMeanGrad);
  sets.grid<RotaryOp>(launchRotary);
  sets.grid<RotaryAtOp>(launchRotaryAt);
}
