//===- MixForm.h - by token or by expert: how pairs are walked -*- C++ -*-===//

#ifndef PEER_LOWERING_EMIT_MIXFORM_H
#define PEER_LOWERING_EMIT_MIXFORM_H

#include "mlir/IR/Operation.h"

#include <optional>
#include <string>

namespace peer {

class MixLikeOpInterface;

/// What a person wants of ops that mix.
enum class MixForm { Auto, Grouped, Tokens };

namespace attrs {
/// On an op that mixes, or that sums such an op's gradient of a pool: it takes its pairs by expert, with products of matrices, where
/// the experts that it touches have at least so many each, on average. 0: never.
constexpr llvm::StringLiteral kGroupFrom = "peer.group_from";
/// On an op that sums a pool's gradient: how many experts its pairs are of, where that is known.
constexpr llvm::StringLiteral kExperts = "peer.experts";
} // namespace attrs

/// The rule of what pays: fewer rows, or fewer pairs, make products that cost more to call than they save.
inline constexpr int64_t kFewestGroupedRows = 16, kFewestGroupedPairs = 4;
/// Pairs of an expert that a tile of tokens should have: enough that its rows are read for many.
inline constexpr int64_t kPairsOfTile = 32;

/// The attribute's value by that rule, or as a person wants it; none: experts have few rows.
std::optional<int64_t> chooseGroupFrom(int64_t rowsPerExpert, MixForm wanted);
/// What was chosen: 0 where the op walks tokens in any case.
int64_t getGroupFrom(mlir::Operation *op);
/// How many experts an op's pairs are of, or 0: it is not known.
int64_t getExpertsOf(mlir::Operation *op);
/// Why an op walks its tokens, or null.
const char *rejectGrouping(mlir::Operation *op);
/// Why it takes its pairs by expert.
std::string describeGrouping(mlir::Operation *op);
/// Tokens of a tile in which experts have kPairsOfTile pairs if they are chosen evenly.
int64_t groupedTokens(MixLikeOpInterface op);

} // namespace peer

#endif // PEER_LOWERING_EMIT_MIXFORM_H
