//===- QuantizedLinear.cpp - products with stored weights -----------------===//
//
// Few tokens: dots of the rows as they are stored, which are all that is read. Many: some rows at a time are written out as f32, for
// a product of matrices.
//
//===----------------------------------------------------------------------===//

#include "Emit.h"

#include "lowering/emit/StoredTable.h"

#include "dialect/ops/Check.h"

using namespace mlir;
using namespace peer;
using namespace peer::nn;

/// Tokens up to which reading rows for each of them costs less than writing them out.
static constexpr int64_t kFewTokens = 4;
/// Bytes of the rows that are written out at once, for as long as they stay in L2.
static constexpr int64_t kPanelBytes = 1 << 20;
/// Rows of a tile's weight, and its tokens: rows are written out once for all of them.
static constexpr int64_t kTileRows = 1024, kTileTokens = 512;

static StoredTable tableOf(QuantizedLinearOp op) { return {op.getWeight(), op.getScales(), dimOf(op.getX(), 1)}; }

static void emitDots(LoopBuilder &b, QuantizedLinearOp op, int64_t width) {
  StoredTable weight = tableOf(op);
  Value x = op.getX(), y = op.getY(), bias = op.getBias();
  b.loop(b.dim(y, 1), [&](Value o) {
    Value scale = weight.hasVectorScales() ? weight.scaleOf(b, {o}) : Value();
    b.loop(b.dim(y, 0), [&](Value t) {
      Value dot = b.sumStrips(b.index(weight.width), width, [&](Value at, int64_t lanes) {
        return b.mul(weight.load(b, {o}, at, lanes), b.load(x, {t, at}, lanes));
      });
      if (scale)
        dot = b.mul(dot, scale);
      b.store(bias ? b.add(dot, b.load(bias, {o})) : dot, y, {t, o});
    });
  });
}

static void emitPanels(LoopBuilder &b, QuantizedLinearOp op, int64_t width) {
  StoredTable weight = tableOf(op);
  Value x = op.getX(), y = op.getY(), bias = op.getBias();
  int64_t rowsAtOnce = std::clamp<int64_t>(kPanelBytes / std::max<int64_t>(4 * weight.width, 1) / 16 * 16, 16, 256);
  Value panel = b.heap({rowsAtOnce, weight.width}, b.getF32Type());
  OpFoldResult zero = b.getIndexAttr(0), inner = b.getIndexAttr(weight.width);
  if (bias)
    emitBiasRows(b, bias, y, width);
  Value rows = b.dim(y, 1), tokens = b.dim(y, 0);
  b.loop(
      b.index(0), rows,
      [&](Value first) {
        Value count = b.min(b.sub(rows, first), b.index(rowsAtOnce));
        b.loop(count, [&](Value o) {
          b.strips(b.index(weight.width), width, [&](Value at, int64_t lanes) {
            b.store(weight.loadScaled(b, {b.add(first, o)}, at, lanes), panel, {o, at});
          });
        });
        b.sgemm(x, false, emitWindow(b, panel, zero, count, zero, inner), true,
                emitWindow(b, y, zero, tokens, first, count), /*beta=*/bias ? 1 : 0);
      },
      rowsAtOnce);
  b.free(panel);
}

static void emit(LoopBuilder &b, QuantizedLinearOp op, int64_t width) {
  if (width == 1)
    return emitDots(b, op, width);
  Value isFew = b.cmp(arith::CmpIPredicate::ule, b.dim(op.getY(), 0), b.index(kFewTokens));
  b.ifThen(isFew, [&] { emitDots(b, op, width); }, [&] { emitPanels(b, op, width); });
}

static std::optional<TileSizes> tiles(QuantizedLinearOp op) {
  int64_t tokens = dimOf(op.getX(), 0), rows = dimOf(op.getWeight(), 0);
  if (ShapedType::isDynamic(tokens) || tokens > kTileTokens)
    return tile({{"t", kTileTokens}, {"j", kTileRows}});
  if (tokens * rows < kSmallTensor)
    return std::nullopt;
  return tile({{"j", kTileRows}});
}

void nn::addQuantizedLinear(LoopEmitters &emitters) {
  emitters.everyWidth<QuantizedLinearOp>({.emit = emit, .tileSizes = tiles});
}
