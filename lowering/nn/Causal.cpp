//===- Causal.cpp - what the attention emitters share --------------------===//

#include "Causal.h"

#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "llvm/Support/MathExtras.h"

#include <cmath>

using namespace mlir;
using namespace peer;

/// Wide enough for BLAS to be efficient, narrow enough for 1024 keys to fit the cache.
constexpr int64_t kQueryBlock = 64;

int64_t nn::getQueryBlock(int64_t rows, int64_t width) {
  // A multiple of the vector width: only the last block's keys end within a vector.
  return std::min(rows, int64_t(llvm::alignTo(kQueryBlock, width)));
}

Value nn::allocateScores(LoopBuilder &b, int64_t block, int64_t keys, SlidingWindow window, int64_t width) {
  // A block's keys begin at a whole vector.
  if (window)
    keys = std::min(keys, *window + block + width - 2);
  Value scores = b.heap({block, int64_t(llvm::alignTo(keys, width))}, b.getF32Type());
  emitZero(b, scores, width);
  return scores;
}

Value nn::emitRows(LoopBuilder &b, Value matrix, OpFoldResult start, OpFoldResult rows) {
  return emitWindow(b, matrix, start, rows, b.getIndexAttr(0), getAsOpFoldResult(b.dim(matrix, 1)));
}

void nn::emitSoftmaxRow(LoopBuilder &b, Value scores, ValueRange row, Value first, Value end, int64_t width) {
  constexpr double kLowest = -std::numeric_limits<double>::infinity();
  Type type = b.floats(width);
  Value lanes = b.index(width);
  // Whole vectors; lanes before `first` and from `end` on are masked.
  Value begin = first ? b.mul(b.div(first, lanes), lanes) : b.index(0);
  Value stop = b.mul(b.ceilDiv(end, width), lanes);
  auto position = [&](Value at) {
    SmallVector<Value> indices(row);
    indices.push_back(at);
    return indices;
  };
  auto below = [&](Value bound, Value at) -> Value {
    return vector::CreateMaskOp::create(b, VectorType::get({width}, b.getI1Type()), ValueRange{b.sub(bound, at)});
  };
  auto keepValid = [&](Value v, Value at, double otherwise) {
    if (width == 1)
      return v;
    v = b.select(below(end, at), v, b.f32(otherwise, type));
    return first ? b.select(below(first, at), b.f32(otherwise, type), v) : v;
  };
  auto setZero = [&](Value from, Value to) {
    b.loop(from, to, [&](Value at) { b.store(b.f32(0, type), scores, position(at)); }, width);
  };

  Value highest = b.loop(
      begin, stop, b.f32(kLowest, type),
      [&](Value at, ValueRange carried) {
        Value v = keepValid(b.load(scores, position(at), width), at, kLowest);
        return SmallVector<Value>{b.max(carried[0], v)};
      },
      width)[0];
  highest = b.splat(b.maxLanes(highest), type);
  Value sum = b.loop(
      begin, stop, b.f32(0, type),
      [&](Value at, ValueRange carried) {
        Value e = keepValid(b.exp(b.sub(b.load(scores, position(at), width), highest)), at, 0);
        b.store(e, scores, position(at));
        return SmallVector<Value>{b.add(carried[0], e)};
      },
      width)[0];
  Value scale = b.splat(b.div(b.f32(1), b.sumLanes(sum)), type);
  b.loop(
      begin, stop, [&](Value at) { b.store(b.mul(b.load(scores, position(at), width), scale), scores, position(at)); },
      width);
  if (first)
    setZero(b.index(0), begin);
  setZero(stop, b.dim(scores, row.size()));
}

/// The smaller of two sizes, where `step` may divide `size` evenly.
static OpFoldResult emitBlockRows(LoopBuilder &b, Value size, Value start, int64_t block) {
  std::optional<int64_t> constant = getConstantIntValue(size);
  if (constant && *constant % block == 0)
    return b.getIndexAttr(block);
  return getAsOpFoldResult(b.min(b.index(block), b.sub(size, start)));
}

void nn::forQueryBlocks(LoopBuilder &b, const Head &head, Value scores, int64_t width,
                        llvm::function_ref<void(const QueryBlock &)> body) {
  Value queries = b.dim(head.query, 0);
  int64_t block = b.staticDim(scores, 0);
  double scale = 1 / std::sqrt(double(b.staticDim(head.query, 1)));
  // The end of the keys that the row at `end - 1` sees, and the first of them; null: 0.
  auto visible = [&](Value end) { return head.first ? b.min(b.add(head.first, end), head.limit) : end; };
  auto firstSeen = [&](Value end) -> Value {
    if (!head.window)
      return {};
    Value seen = visible(end);
    return b.sub(seen, b.min(seen, b.index(*head.window)));
  };
  b.loop(
      b.index(0), queries,
      [&](Value start) {
        QueryBlock part;
        part.start = start;
        part.rows = emitBlockRows(b, queries, start, block);
        Value rows = getValueOrCreateConstantIndexOp(b, b.getLoc(), part.rows);
        Value from = firstSeen(b.add(start, b.index(1))), end = visible(b.add(start, rows));
        OpFoldResult zero = b.getIndexAttr(0);
        part.from = zero;
        if (from) {
          from = b.mul(b.div(from, b.index(width)), b.index(width));
          part.from = from;
        }
        auto inBlock = [&](Value key) { return from && key ? b.sub(key, from) : key; };
        part.keys = getAsOpFoldResult(inBlock(end));
        part.probabilities = emitWindow(b, scores, zero, part.rows, zero, part.keys);
        emitProduct(b, width, emitRows(b, head.query, part.start, part.rows), false,
                    emitRows(b, head.key, part.from, part.keys), true, part.probabilities, 0, scale);
        b.loop(rows, [&](Value row) {
          Value rowEnd = b.add(b.add(start, row), b.index(1));
          emitSoftmaxRow(b, scores, row, inBlock(firstSeen(rowEnd)), inBlock(visible(rowEnd)), width);
        });
        body(part);
      },
      block);
}

void nn::emitAttend(LoopBuilder &b, const Head &head, Value output, Value scores, int64_t width) {
  forQueryBlocks(b, head, scores, width, [&](const QueryBlock &part) {
    emitProduct(b, width, part.probabilities, false, emitRows(b, head.value, part.from, part.keys), false,
                emitRows(b, output, part.start, part.rows));
  });
}

Value nn::HeadGroup::takeHead(Value buffer, Value head) const {
  return emitWindow(b, buffer, row, b.getIndexAttr(context), b.mul(head, b.index(width)), b.getIndexAttr(width));
}

void nn::HeadGroup::forQueries(llvm::function_ref<void(TakeHead)> body) const {
  auto at = [&](Value head) { body([&](Value buffer) { return takeHead(buffer, head); }); };
  if (heads == 1)
    return at(number);
  Value first = b.mul(number, b.index(heads));
  b.loop(heads, [&](Value i) { at(b.add(first, i)); });
}

void nn::forHeadGroups(LoopBuilder &b, Value query, Value key, int64_t heads, int64_t context,
                       llvm::function_ref<void(const HeadGroup &)> body) {
  int64_t width = b.staticDim(query, 1) / heads, keyHeads = b.staticDim(key, 1) / width;
  b.loop(b.div(b.dim(query, 0), b.index(context)), [&](Value sequence) {
    Value row = b.mul(sequence, b.index(context));
    b.loop(keyHeads, [&](Value number) { body(HeadGroup(b, width, heads / keyHeads, context, row, number)); });
  });
}
