//===- CachedAttention.cpp - attention over a ring of keys and values ----===//
//
// The position is on the device, so grids are made for full caches: blocks beyond the keys that are there end at once.
//
//===----------------------------------------------------------------------===//

#include "Attention.h"

#include <cmath>

using namespace mlir;
using namespace peer;
using namespace peer::device;
using arith::CmpIPredicate;

/// Keys that a block decodes with; a longer cache is shared by several blocks for each head.
static constexpr int64_t kChunk = 128;
/// Rows that a warp has under way.
static constexpr int64_t kRowsInFlight = 8;
/// Blocks at once whose registers have room for those rows.
static constexpr int64_t kDecodeBlocks = 2;
static constexpr int64_t kWarps = kThreads / kWarpSize;
static constexpr double kLowest = -3.0e38;

namespace {
/// One token: a block has the keys [first, first + kChunk) of those that a head sees, which are rows of the cache from 0 on, or
/// from that of the window's first key on, around the ring.
class Decode {
public:
  Decode(BlockBuilder &b, CachedAttentionOp op, HeadWidth head, Value parts)
      : b(b), op(op), head(head), capacity(capacityOf(op)), parts(parts) {
    start = b.toIndex(b.load(op.getPosition(), {}));
    Value end = b.add(start, b.index(1));
    seen = b.min(end, b.index(reachOf(op)));
    if (op.getWindow())
      ring = b.rem(b.sub(end, seen), b.index(capacity));
  }

  static int64_t capacityOf(CachedAttentionOp op) { return dimOf(op.getKeyCache(), 0); }
  /// Keys that a token sees at most.
  static int64_t reachOf(CachedAttentionOp op) { return op.getWindow().value_or(capacityOf(op)); }

  void emitChunk(Value headNumber, Value chunk);
  void emitCombine(Value headNumber);

private:
  /// Elements of a row that a lane has.
  int64_t perLane() const { return llvm::divideCeil(head.width, kWarpSize); }
  /// Element `i` of the lane, if the row has it.
  Value inLane(int64_t i) { return b.add(b.lane(), b.index(i * kWarpSize)); }
  SmallVector<Value> loadRow(Value buffer, Value row, Value column);
  /// The row of the cache that has this one of the keys.
  Value rowOf(Value key) {
    if (!ring)
      return key;
    Value row = b.add(ring, key), end = b.index(capacity);
    return b.select(b.cmp(CmpIPredicate::ult, row, end), row, b.sub(row, end));
  }
  int64_t chunks() { return llvm::divideCeil(reachOf(op), kChunk); }
  Value emitScores(Value scores, Value first, Value count);
  void emitOutput(Value scores, Value first, Value count, Value chunk, Value highest);
  /// Numbers of kRowsInFlight keys, and whether they are below `count`; those that are not are key 0.
  SmallVector<std::pair<Value, Value>> keysFrom(Value group, Value count);

  BlockBuilder &b;
  CachedAttentionOp op;
  HeadWidth head;
  int64_t capacity;
  Value parts; // heads * chunks x (width + 2): output, not yet divided by the sum; sum; maximum. Null: one chunk
  Value start, seen, column, keyColumn;
  Value ring; // the row of the window's first key
};
} // namespace

/// A row of the head, spread over the lanes; zero where it has no more elements.
SmallVector<Value> Decode::loadRow(Value buffer, Value row, Value column) {
  SmallVector<Value> elements;
  for (int64_t i = 0; i < perLane(); ++i) {
    Value at = inLane(i);
    if (head.width >= (i + 1) * kWarpSize) {
      elements.push_back(b.load(buffer, {row, b.add(column, at)}));
      continue;
    }
    Value inside = b.cmp(CmpIPredicate::ult, at, b.index(head.width));
    Value loaded = b.load(buffer, {row, b.add(column, b.select(inside, at, b.index(0)))});
    elements.push_back(b.select(inside, loaded, b.f32(0)));
  }
  return elements;
}

SmallVector<std::pair<Value, Value>> Decode::keysFrom(Value group, Value count) {
  SmallVector<std::pair<Value, Value>> keys;
  for (int64_t i = 0; i < kRowsInFlight; ++i) {
    Value j = b.add(b.mul(group, b.index(kRowsInFlight)), b.index(i));
    Value inside = b.cmp(CmpIPredicate::ult, j, count);
    keys.push_back({b.select(inside, j, b.index(0)), inside});
  }
  return keys;
}

