//===- SelectiveScan.cpp - selective scans and their gradients -----------===//
//
// Lanes are channels, which know nothing of each other: rows are read in order, and only the gradients of b and c sum over
// lanes. The way back needs the states of the way there; one of a chunk is kept, and a chunk's are made again from it.
//
//===----------------------------------------------------------------------===//

#include "SelectiveScan.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace peer;
using namespace peer::nn;

int64_t nn::chunkOf(int64_t context) {
  int64_t chunk = 16;
  while (chunk * chunk < context)
    chunk *= 2;
  return std::min(chunk, context);
}

ScanStrip::ScanStrip(LoopBuilder &b, ScanInputs in, Value at, int64_t lanes, int64_t from, int64_t count)
    : builder(b), in(in), at(at), lanes(lanes), from(from), count(count) {
  for (int64_t i = 0; i < count; ++i)
    a.push_back(b.load(in.a, {b.index(from + i), at}, lanes));
}

ScanStrip::Row ScanStrip::takeRow(Value t) {
  Value row = rowOf(t);
  Value x = builder.load(in.x, {row, at}, lanes), delta = builder.load(in.delta, {row, at}, lanes);
  return {x, delta, builder.mul(delta, x)};
}

Value ScanStrip::takeShared(Value rows, Value t, int64_t i) {
  return builder.splat(builder.load(rows, {rowOf(t), builder.index(from + i)}), builder.floats(lanes));
}

Value ScanStrip::decay(const Row &row, int64_t i) { return builder.exp(builder.mul(row.delta, a[i])); }

SmallVector<Value> ScanStrip::zeros() { return SmallVector<Value>(count, builder.f32(0, builder.floats(lanes))); }

SmallVector<Value> ScanStrip::walk(Value low, Value high, ValueRange states, Visit visit) {
  return builder.loop(low, high, states, [&](Value t, ValueRange before) {
    Row row = takeRow(t);
    SmallVector<Value> after;
    Value y = builder.f32(0, builder.floats(lanes));
    for (int64_t i = 0; i < count; ++i) {
      after.push_back(builder.fma(decay(row, i), before[i], builder.mul(row.u, takeShared(in.b, t, i))));
      y = builder.fma(takeShared(in.c, t, i), after.back(), y);
    }
    visit(t, before, y);
    if (before.size() > after.size())
      after.push_back(builder.add(before.back(), row.delta));
    return after;
  });
}

void ScanStrip::put(Value value, Value buffer, ValueRange where) {
  if (from > 0)
    value = builder.add(value, builder.load(buffer, where, lanes));
  builder.store(value, buffer, where);
}

SmallVector<Value> ScanStrip::emitRows(Value count, ValueRange states, Value y) {
  return walk(builder.index(0), count, states, [&](Value t, ValueRange, Value part) { put(part, y, {rowOf(t), at}); });
}

void ScanStrip::emitCached(Value start, Value count, Value state, Value y) {
  LoopBuilder &b = builder;
  Value begins = b.cmp(arith::CmpIPredicate::eq, start, b.index(0));
  SmallVector<Value> states = zeros();
  for (auto [i, value] : llvm::enumerate(states))
    value = b.select(begins, value, b.load(state, {b.index(from + i), at}, lanes));
  for (auto [i, value] : llvm::enumerate(emitRows(count, states, y)))
    b.store(value, state, {b.index(from + i), at});
}

SmallVector<Value> ScanStrip::emitEnd(Value count) {
  SmallVector<Value> begin = zeros();
  begin.push_back(builder.f32(0, builder.floats(lanes)));
  return walk(builder.index(0), count, begin, [](Value, ValueRange, Value) {});
}

SmallVector<Value> ScanStrip::emitGradEnd(Value dy, Value rows) {
  LoopBuilder &b = builder;
  return b.loop(b.index(0), rows, zeros(), [&](Value step, ValueRange before) {
    Value t = b.sub(b.sub(rows, step), b.index(1)), gradient = b.load(dy, {rowOf(t), at}, lanes);
    Row row = takeRow(t);
    SmallVector<Value> after;
    for (int64_t i = 0; i < count; ++i)
      after.push_back(b.mul(b.fma(takeShared(in.c, t, i), gradient, before[i]), decay(row, i)));
    return after;
  });
}

