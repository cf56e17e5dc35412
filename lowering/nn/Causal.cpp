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

Value nn::allocateScores(LoopBuilder &b, int64_t block, int64_t keys, int64_t width) {
  Value scores = b.heap({block, int64_t(llvm::alignTo(keys, width))}, b.getF32Type());
  emitZero(b, scores, width);
  return scores;
}

Value nn::emitRows(LoopBuilder &b, Value matrix, OpFoldResult start, OpFoldResult rows) {
  return emitWindow(b, matrix, start, rows, b.getIndexAttr(0), getAsOpFoldResult(b.dim(matrix, 1)));
}

void nn::emitSoftmaxRow(LoopBuilder &b, Value scores, ValueRange row, Value valid, int64_t width) {
  constexpr double kLowest = -std::numeric_limits<double>::infinity();
  Type type = b.floats(width);
  Value lanes = b.index(width);
  // Past `valid` up to the end of its vector, lanes are masked.
  Value end = b.mul(b.ceilDiv(valid, width), lanes);
  auto position = [&](Value at) {
    SmallVector<Value> indices(row);
    indices.push_back(at);
    return indices;
  };
  auto keepValid = [&](Value v, Value at, double otherwise) {
    if (width == 1)
      return v;
    Value mask = vector::CreateMaskOp::create(b, VectorType::get({width}, b.getI1Type()), ValueRange{b.sub(valid, at)});
    return b.select(mask, v, b.f32(otherwise, type));
  };

  Value highest = b.loop(
      b.index(0), end, b.f32(kLowest, type),
      [&](Value at, ValueRange carried) {
        Value v = keepValid(b.load(scores, position(at), width), at, kLowest);
        return SmallVector<Value>{b.max(carried[0], v)};
      },
      width)[0];
  highest = b.splat(b.maxLanes(highest), type);
  Value sum = b.loop(
      b.index(0), end, b.f32(0, type),
      [&](Value at, ValueRange carried) {
        Value e = keepValid(b.exp(b.sub(b.load(scores, position(at), width), highest)), at, 0);
        b.store(e, scores, position(at));
        return SmallVector<Value>{b.add(carried[0], e)};
      },
      width)[0];
  Value scale = b.splat(b.div(b.f32(1), b.sumLanes(sum)), type);
  b.loop(
      b.index(0), end,
      [&](Value at) { b.store(b.mul(b.load(scores, position(at), width), scale), scores, position(at)); }, width);
  b.loop(end, b.dim(scores, row.size()), [&](Value at) { b.store(b.f32(0, type), scores, position(at)); }, width);
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
  // Keys that the row at `end - 1` sees.
  auto visible = [&](Value end) { return head.first ? b.min(b.add(head.first, end), head.limit) : end; };
  b.loop(
      b.index(0), queries,
      [&](Value start) {
        QueryBlock part;
        part.start = start;
        part.rows = emitBlockRows(b, queries, start, block);
        Value rows = getValueOrCreateConstantIndexOp(b, b.getLoc(), part.rows);
        part.keys = getAsOpFoldResult(visible(b.add(start, rows)));
        OpFoldResult zero = b.getIndexAttr(0);
        part.probabilities = emitWindow(b, scores, zero, part.rows, zero, part.keys);
        emitProduct(b, width, emitRows(b, head.query, part.start, part.rows), false,
                    emitRows(b, head.key, zero, part.keys), true, part.probabilities, 0, scale);
        b.loop(rows, [&](Value row) {
          emitSoftmaxRow(b, scores, row, visible(b.add(b.add(start, row), b.index(1))), width);
        });
        body(part);
      },
      block);
}

void nn::emitAttend(LoopBuilder &b, const Head &head, Value output, Value scores, int64_t width) {
  forQueryBlocks(b, head, scores, width, [&](const QueryBlock &part) {
    emitProduct(b, width, part.probabilities, false, emitRows(b, head.value, b.getIndexAttr(0), part.keys), false,
                emitRows(b, output, part.start, part.rows));
  });
}

void nn::forHeads(LoopBuilder &b, Value tile, int64_t heads, int64_t context, llvm::function_ref<void(TakeHead)> body) {
  int64_t headWidth = b.staticDim(tile, 1) / heads;
  b.loop(b.div(b.dim(tile, 0), b.index(context)), [&](Value sequence) {
    Value row = b.mul(sequence, b.index(context));
    b.loop(heads, [&](Value head) {
      Value column = b.mul(head, b.index(headWidth));
      body([&](Value buffer) {
        return emitWindow(b, buffer, row, b.getIndexAttr(context), column, b.getIndexAttr(headWidth));
      });
    });
  });
}
