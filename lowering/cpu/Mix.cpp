//===- Mix.cpp - mix and quantized_mix in vectors ------------------------===//
//
// Per token three loops over the selected rows, which lie in L2 after the first: all dots, then all activations as
// vectors, then the weighted sum of the last vectors with y in registers.
//
//===----------------------------------------------------------------------===//

#include "Kernels.h"
#include "MixRows.h"

#include "lowering/emit/ExpertMath.h"
#include "lowering/emit/MixForm.h"
#include "lowering/tuning/Tuning.h"

using namespace mlir;
using namespace peer;
using namespace peer::cpu;

template <typename OpTy>
static const char *reject(OpTy mix) {
  MixOperands op(mix);
  return isDense(op.idx, 1) && isDense(op.weights, 1) ? nullptr : "indices or weights of a token are not dense";
}

namespace {
class MixEmitter {
public:
  MixEmitter(const MixOperands &op, LoopBuilder &b, int64_t width)
      : op(op), b(b), width(width), pool(op.table()), vectors(b.staticDim(op.pool, 1)),
        rows(b, op.idx, pool, op.rowsPerExpert, width), numbers(rows.indexScratch(b)), scales(rows.scratch(b)) {
    for (int64_t f = 0; f + 1 < vectors; ++f)
      products.push_back(rows.scratch(b));
  }

  void emitToken(Value token) {
    Value x = b.slice(op.x, {token}), y = b.slice(op.y, {token});
    Value idx = flatSlice(b, op.idx, {token}), weights = flatSlice(b, op.weights, {token});
    if (!rows.isOneChunk())
      fillZero(b, y, width);
    rows.forEachChunk(b, [&](Value first, Value count) {
      Value listed = emitList(idx, weights, first, count);
      emitDots(x, listed);
      if (pool.hasVectorScales())
        emitScales(listed);
      emitActivations(listed);
      emitSum(y, listed);
    });
  }

private:
  /// Lists the chunk's selected rows and their weights; returns how many there are.
  Value emitList(Value idx, Value weights, Value first, Value count) {
    return b.loop(b.index(0), count, {b.index(0)}, [&](Value i, ValueRange carried) {
      MixRows::Row row = rows.rowOf(b, idx, b.add(first, i));
      b.store(row.row, numbers, {carried[0]});
      b.store(b.load(weights, {row.pair}), scales, {carried[0]});
      return Values{b.add(carried[0], b.select(row.valid, b.index(1), b.index(0)))};
    })[0];
  }

  void emitDots(Value x, Value listed) {
    if (vectors == 1)
      return;
    b.loop(listed, [&](Value i) {
      Value later = b.load(numbers, {rows.laterThan(b, i, listed)});
      Values results = rows.dotsOf(b, b.load(numbers, {i}), later, vectors - 1, 0, [&](unsigned) { return x; });
      for (auto [result, product] : llvm::zip(results, products))
        b.store(result, product, {i});
    });
  }

  /// What stored vectors are short of: the dots of the first ones, and the factor of the last.
  void emitScales(Value listed) {
    b.loop(listed, [&](Value i) {
      Value row = b.load(numbers, {i});
      for (int64_t f = 0; f < vectors; ++f) {
        Value buffer = f + 1 < vectors ? products[f] : scales;
        b.store(b.mul(b.load(buffer, {i}), pool.scaleOf(b, {row, b.index(f)})), buffer, {i});
      }
    });
  }

  /// scales *= act(first dot) * second dot. The last vector may run into the padding.
  void emitActivations(Value listed) {
    if (vectors == 1)
      return;
    b.loop(
        b.index(0), listed,
        [&](Value i) {
          Values dots = llvm::map_to_vector(products, [&](Value product) { return b.load(product, {i}, width); });
          Value scale = emitMixScale(b, op.activation, b.load(scales, {i}, width), dots);
          b.store(scale, scales, {i});
        },
        width);
  }

  void emitSum(Value y, Value listed) {
    Value last = b.index(vectors - 1);
    forEachBlock(b, pool.width, width, [&](ArrayRef<Strip> strips) {
      Values init = zeros(b, strips);
      if (!rows.isOneChunk())
        init = llvm::map_to_vector(strips, [&](const Strip &s) { return b.load(y, {s.at}, s.lanes); });
      Values sums = sumRows(b, b.index(0), listed, strips, init, [&](Value i, auto add) {
        Value row = b.load(numbers, {i});
        add(b.load(scales, {i}), [&](const Strip &s) { return pool.load(b, {row, last}, s.at, s.lanes); });
      });
      for (auto [sum, strip] : llvm::zip(sums, strips))
        b.store(sum, y, {strip.at});
    });
  }

  MixOperands op;
  LoopBuilder &b;
  int64_t width;
  StoredTable pool;
  int64_t vectors;
  MixRows rows;
  Value numbers, scales;
  Values products;
};
} // namespace

void cpu::emitMixOfTokens(const MixOperands &op, LoopBuilder &b, int64_t width) {
  MixEmitter emitter(op, b, width);
  b.loop(b.dim(op.x, 0), [&](Value token) { emitter.emitToken(token); });
}

template <typename OpTy>
static void emit(OpTy mix, LoopBuilder &b, const VectorOptions &options) {
  emitMixOfTokens(mix, b, options.width);
}

template <typename OpTy>
static std::optional<TileSizes> tiles(OpTy op) {
  return tile({{"t", getGroupFrom(op) > 0 ? groupedTokens(op) : tuned(op, tuning::kMixTokens)}});
}

template <typename OpTy>
static void add(LoopEmitters &emitters) {
  emitters.vectors<OpTy>({.emit = emit, .reject = reject, .tileSizes = tiles});
}

void cpu::addMix(LoopEmitters &emitters) {
  add<MixOp>(emitters);
  add<QuantizedMixOp>(emitters);
}