/// One chunk from its last row to its first. Carried are the gradients of the states behind it and the sums for a.
SmallVector<Value> ScanStrip::walkBack(Value dy, const ScanOutputs &out, const ScanStates &states, Value low,
                                       Value high, ValueRange carried, Sum sum, Guard guard) {
  LoopBuilder &b = builder;
  return b.loop(b.index(0), b.sub(high, low), carried, [&](Value step, ValueRange before) {
    Value inChunk = b.sub(b.sub(b.sub(high, low), step), b.index(1)), t = b.add(low, inChunk), place = rowOf(t);
    Row row = takeRow(t);
    Value gradient = b.load(dy, {place, at}, lanes), zero = b.f32(0, b.floats(lanes)), du = zero, along = zero;
    SmallVector<Value> gradients, sums;
    for (int64_t i = 0; i < count; ++i) {
      Value power = decay(row, i), earlier = b.load(states.chunk, {inChunk, b.index(i), states.slot}, lanes);
      Value input = takeShared(in.b, t, i), state = b.fma(power, earlier, b.mul(row.u, input));
      Value g = b.fma(takeShared(in.c, t, i), gradient, before[i]);
      SmallVector<Value> element = {place, out.group, b.index(from + i)};
      sum(b.mul(gradient, state), out.dc, element);
      sum(b.mul(g, row.u), out.db, element);
      du = b.fma(g, input, du);
      gradients.push_back(b.mul(g, power));
      Value ofPower = b.mul(gradients.back(), earlier);
      along = b.fma(ofPower, a[i], along);
      sums.push_back(b.fma(ofPower, row.delta, before[count + i]));
    }
    guard([&] {
      put(b.mul(du, row.delta), out.dx, {place, at});
      put(b.fma(du, row.x, along), out.ddelta, {place, at});
    });
    gradients.append(sums);
    return gradients;
  });
}

static void keep(LoopBuilder &b, Value buffer, Value step, Value slot, ValueRange values) {
  for (auto [i, value] : llvm::enumerate(values))
    b.store(value, buffer, {step, b.index(i), slot});
}

SmallVector<Value> ScanStrip::emitChunkGrad(Value dy, const ScanOutputs &out, const ScanStates &states, Value low,
                                            Value high, ValueRange first, ValueRange carried, Sum sum, Guard guard) {
  walk(low, high, first,
       [&](Value t, ValueRange now, Value) { keep(builder, states.chunk, builder.sub(t, low), states.slot, now); });
  return walkBack(dy, out, states, low, high, carried, sum, guard);
}

void ScanStrip::putGradOfA(ValueRange sums, const ScanOutputs &out) {
  for (auto [i, value] : llvm::enumerate(sums))
    builder.store(value, out.da, {out.sequence, builder.index(from + i), at});
}

void ScanStrip::emitGrad(Value dy, const ScanOutputs &out, const ScanStates &states, int64_t context, int64_t chunk,
                         Sum sum, Guard guard) {
  LoopBuilder &b = builder;
  Value size = b.index(chunk), end = b.index(context), zero = b.index(0);
  int64_t chunks = llvm::divideCeil(context, chunk);
  auto endOf = [&](Value low) { return context % chunk == 0 ? b.add(low, size) : b.min(b.add(low, size), end); };
  auto nothing = [](Value, ValueRange, Value) {};
  b.loop(zero, b.index(chunks), zeros(), [&](Value number, ValueRange before) {
    keep(b, states.kept, number, states.slot, before);
    Value low = b.mul(number, size);
    return walk(low, endOf(low), before, nothing);
  });
  SmallVector<Value> carried = zeros();
  carried.append(zeros());
  SmallVector<Value> last = b.loop(zero, b.index(chunks), carried, [&](Value step, ValueRange before) {
    Value number = b.sub(b.index(chunks - 1), step), low = b.mul(number, size), high = endOf(low);
    SmallVector<Value> first;
    for (int64_t i = 0; i < count; ++i)
      first.push_back(b.load(states.kept, {number, b.index(i), states.slot}, lanes));
    return emitChunkGrad(dy, out, states, low, high, first, before, sum, guard);
  });
  guard([&] { putGradOfA(ArrayRef(last).drop_front(count), out); });
}

