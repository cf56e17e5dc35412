//===- RouteGrad.cpp - gradients of score, select and gate ---------------===//

#include "RouteKeyGrad.h"
#include "lowering/emit/ExpertMath.h"
#include "lowering/gpu/Emitters.h"
#include "lowering/gpu/block/LaneRows.h"
#include "lowering/gpu/block/Scan.h"

using namespace mlir;
using namespace peer;
using namespace peer::device;
using arith::CmpIPredicate;

//===----------------------------------------------------------------------===//
// gate_grad
//===----------------------------------------------------------------------===//

static const char *rejectGateGrad(GateGradOp op) {
  for (Value buffer : {op.getVal(), op.getWeights(), op.getDweights(), op.getDval()})
    if (!isDense(buffer, 0))
      return "values are not dense";
  return nullptr;
}

/// Lanes side by side share a row of K, as many as K fills; each has every so manieth element.
static void emitGateGrad(GateGradOp op, LoopBuilder &host) {
  Value dval = op.getDval();
  int64_t selected = host.staticDim(dval, 2), lanes = std::min<int64_t>(kWarpSize, llvm::PowerOf2Ceil(selected));
  int64_t elements = llvm::divideCeil(selected, lanes), rowsPerBlock = kThreads / lanes;
  Value rows = host.mul(host.dim(dval, 0), host.dim(dval, 1));
  emitLaunch(host, host.ceilDiv(rows, rowsPerBlock), kThreads, [&](BlockBuilder &b, Value block) {
    Value weights = flatten(b, op.getWeights()), dweights = flatten(b, op.getDweights());
    Value lane = b.rem(b.thread(), b.index(lanes)), zero = b.f32(0);
    Value row = b.add(b.mul(block, b.index(rowsPerBlock)), b.div(b.thread(), b.index(lanes)));
    Value inRows = b.cmp(CmpIPredicate::slt, row, rows), start = b.mul(row, b.index(selected));
    Values at, inside, w, dw;
    for (int64_t i = 0; i < elements; ++i) {
      Value k = b.add(lane, b.index(i * lanes));
      inside.push_back(both(b, inRows, b.cmp(CmpIPredicate::slt, k, b.index(selected))));
      // No lane stays away: the sum needs all of them.
      at.push_back(b.select(inside[i], b.add(start, k), b.index(0)));
      w.push_back(b.load(weights, {at[i]}));
      dw.push_back(b.load(dweights, {at[i]}));
    }
    Value mean = zero;
    if (op.getKind() == GateKind::Softmax) {
      for (int64_t i = 0; i < elements; ++i)
        mean = b.add(mean, b.select(inside[i], b.mul(w[i], dw[i]), zero));
      for (int64_t mask = lanes / 2; mask > 0; mask /= 2)
        mean = b.add(mean, b.shuffleXor(mean, mask));
    }
    Value out = flatten(b, dval);
    for (int64_t i = 0; i < elements; ++i) {
      Value result = emitGateGradient(b, op.getKind(), w[i], dw[i], mean,
                                      [&] { return b.load(flatten(b, op.getVal()), {at[i]}); });
      b.onEachThread([&] { b.ifThen(inside[i], [&] { b.store(result, out, at[i]); }); });
    }
  });
}

//===----------------------------------------------------------------------===//
// route_query_grad
//===----------------------------------------------------------------------===//

static const char *rejectRouteQueryGrad(RouteQueryGradOp op) {
  if (!isDense(op.getIdx(), 0) || !isDense(op.getDval(), 0))
    return "indices or gradients are not dense";
  return isPlain(op.getKeys()) && isPlain(op.getDquery()) ? nullptr : "rows may lie at odd addresses";
}

/// A warp per token, head, half and slice of the width: it adds the selected keys up in registers.
static void emitRouteQueryGrad(RouteQueryGradOp op, LoopBuilder &host) {
  Value keys = op.getKeys(), dquery = op.getDquery();
  Type element = cast<MemRefType>(keys.getType()).getElementType();
  RowLayout layout = RowLayout::choose(host.staticDim(keys, 3), element, kMostOfRoute);
  int64_t heads = host.staticDim(dquery, 1), halves = host.staticDim(dquery, 2), n = host.staticDim(keys, 2);
  int64_t selected = host.staticDim(op.getIdx(), 2), warps = kThreads / kWarpSize;
  Value units = host.mul(host.dim(dquery, 0), host.index(heads * halves * layout.warps));
  emitLaunch(host, host.ceilDiv(units, warps), kThreads, [&](BlockBuilder &b, Value block) {
    Value idx = flatten(b, op.getIdx()), dval = flatten(b, op.getDval());
    Value unit = b.add(b.mul(block, b.index(warps)), b.warp());
    b.ifThen(b.cmp(CmpIPredicate::slt, unit, units), [&] {
      Value slice = b.rem(unit, b.index(layout.warps)), rest = b.div(unit, b.index(layout.warps));
      Value half = b.rem(rest, b.index(halves)), query = b.div(rest, b.index(halves));
      Value token = b.div(query, b.index(heads)), head = b.rem(query, b.index(heads));
      Value keyHead = host.staticDim(keys, 0) == 1 ? b.index(0) : head;
      LaneRow row(b, layout, layout.warps > 1 ? slice : Value());
      Values sums = b.loop(
          b.index(0), b.index(selected), row.zeros(),
          [&](Value first, ValueRange carried) {
            Value k = b.add(first, b.lane()), inside = b.cmp(CmpIPredicate::slt, k, b.index(selected));
            Value pair = b.add(b.mul(query, b.index(selected)), b.select(inside, k, first));
            Value expert = b.load(idx, {pair}), scale = b.load(dval, {pair});
            Value key = emitKeyOf(b, expert, half, halves, n);
            Value mask = b.ballot(both(b, inside, b.cmp(CmpIPredicate::sge, expert, b.i32(0))));
            return addListedRows(b, row, mask, carried, scale, keys, [&](Value position) {
              return Values{keyHead, half, b.toIndex(b.shuffle(key, position))};
            });
          },
          kWarpSize);
      row.store(sums, dquery, {token, head, half});
    });
  });
}

Values device::addListedRows(BlockBuilder &b, const LaneRow &row, Value mask, ValueRange sums, Value listedScale,
                             Value buffer, llvm::function_ref<Values(Value position)> rowAt) {
  constexpr int64_t kRowsAtOnce = 4;
  return forSetBits(b, mask, kRowsAtOnce, sums, [&](ArrayRef<Value> positions, ValueRange carried) {
    SmallVector<Values> loaded;
    for (Value position : positions)
      loaded.push_back(row.load(buffer, rowAt(position)));
    Values next(carried);
    for (auto [position, values] : llvm::zip(positions, loaded))
      next = row.addScaled(next, b.shuffle(listedScale, position), values);
    return next;
  });
}

void device::addRouteGrad(Emitters &emitters) {
  emitters.grid<GateGradOp>({.emit = emitGateGrad, .reject = rejectGateGrad});
  emitters.grid<RouteQueryGradOp>({.emit = emitRouteQueryGrad, .reject = rejectRouteQueryGrad});
}
