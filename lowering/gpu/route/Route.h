//===- Route.h - score, select and gate as one ---------------------------===//

#ifndef PEER_LOWERING_GPU_ROUTE_ROUTE_H
#define PEER_LOWERING_GPU_ROUTE_ROUTE_H

#include "lowering/gpu/Emitters.h"

namespace peer::device {

/// So few tokens that scores of a token are spread over blocks, and select and gate follow in a launch of their own.
inline constexpr int64_t kFewTokens = 8;
bool isFewTokens(mlir::Value tensor);

/// Why no launch routes, on tensors or buffers: then score, select and gate are kernels of their own. Or null.
const char *rejectRoute(RouteOp op, const GpuInfo &gpu);

/// Scores that are wanted in memory (Score.cpp): logits (tokens x heads x halves x n) of so few tokens.
void emitFewScores(mlir::Value query, mlir::Value keys, mlir::Value logits, LoopBuilder &host);

} // namespace peer::device

#endif // PEER_LOWERING_GPU_ROUTE_ROUTE_H