//===----------------------------------------------------------------------===//
// Loops
//===----------------------------------------------------------------------===//

static void emit(LoopBuilder &b, SelectiveScanOp op, int64_t width) {
  Value size = b.index(op.getContextLength());
  forSequences(b, op.getX(), op.getContextLength(), [&](Value first, Value) {
    ScanInputs in{op.getX(), op.getDelta(), op.getA(), op.getB(), op.getC(), first};
    b.strips(b.dim(op.getX(), 1), width, [&](Value at, int64_t lanes) {
      forStateParts(b.staticDim(op.getA(), 0), [&](int64_t from, int64_t count) {
        ScanStrip(b, in, at, lanes, from, count).emitSequence(size, op.getY());
      });
    });
  });
}

static void emit(LoopBuilder &b, SelectiveScanGradOp op, int64_t width) {
  int64_t context = op.getContextLength(), chunk = chunkOf(context), channels = op.getChannels();
  int64_t states = std::min(b.staticDim(op.getA(), 0), kStripStates);
  Value kept = b.heap({int64_t(llvm::divideCeil(context, chunk)), states, width}, b.getF32Type());
  Value ofChunk = b.heap({chunk, states, width}, b.getF32Type());
  Value size = b.index(context), zero = b.index(0);
  forSequences(b, op.getX(), context, [&](Value first, Value sequence) {
    ScanInputs in{op.getX(), op.getDelta(), op.getA(), op.getB(), op.getC(), first};
    b.loop(b.dim(op.getDb(), 1), [&](Value group) {
      for (Value buffer : {op.getDb(), op.getDc()})
        b.loop(size, [&](Value t) {
          b.strips(b.dim(op.getA(), 0), width, [&](Value n, int64_t lanes) {
            b.store(b.f32(0, b.floats(lanes)), buffer, {b.add(in.first, t), group, n});
          });
        });
      ScanOutputs out{op.getDx(), op.getDdelta(), op.getDa(), op.getDb(), op.getDc(), sequence, group};
      b.strips(b.index(channels), width, [&](Value offset, int64_t lanes) {
        Value at = b.add(b.mul(group, b.index(channels)), offset);
        forStateParts(b.staticDim(op.getA(), 0), [&](int64_t from, int64_t count) {
          ScanStrip(b, in, at, lanes, from, count)
              .emitGrad(
                  op.getDy(), out, {kept, ofChunk, zero}, context, chunk,
                  [&](Value share, Value buffer, ValueRange where) {
                    b.store(b.add(b.sumLanes(share), b.load(buffer, where)), buffer, where);
                  },
                  [](llvm::function_ref<void()> body) { body(); });
        });
      });
    });
  });
  b.free(ofChunk);
  b.free(kept);
}

static void emit(LoopBuilder &b, CachedSelectiveScanOp op, int64_t width) {
  Value start = b.toIndex(b.load(op.getPosition(), {})), tokens = b.dim(op.getX(), 0);
  ScanInputs in{op.getX(), op.getDelta(), op.getA(), op.getB(), op.getC(), b.index(0)};
  b.strips(b.dim(op.getX(), 1), width, [&](Value at, int64_t lanes) {
    forStateParts(b.staticDim(op.getA(), 0), [&](int64_t from, int64_t count) {
      ScanStrip(b, in, at, lanes, from, count).emitCached(start, tokens, op.getState(), op.getY());
    });
  });
}

void nn::addSelectiveScan(LoopEmitters &emitters) {
  emitters.everyWidth<SelectiveScanOp>(
      {.emit = emit, .tileSizes = [](SelectiveScanOp) { return tile({{"s", 1}, {"d", 32}}); }});
  emitters.everyWidth<SelectiveScanGradOp>(
      {.emit = emit, .tileSizes = [](SelectiveScanGradOp) { return tile({{"s", 1}, {"g", 1}}); }});
  emitters.everyWidth<CachedSelectiveScanOp>({.emit = emit});
}
