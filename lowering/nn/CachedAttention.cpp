//===- CachedAttention.cpp - attention over a ring of keys and values ----===//

#include "Causal.h"

#include "llvm/Support/MathExtras.h"

#include <cmath>

using namespace mlir;
using namespace peer;
using namespace peer::nn;

namespace {

/// Elements of one cache from which on heads are worth a thread each.
constexpr int64_t kParallelElements = 1 << 15;

/// The ring's rows [0, seen) are valid whenever this runs: positions wrap only for single tokens, when all rows are.
struct Decode {
  LoopBuilder &b;
  int64_t width, headWidth;
  Value seen;

  /// output = softmax(query key^T / sqrt(w)) value, for one row: no matrix product is worth its call.
  void emit(Value query, Value key, Value value, Value output, Value scores);
};

void Decode::emit(Value query, Value key, Value value, Value output, Value scores) {
  Value zero = b.index(0), size = b.index(headWidth);
  Value scale = b.f32(1 / std::sqrt(double(headWidth)));
  b.loop(seen, [&](Value j) {
    Value dot = b.sumStrips(size, width, [&](Value at, int64_t lanes) {
      return b.mul(b.load(query, {zero, at}, lanes), b.load(key, {j, at}, lanes));
    });
    b.store(b.mul(dot, scale), scores, j);
  });
  nn::emitSoftmaxRow(b, scores, {}, seen, width);
  // Four vectors of the output at a time: as many chains of additions.
  b.strips(size, width == 1 ? 1 : 4 * width, [&](Value at, int64_t lanes) {
    Type type = b.floats(lanes);
    Value sum = b.loop(zero, seen, b.f32(0, type), [&](Value j, ValueRange carried) {
      Value p = b.splat(b.load(scores, j), type);
      return SmallVector<Value>{b.fma(p, b.load(value, {j, at}, lanes), carried[0])};
    })[0];
    b.store(sum, output, {zero, at});
  });
}

/// Writes the new rows into the ring.
void emitAppend(LoopBuilder &b, Value rows, Value cache, Value start, int64_t width) {
  Value capacity = b.dim(cache, 0);
  b.loop(b.dim(rows, 0), [&](Value t) {
    Value slot = b.rem(b.add(start, t), capacity);
    b.strips(b.dim(rows, 1), width,
             [&](Value at, int64_t lanes) { b.store(b.load(rows, {t, at}, lanes), cache, {slot, at}); });
  });
}

} // namespace

static void emit(LoopBuilder &b, CachedAttentionOp op, int64_t width) {
  Value query = op.getQuery(), keys = op.getKeyCache(), values = op.getValueCache(), output = op.getY();
  int64_t tokens = b.staticDim(query, 0), capacity = b.staticDim(keys, 0), size = b.staticDim(keys, 1);
  int64_t headWidth = size / op.getHeads();
  Value start = b.toIndex(b.load(op.getPosition(), {}));
  emitAppend(b, op.getKey(), keys, start, width);
  emitAppend(b, op.getValue(), values, start, width);

  auto emitHead = [&](Value head) {
    Value column = b.mul(head, b.index(headWidth));
    auto take = [&](Value buffer) {
      return emitWindow(b, buffer, b.getIndexAttr(0), getAsOpFoldResult(b.dim(buffer, 0)), column,
                        b.getIndexAttr(headWidth));
    };
    if (tokens == 1) {
      Value scores = b.heap({int64_t(llvm::alignTo(capacity, width))}, b.getF32Type());
      Value seen = b.min(b.add(start, b.index(1)), b.index(capacity));
      Decode{b, width, headWidth, seen}.emit(take(query), take(keys), take(values), take(output), scores);
      b.free(scores);
      return;
    }
    int64_t block = getQueryBlock(ShapedType::isDynamic(tokens) ? capacity : std::max<int64_t>(tokens, 1), width);
    Value scores = allocateScores(b, block, capacity, width);
    emitAttend(b, {take(query), take(keys), take(values), start, b.index(capacity)}, take(output), scores, width);
    b.free(scores);
  };
  bool nested = op->getParentOfType<scf::ForallOp>() || op->getParentOfType<scf::ParallelOp>();
  if (width > 1 && !nested && op.getHeads() > 1 && capacity * size >= kParallelElements)
    b.parallel(b.index(op.getHeads()), [&](ValueRange at) { emitHead(at[0]); });
  else
    b.loop(op.getHeads(), [&](Value head) { emitHead(head); });
}

void nn::addCachedAttention(LoopEmitters &emitters) { emitters.everyWidth<CachedAttentionOp>({.emit = emit}); }
