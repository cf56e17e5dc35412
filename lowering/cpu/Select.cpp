//===- Select.cpp - select in vectors ------------------------------------===//

#include "Kernels.h"
#include "RowTopK.h"

#include "lowering/emit/KeptRanks.h"

using namespace mlir;
using namespace peer;
using namespace peer::cpu;

static const char *rejectSelect(SelectOp op) {
  if (op.getPolicy().selectsAll())
    return "'all' copies its row: plain loops do";
  if (op.getPolicy().choosesTokens())
    return rejectStridedRows(op);
  if (!op.getPolicy().selectsLargest() && !op.getPolicy().hasVaryingCounts())
    return "the policy is left to plain loops";
  return op.getNumSelected() <= kMostSelected ? nullptr : "the sorted list would not fit in registers";
}

static void emitSelect(SelectOp op, LoopBuilder &b, const VectorOptions &options) {
  if (op.getPolicy().choosesTokens())
    return emitExpertChoice(op, b, options.width);
  Value logits = op.getLogits(), idx = op.getIdx(), val = op.getVal();
  int64_t k = op.getNumSelected(), n = b.staticDim(logits, 3), width = options.width;
  nest(b, dims(b, logits, 2), [&](ArrayRef<Value> th) {
    auto half = [&](int64_t p) { return RowTopK(b, b.slice(logits, {th[0], th[1], b.index(p)}), n, k, width).emit(); };
    emitSelected(b, half, op.isGrid() ? 2 : 1, n, k, idx, val, th);
    emitCut(b, Ranking(op), th[0], th[1], width);
  });
}

/// Experts look at all tokens at once.
static std::optional<TileSizes> selectTiles(SelectOp op) {
  return op.getPolicy().choosesTokens() ? std::nullopt : tile({{"t", 64}});
}

void cpu::addSelect(LoopEmitters &emitters) {
  emitters.vectors<SelectOp>({.emit = emitSelect, .reject = rejectSelect, .tileSizes = selectTiles});
}
