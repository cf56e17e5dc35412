//===- RouteGrad.cpp - gradients through the selected scores -------------===//

#include "Kernels.h"
#include "Rows.h"

#include "lowering/emit/ExpertMath.h"

using namespace mlir;
using namespace peer;
using namespace peer::cpu;
using arith::CmpIPredicate;

static void emitSelectGrad(SelectGradOp op, LoopBuilder &b, const VectorOptions &options) {
  Value idx = op.getIdx(), dlogits = op.getDlogits();
  int64_t halves = b.staticDim(dlogits, 2);
  fillZero(b, dlogits, options.width);
  nest(b, dims(b, idx, 3), [&](ArrayRef<Value> at) {
    Value expert = b.load(idx, at);
    b.ifThen(b.cmp(CmpIPredicate::sge, expert, b.i32(0)), [&] {
      for (int64_t p = 0; p < halves; ++p) {
        Values to{at[0], at[1], b.index(p), emitKeyOf(b, b.toIndex(expert), p, halves, op.getN())};
        b.store(b.add(b.load(dlogits, to), b.load(op.getDval(), at)), dlogits, to);
      }
    });
  });
}

static void emitRouteQueryGrad(RouteQueryGradOp op, LoopBuilder &b, const VectorOptions &options) {
  Value idx = op.getIdx(), keys = op.getKeys(), dquery = op.getDquery();
  int64_t selected = b.staticDim(idx, 2), halves = b.staticDim(keys, 1), n = b.staticDim(keys, 2);
  // The selections of one head, without the empty ones.
  Value experts = b.stack({selected}, b.getIndexType()), scales = b.stack({selected}, b.getF32Type());
  nest(b, dims(b, idx, 2), [&](ArrayRef<Value> th) {
    Value listed = b.loop(b.index(0), b.index(selected), {b.index(0)}, [&](Value k, ValueRange carried) {
      Value expert = b.load(idx, {th[0], th[1], k});
      b.store(b.toIndex(expert), experts, {carried[0]});
      b.store(b.load(op.getDval(), {th[0], th[1], k}), scales, {carried[0]});
      Value valid = b.cmp(CmpIPredicate::sge, expert, b.i32(0));
      return Values{b.add(carried[0], b.select(valid, b.index(1), b.index(0)))};
    })[0];
    Value head = b.staticDim(keys, 0) == 1 ? b.index(0) : th[1];
    for (int64_t p = 0; p < halves; ++p)
      forEachBlock(b, b.staticDim(keys, 3), options.width, [&](ArrayRef<Strip> strips) {
        Values sums = sumRows(b, b.index(0), listed, strips, zeros(b, strips), [&](Value i, auto add) {
          Value key = emitKeyOf(b, b.load(experts, {i}), p, halves, n);
          add(b.load(scales, {i}),
              [&](const Strip &s) { return b.load(keys, {head, b.index(p), key, s.at}, s.lanes); });
        });
        for (auto [sum, strip] : llvm::zip(sums, strips))
          b.store(sum, dquery, {th[0], th[1], b.index(p), strip.at});
      });
  });
}

/// Tokens between a prefetch of a query and its use.
static constexpr int64_t kTokensAhead = 4;

static void emitRouteKeyGrad(RouteKeyGradOp op, LoopBuilder &b, const VectorOptions &options) {
  Value idx = op.getIdx(), query = op.getQuery(), dkeys = op.getDkeys();
  int64_t halves = b.staticDim(query, 2);
  fillZero(b, dkeys, options.width);
  auto addSelections = [&](Value t, Value h) {
    Value head = op.getShared() ? b.index(0) : h;
    // A head's queries lie too far apart for the hardware to foresee the next one.
    Value later = b.min(b.add(t, b.index(kTokensAhead)), b.sub(b.dim(idx, 0), b.index(1)));
    b.prefetch(idx, {later, h, b.index(0)});
    b.prefetch(op.getDval(), {later, h, b.index(0)});
    for (int64_t p = 0; p < halves; ++p)
      for (int64_t at = 0; at < b.staticDim(query, 3); at += elementsOfLine(query))
        b.prefetch(query, {later, h, b.index(p), b.index(at)});
    b.loop(b.dim(idx, 2), [&](Value k) {
      Value expert = b.load(idx, {t, h, k});
      b.ifThen(b.cmp(CmpIPredicate::sge, expert, b.i32(0)), [&] {
        Value gradient = b.load(op.getDval(), {t, h, k});
        for (int64_t p = 0; p < halves; ++p) {
          Value half = b.index(p), key = emitKeyOf(b, b.toIndex(expert), p, halves, op.getN());
          b.strips(b.dim(query, 3), options.width, [&](Value at, int64_t lanes) {
            Value old = b.load(dkeys, {head, half, key, at}, lanes);
            Value row = b.load(query, {t, h, half, at}, lanes);
            b.store(b.fma(b.splat(gradient, row.getType()), row, old), dkeys, {head, half, key, at});
          });
        }
      });
    });
  };
  Value tokens = b.dim(idx, 0), heads = b.dim(idx, 1);
  // A head's keys stay in cache while its tokens pass; either order adds to a key in the order of t.
  if (op.getShared())
    return b.loop(tokens, [&](Value t) { b.loop(heads, [&](Value h) { addSelections(t, h); }); });
  b.loop(heads, [&](Value h) { b.loop(tokens, [&](Value t) { addSelections(t, h); }); });
}

void cpu::addRouteGrad(LoopEmitters &emitters) {
  emitters.vectors<SelectGradOp>(
      {.emit = emitSelectGrad, .tileSizes = [](SelectGradOp) { return tile({{"t", 16}, {"h", 1}}); }});
  emitters.vectors<RouteQueryGradOp>(
      {.emit = emitRouteQueryGrad, .tileSizes = [](RouteQueryGradOp) { return tile({{"t", 16}}); }});
  emitters.vectors<RouteKeyGradOp>({.emit = emitRouteKeyGrad, .tileSizes = [](RouteKeyGradOp op) {
                                      return op.getShared() ? tile({{"d", 32}}) : tile({{"h", 1}});
                                    }});
}
