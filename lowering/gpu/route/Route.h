//===- Route.h - score, select and gate as one ---------------------------===//

#ifndef PEER_LOWERING_GPU_ROUTE_ROUTE_H
#define PEER_LOWERING_GPU_ROUTE_ROUTE_H

#include "lowering/gpu/Kernels.h"

namespace peer::device {

/// So few tokens that scores of a token are spread over blocks, and select and gate follow in a launch of their own.
inline constexpr int64_t kFewTokens = 8;
bool isFewTokens(mlir::Value tensor);

/// Launches that route. Scores of more than few tokens never leave their block.
void emitRoute(RouteOp op, LoopBuilder &host);
/// Why they cannot, on tensors or buffers: then score, select and gate are kernels of their own. Or null.
const char *rejectRoute(RouteOp op);

// Score.cpp: scores that are wanted in memory.
/// Tokens of a block that writes its scores to memory, or 0.
int64_t scoreRows(ScoreOp op);
/// logits (tokens x heads x halves x n) of so few tokens.
void emitFewScores(mlir::Value query, mlir::Value keys, mlir::Value logits, LoopBuilder &host);

// ScoreGrad.cpp: dense gradients.
void populateScoreGradPatterns(PatternSets sets);

} // namespace peer::device

#endif // PEER_LOWERING_GPU_ROUTE_ROUTE_H
