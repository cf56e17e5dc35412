//===- GroupedMix.cpp - mix and its gradient, expert by expert -----------===//
//
// The pairs of a tile of tokens are sorted by expert. Those of an expert are gathered, multiplied with its rows as matrices, and
// what comes out is added to the tokens, experts in the order of their numbers: without padding, and the same on every run. Where the
// experts of a tile have few pairs each, its tokens are walked instead.
//
//===----------------------------------------------------------------------===//

#include "ExpertPanels.h"
#include "Kernels.h"
#include "Rows.h"

#include "lowering/emit/ExpertMath.h"
#include "lowering/emit/MixForm.h"

using namespace mlir;
using namespace peer;
using namespace peer::cpu;
using arith::CmpIPredicate;

template <typename OpTy>
static const char *reject(OpTy op) {
  if (const char *why = rejectGrouping(op))
    return why;
  for (Value buffer : op->getOperands())
    if (cast<MemRefType>(buffer.getType()).getRank() > 2 && !isDense(buffer, 0))
      return "indices, weights, coefficients or rows are not dense";
  return nullptr;
}

namespace {

/// What forward and backward have in common: a tile's pairs by expert, and scratch for some pairs and rows of one.
class ExpertWalk {
public:
  /// `gathered`: how many matrices of a row for each pair are wanted.
  ExpertWalk(LoopBuilder &b, const MixOperands &op, int64_t width, int64_t products, int64_t gathered);
  void free();

  /// Whether the experts touched have so many pairs each.
  Value haveEach(int64_t pairs) const {
    return b.cmp(CmpIPredicate::sge, sorted.pairs, b.mul(sorted.segments, b.i32(int32_t(pairs))));
  }
  /// For some pairs of an expert: the first row of the expert, the place of the first pair in the order, how many there are.
  void forEachChunk(llvm::function_ref<void(Value row, Value first, Value count)> body);
  /// For some rows of an expert: the number of the first one among the expert's, how many there are.
  void forEachPanel(llvm::function_ref<void(Value first, int64_t count)> body);

  Value pairAt(Value place) { return b.toIndex(b.load(order, {place})); }
  Value tokenOf(Value pair) { return b.div(pair, b.index(pairs)); }
  void gather(Value from, Value into, Value first, Value count) {
    gatherRows(b, from, into, order, first, count, pairs, width);
  }
  /// to[token of pair, :] += from[pair, :].
  void scatter(Value from, Value to, Value first, Value count);
  void clear(Value buffer, Value count) { fillZero(b, corner(b, buffer, count, b.getIndexAttr(depth)), width); }

  /// Rows as they are multiplied: those of the pool or, where it has no f32, a copy that lasts until the next one.
  Value rowsOf(Value row, int64_t count, int64_t f);
  /// products[f] = from * (vectors f of the rows)^T.
  void emitDots(Value from, Value pairs, Value row, int64_t rows, int64_t f);
  /// to += products[by] * (vectors f of the rows).
  void addRows(Value to, Value pairs, Value row, int64_t rows, int64_t f, int64_t by);

  LoopBuilder &b;
  const MixOperands &op;
  int64_t width, pairs, vectors, depth;
  Value idx, weights;
  Values products, gathered;

private:
  int64_t experts;
  Value order, ends, converted;
  SortedPairs sorted;
  Values buffers;
};
} // namespace

ExpertWalk::ExpertWalk(LoopBuilder &b, const MixOperands &op, int64_t width, int64_t products, int64_t gathered)
    : b(b), op(op), width(width), pairs(b.staticDim(op.idx, 1) * b.staticDim(op.idx, 2)),
      vectors(b.staticDim(op.pool, 1)), depth(b.staticDim(op.x, 1)), idx(flatten(b, op.idx)),
      weights(flatten(b, op.weights)), experts(b.staticDim(op.pool, 0) / op.rowsPerExpert) {
  order = b.heap({ShapedType::kDynamic}, b.getI32Type(), {b.mul(b.dim(op.idx, 0), b.index(pairs))});
  ends = b.heap({experts}, b.getI32Type());
  sorted = emitPairSort(b, op.idx, order, ends);
  auto scratch = [&](int64_t count, int64_t columns, Values &list) {
    for (int64_t i = 0; i < count; ++i) {
      list.push_back(b.heap({kPairsAtOnce, columns}, b.getF32Type()));
      buffers.push_back(list.back());
    }
  };
  scratch(products, rowsAtOnce(op.rowsPerExpert), this->products);
  scratch(gathered, depth, this->gathered);
  if (op.scales || !cast<MemRefType>(op.pool.getType()).getElementType().isF32()) {
    converted = b.heap({rowsAtOnce(op.rowsPerExpert), depth}, b.getF32Type());
    buffers.push_back(converted);
  }
  buffers.append({order, ends});
}

