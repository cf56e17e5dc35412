//===- Mix.cpp - mix and quantized_mix in vectors ------------------------===//
//
// Per token and group of selected rows: their dots, then their activations as vectors, then the weighted sum of their last
// vectors with y in registers.
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
        rows(b, op.idx, pool, op.rowsPerExpert, width, /*dotsOfAll=*/false), scales(rows.scratch(b)) {
    for (int64_t f = 0; f + 1 < vectors; ++f)
      products.push_back(rows.scratch(b));
  }

  void emitToken(Value token) {
    Value x = b.slice(op.x, {token}), y = b.slice(op.y, {token}), weights = flatSlice(b, op.weights, {token});
    fillZero(b, y, width);
    auto note = [&](Value place, Value, Value pair) { b.store(b.load(weights, {pair}), scales, {place}); };
    rows.forEachChunk(b, token, note, [&](Value listed) {
      rows.forEachGroup(b, listed, [&](Value first, Value end) {
        rows.fetchScales(b, first, end);
        emitDots(x, first, end);
        if (pool.hasVectorScales())
          emitScales(first, end);
        emitActivations(first, end);
        rows.addUp(b, first, end, y, [&](Value i, auto add) { add(b.load(scales, {i}), vectors - 1); });
      });
    });
  }

private:
  void emitDots(Value x, Value first, Value end) {
    if (vectors == 1)
      return;
    b.loop(first, end, [&](Value i) {
      Values results = rows.dotsOf(b, i, vectors - 1, vectors - 1, [&](unsigned) { return x; });
      for (auto [result, product] : llvm::zip(results, products))
        b.store(result, product, {i});
    });
  }

  /// What stored vectors are short of: the dots of the first ones, and the factor of the last.
  void emitScales(Value first, Value end) {
    b.loop(first, end, [&](Value i) {
      Value row = rows.rowAt(b, i);
      for (int64_t f = 0; f < vectors; ++f) {
        Value buffer = f + 1 < vectors ? products[f] : scales;
        b.store(b.mul(b.load(buffer, {i}), pool.scaleOf(b, {row, b.index(f)})), buffer, {i});
      }
    });
  }

  /// scales *= act(first dot) * second dot. The last vector may run into the padding.
  void emitActivations(Value first, Value end) {
    if (vectors == 1)
      return;
    b.loop(
        first, end,
        [&](Value i) {
          Values dots = llvm::map_to_vector(products, [&](Value product) { return b.load(product, {i}, width); });
          Value scale = emitMixScale(b, op.activation, b.load(scales, {i}, width), dots);
          b.store(scale, scales, {i});
        },
        width);
  }

  MixOperands op;
  LoopBuilder &b;
  int64_t width;
  StoredTable pool;
  int64_t vectors;
  MixRows rows;
  Value scales;
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
