//===- ScoreGrad.cpp - dense gradients of score and select ---------------===//
//
// Used where every key is selected (`all`), so with few keys. Each number is the sum of one thread, or of a warp's lanes in
// a fixed order.
//
//===----------------------------------------------------------------------===//

#include "Route.h"
#include "Select.h"

#include "lowering/emit/ExpertMath.h"
#include "lowering/emit/RoutingBuilder.h"

using namespace mlir;
using namespace peer;
using namespace peer::device;
using arith::CmpIPredicate;

/// The position with number `flat` (row-major) in a buffer of rank 4.
static Values positionOf(LoopBuilder &b, Value flat, Value buffer) {
  Values at(4);
  for (int64_t i = 3; i > 0; --i) {
    Value size = b.dim(buffer, i);
    at[i] = b.rem(flat, size);
    flat = b.div(flat, size);
  }
  at[0] = flat;
  return at;
}

static Value elementsOf(LoopBuilder &b, Value buffer, int64_t from = 0) {
  Value count = b.index(1);
  for (int64_t i = from; i < 4; ++i)
    count = b.mul(count, b.dim(buffer, i));
  return count;
}

/// Zeros, then each selected entry once: by the first selection that takes part in it, for all that do.
static void emitSelectGrad(SelectGradOp op, BlockBuilder &b) {
  Value idx = op.getIdx(), dval = op.getDval(), dlogits = op.getDlogits(), zero = b.f32(0);
  int64_t halves = op.getPolicy().getHalves(), n = op.getN();
  b.forThreads(elementsOf(b, dlogits), [&](Value flat) { b.store(zero, dlogits, positionOf(b, flat, dlogits)); });
  b.barrier();
  Value heads = b.dim(idx, 1), selected = b.dim(idx, 2);
  b.forWarps(b.mul(b.dim(idx, 0), heads), [&](Value row) {
    Value token = b.div(row, heads), head = b.rem(row, heads);
    auto expertAt = [&](Value k) { return b.load(idx, {token, head, k}); };
    b.forLanes(selected, [&](Value k) {
      Value expert = expertAt(k);
      b.ifThen(b.cmp(CmpIPredicate::sge, expert, b.i32(0)), [&] {
        for (int64_t p = 0; p < halves; ++p) {
          Value key = emitKeyOf(b, expert, p, halves, n);
          Value earlier = b.i32(0);
          Values sums = b.loop(b.index(0), selected, {zero, earlier}, [&](Value j, ValueRange carried) {
            Value other = expertAt(j);
            Value same = both(b, b.cmp(CmpIPredicate::sge, other, b.i32(0)),
                              b.cmp(CmpIPredicate::eq, emitKeyOf(b, other, p, halves, n), key));
            Value before = both(b, same, b.cmp(CmpIPredicate::ult, j, k));
            Value term = b.select(same, b.load(dval, {token, head, j}), zero);
            return Values{b.add(carried[0], term), b.select(before, b.i32(1), carried[1])};
          });
          b.ifThen(b.cmp(CmpIPredicate::eq, sums[1], b.i32(0)),
                   [&] { b.store(sums[0], dlogits, {token, head, b.index(p), b.toIndex(key)}); });
        }
      });
    });
  });
}

static Value keyHead(LoopBuilder &b, Value keys, Value head) { return b.staticDim(keys, 0) == 1 ? b.index(0) : head; }

/// A thread per element of dquery: neighbours read neighbouring elements of a key.
static void emitScoreQueryGrad(ScoreQueryGradOp op, BlockBuilder &b) {
  Value dlogits = op.getDlogits(), keys = op.getKeys(), dquery = op.getDquery();
  b.forThreads(elementsOf(b, dquery), [&](Value flat) {
    Values at = positionOf(b, flat, dquery);
    Value head = keyHead(b, keys, at[1]);
    Value total = b.loop(b.index(0), b.dim(keys, 2), b.f32(0), [&](Value j, ValueRange carried) {
      Value g = b.load(dlogits, {at[0], at[1], at[2], j}), key = b.load(keys, {head, at[2], j, at[3]});
      return Values{b.fma(g, key, carried[0])};
    })[0];
    b.store(total, dquery, at);
  });
}

/// A block for 32 neighbouring elements of dkeys: each warp sums its part of the tokens, then the parts are added in order.
static void emitScoreKeyGrad(ScoreKeyGradOp op, LoopBuilder &host) {
  Value dlogits = op.getDlogits(), query = op.getQuery(), dkeys = op.getDkeys();
  Value elements = elementsOf(host, dkeys);
  Value blocks = host.ceilDiv(elements, kWarpSize);
  emitLaunch(host, blocks, kThreads, [&](BlockBuilder &b, Value block) {
    Value parts = b.shared({b.warps(), kWarpSize}, b.getF32Type()), lane = b.lane(), warp = b.warp();
    Value flat = b.add(b.mul(block, b.index(kWarpSize)), lane), count = elementsOf(b, dkeys);
    Value present = b.cmp(CmpIPredicate::ult, flat, count);
    Values at = positionOf(b, b.select(present, flat, b.index(0)), dkeys);
    Value tokens = b.dim(dlogits, 0), heads = b.dim(dlogits, 1);
    Value firstHead = op.getShared() ? b.index(0) : at[0];
    Value lastHead = op.getShared() ? heads : b.add(at[0], b.index(1));
    Value share = b.ceilDiv(tokens, b.warps());
    Value first = b.min(b.mul(warp, share), tokens), last = b.min(b.add(first, share), tokens);
    Value total = b.loop(firstHead, lastHead, b.f32(0), [&](Value head, ValueRange outer) {
      return b.loop(first, last, outer, [&](Value t, ValueRange carried) {
        Value g = b.load(dlogits, {t, head, at[1], at[2]}), q = b.load(query, {t, head, at[1], at[3]});
        return Values{b.fma(g, q, carried[0])};
      });
    })[0];
    b.onEachThread([&] { b.store(total, parts, {warp, lane}); });
    b.barrier();
    b.onEachThread([&] {
      b.ifThen(both(b, present, b.cmp(CmpIPredicate::eq, warp, b.index(0))), [&] {
        Value sum = b.load(parts, {b.index(0), lane});
        for (int64_t w = 1; w < b.warps(); ++w)
          sum = b.add(sum, b.load(parts, {b.index(w), lane}));
        b.store(sum, dkeys, at);
      });
    });
  });
}

template <typename OpTy>
static std::optional<TileSizes> gradTiles(OpTy) {
  return tile({{"t", 16}, {"h", 1}});
}

void device::addScoreGrad(Emitters &emitters) {
  emitters.block<SelectGradOp>({.emit = emitSelectGrad, .tileSizes = gradTiles<SelectGradOp>});
  emitters.block<ScoreQueryGradOp>({.emit = emitScoreQueryGrad, .tileSizes = gradTiles<ScoreQueryGradOp>});
  emitters.grid<ScoreKeyGradOp>({.emit = emitScoreKeyGrad});
}