void ExpertWalk::free() {
  for (Value buffer : buffers)
    b.free(buffer);
}

void ExpertWalk::forEachChunk(llvm::function_ref<void(Value, Value, Value)> body) {
  b.loop(b.index(0), b.index(experts), {b.index(0)}, [&](Value expert, ValueRange carried) {
    Value end = b.toIndex(b.load(ends, {expert})), row = b.mul(expert, b.index(op.rowsPerExpert));
    b.loop(
        carried[0], end, [&](Value first) { body(row, first, b.min(b.sub(end, first), b.index(kPairsAtOnce))); },
        kPairsAtOnce);
    return Values{end};
  });
}

void ExpertWalk::forEachPanel(llvm::function_ref<void(Value, int64_t)> body) {
  int64_t whole = op.rowsPerExpert / kRowsAtOnce * kRowsAtOnce;
  if (whole > 0)
    b.loop(b.index(0), b.index(whole), [&](Value first) { body(first, kRowsAtOnce); }, kRowsAtOnce);
  if (op.rowsPerExpert > whole)
    body(b.index(whole), op.rowsPerExpert - whole);
}

void ExpertWalk::scatter(Value from, Value to, Value first, Value count) {
  b.loop(count, [&](Value i) {
    Value token = tokenOf(pairAt(b.add(first, i)));
    b.strips(b.index(depth), width, [&](Value at, int64_t lanes) {
      b.store(b.add(b.load(to, {token, at}, lanes), b.load(from, {i, at}, lanes)), to, {token, at});
    });
  });
}

Value ExpertWalk::rowsOf(Value row, int64_t count, int64_t f) {
  if (!converted)
    return vectorsOf(b, op.pool, row, b.getIndexAttr(count), f);
  StoredTable pool = op.table();
  b.loop(count, [&](Value j) {
    b.strips(b.index(depth), width, [&](Value d, int64_t lanes) {
      b.store(pool.loadScaled(b, {b.add(row, j), b.index(f)}, d, lanes), converted, {j, d});
    });
  });
  return corner(b, converted, b.getIndexAttr(count), b.getIndexAttr(depth));
}

void ExpertWalk::emitDots(Value from, Value pairs, Value row, int64_t rows, int64_t f) {
  b.sgemm(corner(b, from, pairs, b.getIndexAttr(depth)), false, rowsOf(row, rows, f), true,
          corner(b, products[f], pairs, b.getIndexAttr(rows)));
}

void ExpertWalk::addRows(Value to, Value pairs, Value row, int64_t rows, int64_t f, int64_t by) {
  b.sgemm(corner(b, products[by], pairs, b.getIndexAttr(rows)), false, rowsOf(row, rows, f), false,
          corner(b, to, pairs, b.getIndexAttr(depth)), /*beta=*/1);
}

//===----------------------------------------------------------------------===//
// mix
//===----------------------------------------------------------------------===//

static void emitByExpert(ExpertWalk &walk) {
  LoopBuilder &b = walk.b;
  const MixOperands &op = walk.op;
  int64_t last = walk.vectors - 1;
  Value y = walk.gathered[0], x = last > 0 ? walk.gathered[1] : Value();
  fillZero(b, op.y, walk.width);
  walk.forEachChunk([&](Value row, Value first, Value count) {
    if (x)
      walk.gather(op.x, x, first, count);
    walk.clear(y, count);
    walk.forEachPanel([&](Value of, int64_t rows) {
      Value at = b.add(row, of);
      for (int64_t f = 0; f < last; ++f)
        walk.emitDots(x, count, at, rows, f);
      b.loop(count, [&](Value i) {
        Value weight = b.load(walk.weights, {walk.pairAt(b.add(first, i))});
        b.strips(b.index(rows), walk.width, [&](Value j, int64_t lanes) {
          Values dots;
          for (int64_t f = 0; f < last; ++f)
            dots.push_back(b.load(walk.products[f], {i, j}, lanes));
          Value scale = emitMixScale(b, op.activation, b.splat(weight, b.floats(lanes)), dots);
          b.store(scale, walk.products[0], {i, j});
        });
      });
      walk.addRows(y, count, at, rows, last, /*by=*/0);
    });
    walk.scatter(y, op.y, first, count);
  });
}

template <typename OpTy>
static void emit(OpTy mix, LoopBuilder &b, const VectorOptions &options) {
  MixOperands op(mix);
  int64_t vectors = b.staticDim(op.pool, 1);
  ExpertWalk walk(b, op, options.width, /*products=*/std::max<int64_t>(1, vectors - 1),
                  /*gathered=*/vectors > 1 ? 2 : 1);
  b.ifThen(
      walk.haveEach(getGroupFrom(mix)), [&] { emitByExpert(walk); }, [&] { emitMixOfTokens(op, b, options.width); });
  walk.free();
}

