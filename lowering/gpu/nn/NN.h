//===- NN.h - emitters of the nn ops that GPUs have of their own ---------===//

#ifndef PEER_LOWERING_GPU_NN_NN_H
#define PEER_LOWERING_GPU_NN_NN_H

#include "lowering/gpu/block/BlockBuilder.h"

namespace peer::device {

// ColumnSums.cpp
void launchRMSNormWeightGrad(RMSNormWeightGradOp op, LoopBuilder &host);
void launchLayerNormWeightGrad(LayerNormWeightGradOp op, LoopBuilder &host);
void launchBatchStats(BatchStatsOp op, LoopBuilder &host);
void launchBatchNormWeightGrad(BatchNormWeightGradOp op, LoopBuilder &host);
void launchBatchNorm(BatchNormOp op, LoopBuilder &host);
void launchBatchNormGrad(BatchNormGradOp op, LoopBuilder &host);
// EmbeddingGrad.cpp
void launchEmbeddingGrad(EmbeddingGradOp op, LoopBuilder &host);
// Loss.cpp
void emitCrossEntropy(CrossEntropyOp op, BlockBuilder &b);
void emitCrossEntropyGrad(CrossEntropyGradOp op, BlockBuilder &b);
void launchMean(MeanOp op, LoopBuilder &host);
void launchMeanGrad(MeanGradOp op, LoopBuilder &host);
// Rotary.cpp
void launchRotary(RotaryOp op, LoopBuilder &host);
void launchRotaryAt(RotaryAtOp op, LoopBuilder &host);

} // namespace peer::device

#endif // PEER_LOWERING_GPU_NN_NN_H
