//===- MixForm.cpp - by token or by expert: how pairs are walked ---------===//

#include "MixForm.h"

#include "dialect/PeerOps.h"

#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace peer;

/// A tile has at least so many tokens, so that threads have no less to do than where tokens are walked, and at most so many.
static constexpr int64_t kFewestTokens = 64, kMostTokens = 1024;

std::optional<int64_t> peer::chooseGroupFrom(int64_t rowsPerExpert, MixForm wanted) {
  if (wanted != MixForm::Auto)
    return wanted == MixForm::Grouped ? 1 : 0;
  if (rowsPerExpert < kFewestGroupedRows)
    return std::nullopt;
  return kFewestGroupedPairs;
}

int64_t peer::getGroupFrom(Operation *op) {
  auto from = op->getAttrOfType<IntegerAttr>(attrs::kGroupFrom);
  return from ? from.getInt() : 0;
}

int64_t peer::getExpertsOf(Operation *op) {
  if (auto mix = dyn_cast<MixLikeOpInterface>(op))
    return mix.getNumExperts();
  auto experts = op->getAttrOfType<IntegerAttr>(attrs::kExperts);
  return experts ? experts.getInt() : 0;
}

const char *peer::rejectGrouping(Operation *op) {
  static_assert(kFewestGroupedRows == 16, "the sentence says so");
  if (getGroupFrom(op) > 0)
    return nullptr;
  return op->hasAttr(attrs::kGroupFrom) ? "--mix=tokens" : "experts of fewer than 16 rows are walked token by token";
}

static int64_t rowsPerExpertOf(Operation *op) {
  if (auto mix = dyn_cast<MixLikeOpInterface>(op))
    return int64_t(mix.getRowsPerExpert());
  return cast<ShapedType>(cast<RowGradOpInterface>(op).getCoef().getType()).getDimSize(3);
}

std::string peer::describeGrouping(Operation *op) {
  int64_t from = getGroupFrom(op), rows = rowsPerExpertOf(op);
  if (from == 1)
    return llvm::formatv("experts have {0} rows; --mix=grouped", rows);
  return llvm::formatv(
      "experts have {0} rows; where those touched have less than {1} pairs each, on average, tokens are walked", rows,
      from);
}

int64_t peer::groupedTokens(MixLikeOpInterface op) {
  auto idx = cast<ShapedType>(op.getIdx().getType());
  int64_t pairs = std::max<int64_t>(1, idx.getDimSize(1) * idx.getDimSize(2));
  int64_t experts = std::min<int64_t>(op.getNumExperts(), int64_t(1) << 32);
  return std::clamp<int64_t>(llvm::alignTo(llvm::divideCeil(kPairsOfTile * experts, pairs), 16), kFewestTokens,
                             kMostTokens);
}