//===----------------------------------------------------------------------===//
// mix_grad
//===----------------------------------------------------------------------===//

/// Coefficients of some rows, with dweights: in products[f] and where they belong.
static void emitCoefficients(ExpertWalk &walk, Value coef, Value dweights, Value first, Value count, Value of,
                             int64_t rows) {
  LoopBuilder &b = walk.b;
  b.loop(count, [&](Value i) {
    Value pair = walk.pairAt(b.add(first, i)), weight = b.load(walk.weights, {pair});
    Value ofWeight = b.sumStrips(b.index(rows), walk.width, [&](Value j, int64_t lanes) {
      Values dots = llvm::map_to_vector(walk.products, [&](Value dot) { return b.load(dot, {i, j}, lanes); });
      MixGradient gradient = emitMixGradient(b, walk.op.activation, b.splat(weight, b.floats(lanes)), dots);
      for (auto [value, product] : llvm::zip_equal(gradient.coefs, walk.products))
        b.store(value, product, {i, j});
      return gradient.ofWeight;
    });
    b.store(b.add(b.load(dweights, {pair}), ofWeight), dweights, {pair});
    Value base = b.mul(b.add(b.mul(pair, b.index(walk.op.rowsPerExpert)), of), b.index(walk.vectors));
    b.loop(rows, [&](Value j) {
      Value at = b.add(base, b.mul(j, b.index(walk.vectors)));
      for (auto [f, product] : llvm::enumerate(walk.products))
        b.store(b.load(product, {i, j}), coef, {b.add(at, b.index(int64_t(f)))});
    });
  });
}

static void emitGradByExpert(MixGradOp op, ExpertWalk &walk) {
  LoopBuilder &b = walk.b;
  int64_t last = walk.vectors - 1, numbers = walk.op.rowsPerExpert * walk.vectors;
  Value coef = flatten(b, op.getCoef()), dweights = flatten(b, op.getDweights());
  Value dy = walk.gathered[0], x, dx;
  if (last > 0)
    x = walk.gathered[1], dx = walk.gathered[2];
  fillZero(b, op.getDx(), walk.width);
  fillZero(b, dweights, walk.width);
  b.loop(b.dim(walk.idx, 0), [&](Value pair) {
    b.ifThen(b.cmp(CmpIPredicate::slt, b.load(walk.idx, {pair}), b.i32(0)), [&] {
      Value base = b.mul(pair, b.index(numbers));
      b.strips(b.index(numbers), walk.width,
               [&](Value at, int64_t lanes) { b.store(b.f32(0, b.floats(lanes)), coef, {b.add(base, at)}); });
    });
  });
  walk.forEachChunk([&](Value row, Value first, Value count) {
    walk.gather(op.getDy(), dy, first, count);
    if (x) {
      walk.gather(op.getX(), x, first, count);
      walk.clear(dx, count);
    }
    walk.forEachPanel([&](Value of, int64_t rows) {
      Value at = b.add(row, of);
      for (int64_t f = 0; f <= last; ++f)
        walk.emitDots(f == last ? dy : x, count, at, rows, f);
      emitCoefficients(walk, coef, dweights, first, count, of, rows);
      for (int64_t f = 0; f < last; ++f)
        walk.addRows(dx, count, at, rows, f, /*by=*/f);
    });
    if (dx)
      walk.scatter(dx, op.getDx(), first, count);
  });
}

static void emitMixGrad(MixGradOp op, LoopBuilder &b, const VectorOptions &options) {
  MixOperands operands(op);
  int64_t vectors = b.staticDim(op.getPool(), 1);
  ExpertWalk walk(b, operands, options.width, /*products=*/vectors, /*gathered=*/vectors > 1 ? 3 : 1);
  b.ifThen(
      walk.haveEach(getGroupFrom(op)), [&] { emitGradByExpert(op, walk); },
      [&] { emitMixGradOfTokens(op, b, options.width); });
  walk.free();
}

template <typename OpTy>
static void add(LoopEmitters &emitters, void (*emitter)(OpTy, LoopBuilder &, const VectorOptions &)) {
  emitters.vectors<OpTy>(
      {.emit = emitter, .reject = reject, .name = remarks::kProducts, .first = true, .why = [](OpTy op) {
         return describeGrouping(op);
       }});
}

void cpu::addGroupedMix(LoopEmitters &emitters) {
  add<MixOp>(emitters, emit);
  add<QuantizedMixOp>(emitters, emit);
  add<MixGradOp>(emitters, emitMixGrad);
}
