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

/// One token. Of the ring, its rows [0, seen) are valid whenever this runs: positions wrap only for single tokens, when all rows
/// are. Those of a window begin at `first`, and go on at row 0 behind the last.
struct Decode {
  LoopBuilder &b;
  int64_t width, headWidth, capacity;
  Value seen, first;

  Value rowOf(Value j) {
    if (!first)
      return j;
    Value row = b.add(first, j), end = b.index(capacity);
    return b.select(b.cmp(arith::CmpIPredicate::ult, row, end), row, b.sub(row, end));
  }
  /// output = softmax(query key^T / sqrt(w)) value, for one row: no matrix product is worth its call.
  void emit(Value query, Value key, Value value, Value output, Value scores);
};

void Decode::emit(Value query, Value key, Value value, Value output, Value scores) {
  Value zero = b.index(0), size = b.index(headWidth);
  Value scale = b.f32(1 / std::sqrt(double(headWidth)));
  b.loop(seen, [&](Value j) {
    Value row = rowOf(j);
    Value dot = b.sumStrips(size, width, [&](Value at, int64_t lanes) {
      return b.mul(b.load(query, {zero, at}, lanes), b.load(key, {row, at}, lanes));
    });
    b.store(b.mul(dot, scale), scores, j);
  });
  nn::emitSoftmaxRow(b, scores, {}, {}, seen, width);
  // Four vectors of the output at a time: as many chains of additions.
  b.strips(size, width == 1 ? 1 : 4 * width, [&](Value at, int64_t lanes) {
    Type type = b.floats(lanes);
    Value sum = b.loop(zero, seen, b.f32(0, type), [&](Value j, ValueRange carried) {
      Value p = b.splat(b.load(scores, j), type);
      return SmallVector<Value>{b.fma(p, b.load(value, {rowOf(j), at}, lanes), carried[0])};
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
  int64_t tokens = b.staticDim(query, 0), capacity = b.staticDim(keys, 0), heads = op.getHeads();
  int64_t headWidth = b.staticDim(query, 1) / heads, keyHeads = b.staticDim(keys, 1) / headWidth;
  SlidingWindow window = op.getWindow();
  Value start = b.toIndex(b.load(op.getPosition(), {}));
  emitAppend(b, op.getKey(), keys, start, width);
  emitAppend(b, op.getValue(), values, start, width);

  auto emitHead = [&](Value head) {
    auto takeHead = [&](Value buffer, Value number) {
      return emitWindow(b, buffer, b.getIndexAttr(0), getAsOpFoldResult(b.dim(buffer, 0)),
                        b.mul(number, b.index(headWidth)), b.getIndexAttr(headWidth));
    };
    Value keyHead = keyHeads == heads ? head : b.div(head, b.index(heads / keyHeads));
    Value q = takeHead(query, head), y = takeHead(output, head);
    Value k = takeHead(keys, keyHead), v = takeHead(values, keyHead);
    auto emitToken = [&] {
      int64_t most = window.value_or(capacity);
      Value scores = b.heap({int64_t(llvm::alignTo(most, width))}, b.getF32Type());
      Value end = b.add(start, b.index(1)), seen = b.min(end, b.index(most)), first;
      if (window)
        first = b.rem(b.sub(end, seen), b.index(capacity));
      Decode{b, width, headWidth, capacity, seen, first}.emit(q, k, v, y, scores);
      b.free(scores);
    };
    auto emitTokens = [&] {
      int64_t block = getQueryBlock(ShapedType::isDynamic(tokens) ? capacity : std::max<int64_t>(tokens, 1), width);
      Value scores = allocateScores(b, block, capacity, window, width);
      emitAttend(b, {q, k, v, start, b.index(capacity), window}, y, scores, width);
      b.free(scores);
    };
    if (tokens == 1)
      return emitToken();
    // Only a single token may be one behind the last row, whose window is in two parts.
    if (window && ShapedType::isDynamic(tokens))
      return b.ifThen(b.cmp(arith::CmpIPredicate::eq, b.dim(query, 0), b.index(1)), emitToken, emitTokens);
    emitTokens();
  };
  bool nested = op->getParentOfType<scf::ForallOp>() || op->getParentOfType<scf::ParallelOp>();
  if (width > 1 && !nested && heads > 1 && capacity * headWidth * heads >= kParallelElements)
    b.parallel(b.index(heads), [&](ValueRange at) { emitHead(at[0]); });
  else
    b.loop(heads, [&](Value head) { emitHead(head); });
}

void nn::addCachedAttention(LoopEmitters &emitters) { emitters.everyWidth<CachedAttentionOp>({.emit = emit}); }