/// scores[j] of the chunk's keys; the result is the highest.
Value Decode::emitScores(Value scores, Value first, Value count) {
  SmallVector<Value> query = loadRow(op.getQuery(), b.index(0), column);
  Value scale = b.f32(1 / std::sqrt(double(head.width)));
  b.forWarps(b.ceilDiv(count, kRowsInFlight), [&](Value group) {
    auto keys = keysFrom(group, count);
    SmallVector<SmallVector<Value>> rows;
    for (auto [j, inside] : keys)
      rows.push_back(loadRow(op.getKeyCache(), rowOf(b.add(first, j)), keyColumn));
    for (auto [key, row] : llvm::zip(keys, rows)) {
      Value dot = b.f32(0);
      for (auto [q, k] : llvm::zip(query, row))
        dot = b.fma(q, k, dot);
      Value score = b.mul(b.warpSum(dot), scale), j = key.first;
      b.ifThen(key.second, [&] { b.store(score, scores, j); });
    }
  });
  b.barrier();
  b.noteBlocks(kDecodeBlocks);
  Value highest = b.loop(
      b.lane(), count, b.f32(kLowest),
      [&](Value j, ValueRange carried) { return SmallVector<Value>{b.max(carried[0], b.load(scores, j))}; },
      kWarpSize)[0];
  return b.warpMax(highest);
}

void Decode::emitOutput(Value scores, Value first, Value count, Value chunk, Value highest) {
  Value outputs = b.shared({kWarps, head.width}, b.getF32Type()), sums = b.shared({kWarps}, b.getF32Type());
  SmallVector<Value> init(perLane() + 1, b.f32(0));
  auto sum = b.loop(
      b.warp(), b.ceilDiv(count, kRowsInFlight), init,
      [&](Value group, ValueRange carried) {
        auto keys = keysFrom(group, count);
        SmallVector<SmallVector<Value>> rows;
        for (auto [j, inside] : keys)
          rows.push_back(loadRow(op.getValueCache(), rowOf(b.add(first, j)), keyColumn));
        SmallVector<Value> next(carried);
        for (auto [key, row] : llvm::zip(keys, rows)) {
          Value p = b.select(key.second, b.exp(b.sub(b.load(scores, key.first), highest)), b.f32(0));
          for (auto [v, sum] : llvm::zip(row, next))
            sum = b.fma(p, v, sum);
          next.back() = b.add(next.back(), p);
        }
        return next;
      },
      kWarps);
  Value warp = b.warp();
  b.onEachThread([&] {
    for (int64_t i = 0; i < perLane(); ++i)
      b.ifThen(b.cmp(CmpIPredicate::ult, inLane(i), b.index(head.width)),
               [&] { b.store(sum[i], outputs, {warp, inLane(i)}); });
    b.ifThen(b.cmp(CmpIPredicate::eq, b.lane(), b.index(0)), [&] { b.store(sum.back(), sums, warp); });
  });
  b.barrier();
  Value total = b.load(sums, b.index(0));
  for (int64_t w = 1; w < kWarps; ++w)
    total = b.add(total, b.load(sums, b.index(w)));
  b.forThreads(b.index(head.width), [&](Value c) {
    Value v = b.load(outputs, {b.index(0), c});
    for (int64_t w = 1; w < kWarps; ++w)
      v = b.add(v, b.load(outputs, {b.index(w), c}));
    if (parts)
      b.store(v, parts, {chunk, c});
    else
      b.store(b.div(v, total), op.getY(), {b.index(0), b.add(column, c)});
  });
  if (parts) {
    b.store(total, parts, {chunk, b.index(head.width)});
    b.store(highest, parts, {chunk, b.index(head.width + 1)});
  }
}

void Decode::emitChunk(Value headNumber, Value chunk) {
  int64_t group = groupOf(op.getQuery(), op.getKey());
  column = keyColumn = b.mul(headNumber, b.index(head.width));
  if (group > 1)
    keyColumn = b.mul(b.div(headNumber, b.index(group)), b.index(head.width));
  Value first = b.mul(chunk, b.index(kChunk));
  if (!parts)
    first = b.index(0);
  b.ifThen(b.cmp(CmpIPredicate::ult, first, seen), [&] {
    Value count = b.sub(seen, first);
    if (parts)
      count = b.min(count, b.index(kChunk));
    // The new row is written by the block that reads it; no other one touches it. Where several heads read it, it is there.
    if (group == 1) {
      Value slot = b.rem(start, b.index(capacity));
      Value inChunk = b.sub(ring ? b.sub(seen, b.index(1)) : slot, first);
      b.ifThen(b.cmp(CmpIPredicate::ult, inChunk, count), [&] {
        b.forThreads(b.index(head.width), [&](Value c) {
          Value at = b.add(column, c), zero = b.index(0);
          b.store(b.load(op.getKey(), {zero, at}), op.getKeyCache(), {slot, at});
          b.store(b.load(op.getValue(), {zero, at}), op.getValueCache(), {slot, at});
        });
      });
      b.barrier();
    }
    Value scores = b.shared({parts ? kChunk : reachOf(op)}, b.getF32Type());
    Value highest = emitScores(scores, first, count);
    Value row = parts ? b.add(b.mul(headNumber, b.index(chunks())), chunk) : chunk;
    emitOutput(scores, first, count, row, highest);
  });
}

