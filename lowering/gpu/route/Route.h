//===- Route.h - score, select and gate of a tile as one -----------------===//

#ifndef PEER_LOWERING_GPU_ROUTE_ROUTE_H
#define PEER_LOWERING_GPU_ROUTE_ROUTE_H

#include "lowering/gpu/Kernels.h"

#include <optional>

namespace peer::device {

/// Tokens of a block that scores and selects at once: 64, 32 or 16, as its shared memory allows; 0 if it does not at all.
/// `tokens` (dynamic: many) may ask for less, so that all multiprocessors have a block.
int64_t routeRows(ScoreOp score, SelectOp select, int64_t tokens);
/// Blocks that the keys of a tile can be spread over, a power of two.
int64_t mostKeyParts(ScoreOp score, SelectOp select);

/// Tokens of a block that writes its scores to memory, or 0.
int64_t scoreRows(ScoreOp op);

/// So few tokens that scores of a token are spread over blocks, and select and gate follow in a kernel of their own.
inline constexpr int64_t kFewTokens = 8;
bool isFewTokens(mlir::Value tensor);

/// Ops of a tile that become one.
struct Route {
  ScoreOp score;
  SelectOp select;
  GateOp gate;   // null: no weights
  bool keepsVal; // false: nobody but the gate reads val

  /// Tokens that a block has in shared memory at a time.
  int64_t rows() const;
};
/// What the score of a tile becomes part of, in a launch or in a loop over tiles, if anything.
std::optional<Route> routeOf(ScoreOp score);
/// Whether this buffer lives no longer than its tile.
bool isLocal(mlir::Value buffer);

/// Scores that only a select in the same launch reads never leave its block, and neither do values that only a gate reads.
void populateRoutePatterns(mlir::RewritePatternSet &patterns);
/// Whether a gate in a launch is done together with the select before it.
bool isGateOfSelect(GateOp gate);

// ScoreGrad.cpp: dense gradients.
void populateScoreGradPatterns(PatternSets sets);

} // namespace peer::device

#endif // PEER_LOWERING_GPU_ROUTE_ROUTE_H
