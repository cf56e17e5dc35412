//===- Patterns.cpp - the nn emitters as rewrite patterns ----------------===//

#include "Emit.h"
#include "lowering/emit/BufferPattern.h"

using namespace mlir;
using namespace peer;

/// Vectors are loaded along the last dimension: it must be contiguous.
static bool hasUnitInnerStride(MemRefType type) {
  SmallVector<int64_t> strides;
  int64_t offset;
  return succeeded(type.getStridesAndOffset(strides, offset)) && (strides.empty() || strides.back() == 1);
}

template <typename OpTy>
static const char *rejectStridedRows(OpTy op) {
  for (Value operand : op->getOperands())
    if (!hasUnitInnerStride(cast<MemRefType>(operand.getType())))
      return "has an operand whose rows are not contiguous";
  return nullptr;
}

template <typename... Ops>
static void addPatterns(RewritePatternSet &patterns, int64_t width) {
  bool vectors = width > 1;
  (patterns.add<BufferPattern<Ops>>(
       patterns.getContext(), vectors ? remarks::kVectors : remarks::kPlainLoops,
       [width](Ops op, LoopBuilder &b) { nn::emit(b, op, width); }, vectors ? &rejectStridedRows<Ops> : nullptr,
       /*benefit=*/vectors ? 2 : 1),
   ...);
}

static void addAll(RewritePatternSet &patterns, int64_t width) {
  addPatterns<LinearOp, EmbeddingOp, EmbeddingGradOp, RMSNormOp, RMSNormGradOp, LayerNormOp, LayerNormGradOp,
              RMSNormWeightGradOp, LayerNormWeightGradOp, BatchStatsOp, BatchNormOp, BatchNormGradOp,
              BatchNormWeightGradOp, ActivationOp, ActivationGradOp, CrossEntropyOp, CrossEntropyGradOp, MeanOp,
              MeanGradOp, RotaryOp, RotaryAtOp, AttentionOp, AttentionGradOp, CachedAttentionOp>(patterns, width);
}

void peer::populateNNToLoopsPatterns(RewritePatternSet &patterns) { addAll(patterns, 1); }

void peer::populateNNToVectorsPatterns(RewritePatternSet &patterns, const VectorOptions &options) {
  addAll(patterns, 1);
  if (options.width > 1)
    addAll(patterns, options.width);
}