/// The chunks' outputs, each relative to its own maximum, to one.
void Decode::emitCombine(Value headNumber) {
  Value first = b.mul(headNumber, b.index(chunks()));
  Value end = b.add(first, b.ceilDiv(seen, kChunk));
  Value sumAt = b.index(head.width), highestAt = b.index(head.width + 1);
  Value highest = b.loop(first, end, b.f32(kLowest), [&](Value chunk, ValueRange carried) {
    return SmallVector<Value>{b.max(carried[0], b.load(parts, {chunk, highestAt}))};
  })[0];
  b.forThreads(b.index(head.width), [&](Value c) {
    auto sums = b.loop(first, end, ValueRange{b.f32(0), b.f32(0)}, [&](Value chunk, ValueRange carried) {
      Value factor = b.exp(b.sub(b.load(parts, {chunk, highestAt}), highest));
      return SmallVector<Value>{b.fma(factor, b.load(parts, {chunk, c}), carried[0]),
                                b.fma(factor, b.load(parts, {chunk, sumAt}), carried[1])};
    });
    Value at = b.add(b.mul(headNumber, b.index(head.width)), c);
    b.store(b.div(sums[0], sums[1]), op.getY(), {b.index(0), at});
  });
}

/// Writes the new rows into the ring.
static void emitAppend(CachedAttentionOp op, LoopBuilder &host, Value tokens) {
  int64_t size = host.staticDim(op.getKeyCache(), 1), capacity = Decode::capacityOf(op);
  Value elements = host.mul(tokens, host.index(size));
  launchForEach(host, elements, [&](BlockBuilder &b, Value element) {
    Value start = b.toIndex(b.load(op.getPosition(), {}));
    Value t = b.div(element, b.index(size)), c = b.rem(element, b.index(size));
    Value slot = b.rem(b.add(start, t), b.index(capacity));
    b.store(b.load(op.getKey(), {t, c}), op.getKeyCache(), {slot, c});
    b.store(b.load(op.getValue(), {t, c}), op.getValueCache(), {slot, c});
  });
}

static void emitDecode(CachedAttentionOp op, LoopBuilder &host, HeadWidth head) {
  if (groupOf(op.getQuery(), op.getKey()) > 1)
    emitAppend(op, host, host.index(1));
  // Up to two chunks, another launch costs more than it saves.
  int64_t reach = Decode::reachOf(op), chunks = reach <= 2 * kChunk ? 1 : llvm::divideCeil(reach, kChunk);
  Value parts = chunks == 1 ? Value() : host.heap({head.heads * chunks, head.width + 2}, host.getF32Type());
  emitLaunch(host, host.index(head.heads * chunks), kThreads, [&](BlockBuilder &b, Value block) {
    Decode decode(b, op, head, parts);
    decode.emitChunk(b.div(block, b.index(chunks)), b.rem(block, b.index(chunks)));
  });
  if (!parts)
    return;
  emitLaunch(host, host.index(head.heads), kThreads,
             [&](BlockBuilder &b, Value block) { Decode(b, op, head, parts).emitCombine(block); });
  host.free(parts);
}

static void emitPrefill(CachedAttentionOp op, LoopBuilder &host, HeadWidth head) {
  Value tokens = host.dim(op.getQuery(), 0);
  int64_t capacity = Decode::capacityOf(op), group = groupOf(op.getQuery(), op.getKey());
  emitAppend(op, host, tokens);
  Value parts = host.ceilDiv(tokens, kForwardRows);
  emitLaunch(host, host.mul(parts, host.index(head.heads)), kForwardWarps * kWarpSize,
             [&](BlockBuilder &b, Value block) {
               Value start = b.toIndex(b.load(op.getPosition(), {}));
               Value part = b.sub(b.sub(parts, b.index(1)), b.div(block, b.index(head.heads)));
               AttendJob job;
               Value number = b.rem(block, b.index(head.heads));
               job.column = job.keyColumn = b.mul(number, b.index(head.width));
               if (group > 1)
                 job.keyColumn = b.mul(b.div(number, b.index(group)), b.index(head.width));
               job.window = op.getWindow();
               job.queryRow = b.mul(part, b.index(kForwardRows));
               job.queryEnd = tokens;
               job.keyRow = b.index(0);
               job.keyEnd = b.index(capacity);
               job.position = b.add(start, job.queryRow);
               emitAttend(b, head, job, op.getQuery(), op.getKeyCache(), op.getValueCache(), op.getY());
             });
}

static void emitCachedAttention(CachedAttentionOp op, LoopBuilder &host) {
  HeadWidth head{int64_t(op.getHeads()), host.staticDim(op.getQuery(), 1) / int64_t(op.getHeads())};
  int64_t known = host.staticDim(op.getQuery(), 0);
  auto decode = [&] { emitDecode(op, host, head); };
  auto prefill = [&] { emitPrefill(op, host, head); };
  if (!ShapedType::isDynamic(known))
    return known == 1 ? decode() : prefill();
  Value single = host.cmp(CmpIPredicate::eq, host.dim(op.getQuery(), 0), host.index(1));
  host.ifThen(single, decode, prefill);
}

static const char *reject(CachedAttentionOp op) {
  // Decoding has no tiles.
  return dimOf(op.getQuery(), 0) == 1 ? nullptr : rejectHeads(op);
}

void device::addCachedAttention(Emitters &emitters) {
  emitters.grid<CachedAttentionOp>({.emit = emitCachedAttention, .reject = reject});
}
