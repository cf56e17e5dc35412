//===- Rows.cpp - norms, embedding, activation, probability: ops on rows -===//
//
// The norms and the embedding are the CPU's emitters, their rows given to warps and their strips to lanes.
//
//===----------------------------------------------------------------------===//

#include "Elementwise.h"
#include "Reject.h"
#include "lowering/gpu/block/Alignment.h"

#include "dialect/ops/Check.h"
#include "lowering/nn/Emit.h"

using namespace mlir;
using namespace peer;
using namespace peer::device;

/// Blocks of layer_norm_grad at once: its rows are loaded from three places.
static constexpr int64_t kLayerNormGradBlocks = 4;

/// Each warp its rows, four neighbouring elements per lane where all rows are aligned to that.
template <typename OpTy>
static void emitRows(OpTy op, BlockBuilder &b) {
  nn::emitOnRows(b, op, alignedLanes(op, b.staticDim(getOutputAt(op, 0), 1)));
}

static void emitLayerNormGrad(LayerNormGradOp op, BlockBuilder &b) {
  emitRows(op, b);
  b.noteBlocks(kLayerNormGradBlocks);
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

template <typename OpTy>
static std::optional<TileSizes> rowTiles(OpTy op) {
  // A row for each warp, more where rows are so short that a block would have little to do.
  int64_t rows = kTileElements / std::max<int64_t>(dimOf(op->getResult(0), 1), 1);
  return tile({{"t", std::clamp<int64_t>(rows, kThreads / kWarpSize, 64)}});
}

/// Heads of a token that have a warp each.
template <typename OpTy>
static int64_t warpsOf(OpTy op) {
  if constexpr (requires { op.getWeights(); })
    return dimOf(op.getWeights(), 1);
  else
    return dimOf(op.getLogits(), 1);
}
static int64_t warpsOf(BalanceLossOp) { return 1; }
static int64_t warpsOf(ZLossOp) { return 1; }

/// A warp per token and head, or per token, of any alignment.
template <typename OpTy>
static void addLogits(Emitters &emitters) {
  emitters.block<OpTy>({.emit = [](OpTy op, BlockBuilder &b) { nn::emitOnRows(b, op, 1); },
                        .tileSizes =
                            [](OpTy op) {
                              int64_t warps = std::max<int64_t>(warpsOf(op), 1);
                              return tile({{"t", llvm::divideCeil(kThreads / kWarpSize, warps)}});
                            }});
}

template <typename OpTy>
static void add(Emitters &emitters, void (*emit)(OpTy, BlockBuilder &)) {
  emitters.block<OpTy>({.emit = emit, .reject = rejectDynamicRows<OpTy>, .tileSizes = rowTiles<OpTy>});
}

void device::addRows(Emitters &emitters) {
  add<EmbeddingOp>(emitters, emitRows);
  add<RMSNormOp>(emitters, emitRows);
  add<RMSNormGradOp>(emitters, emitRows);
  add<LayerNormOp>(emitters, emitRows);
  add<LayerNormGradOp>(emitters, emitLayerNormGrad);
  add<ActivationOp>(emitters, emitActivations);
  add<ActivationGradOp>(emitters, emitActivationGrads);
  addLogits<ProbabilityOp>(emitters);
  addLogits<ProbabilityGradOp>(emitters);
  addLogits<BalanceLossOp>(emitters);
  addLogits<BalanceLossGradOp>(emitters);
  addLogits<ZLossOp>(emitters);
  addLogits<ZLossGradOp>(emitters);
  addLogits<BalanceBiasOp>(emitters);
  addLogits<GatherOp>(emitters);
}
