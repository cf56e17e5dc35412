//===- PoolSort.cpp - pairs sorted by expert -----------------------------===//

#include "PoolSort.h"
#include "PairGroups.h"

#include "lowering/emit/RoutingBuilder.h"

using namespace mlir;
using namespace peer;
using namespace peer::device;
using arith::CmpIPredicate;

/// Pairs that a thread holds in registers.
static constexpr int64_t kItems = 8;
static constexpr int64_t kMostBits = 8;
static_assert((1 << kMostBits) <= kThreads, "each digit has a thread");

namespace {
/// The digits of an expert's number.
struct Digits {
  int64_t bits, passes; // bits of a digit

  explicit Digits(int64_t experts) {
    int64_t all = std::max<int64_t>(1, llvm::Log2_64_Ceil(experts));
    passes = llvm::divideCeil(all, kMostBits);
    bits = llvm::divideCeil(all, passes);
  }
  int64_t bins() const { return int64_t(1) << bits; }
};

/// The pairs of a tile: item i of a thread is at position first + (warp * kItems + i) * 32 + lane, so a warp's are in order.
struct Tile {
  Values positions, keys, pairs; // i32; the key of what is no pair is negative
};
} // namespace

static Values emitPositions(BlockBuilder &b, Value first) {
  Values positions;
  Value base = b.add(first, b.toI32(b.add(b.mul(b.warp(), b.index(kItems * kWarpSize)), b.lane())));
  for (int64_t i = 0; i < kItems; ++i)
    positions.push_back(b.add(base, b.i32(i * kWarpSize)));
  return positions;
}

static Value isPair(BlockBuilder &b, Value key) { return b.cmp(CmpIPredicate::sge, key, b.i32(0)); }

/// The digit of a key; `bins` for what is no pair.
static Value emitDigit(BlockBuilder &b, Value key, Value shift, int64_t bins) {
  Value digit = both(b, arith::ShRUIOp::create(b, key, shift), b.i32(bins - 1));
  return b.select(isPair(b, key), digit, b.i32(bins));
}

/// Where each item of a tile goes. `start` is called once by all threads, with the tile's number of items of the digit that
/// is the thread's number (0 for threads beyond the digits), and returns where the first of them goes.
static Values emitPlaces(BlockBuilder &b, ArrayRef<Value> keys, Value shift, int64_t bins,
                         llvm::function_ref<Value(Value ofDigit)> start) {
  int64_t width = bins + 1;
  Value counts = b.shared({b.warps() * width}, b.getI32Type()), zero = b.i32(0);
  b.forThreads(b.index(b.warps() * width), [&](Value i) { b.store(zero, counts, {i}); });
  b.barrier();
  Value row = b.mul(b.warp(), b.index(width));
  Values places, ranks;
  for (Value key : keys) {
    Value digit = emitDigit(b, key, shift, bins), peers = emitMatch(b, digit);
    Value place = b.add(row, b.toIndex(digit)), earlier = b.load(counts, {place}), rank = emitRankIn(b, peers);
    b.warpBarrier();
    b.onEachThread([&] {
      b.ifThen(b.cmp(CmpIPredicate::eq, rank, zero),
               [&] { b.store(b.add(earlier, emitPopCount(b, peers)), counts, {place}); });
    });
    b.warpBarrier();
    places.push_back(place);
    ranks.push_back(b.add(earlier, rank));
  }
  b.barrier();
  // A thread per digit: counts of warps become the places of their first items.
  Value thread = b.thread(), isDigit = b.cmp(CmpIPredicate::ult, thread, b.index(bins));
  Value column = b.min(thread, b.index(bins));
  auto at = [&](int64_t w) { return b.add(column, b.index(w * width)); };
  Value ofDigit = zero;
  for (int64_t w = 0; w < b.warps(); ++w)
    ofDigit = b.add(ofDigit, b.load(counts, {at(w)}));
  Value next = start(b.select(isDigit, ofDigit, zero));
  b.onEachThread([&] {
    b.ifThen(isDigit, [&] {
      for (int64_t w = 0; w < b.warps(); ++w) {
        Value n = b.load(counts, {at(w)});
        b.store(next, counts, {at(w)});
        next = b.add(next, n);
      }
    });
  });
  b.barrier();
  for (auto [place, rank] : llvm::zip(places, ranks))
    place = b.add(b.load(counts, {place}), rank);
  return places;
}

/// Writes the places in [low, high) whose key differs from the one before to `starts`, from `segments` on; returns
/// `segments` and their number.
static Value emitStarts(BlockBuilder &b, Value keys, Value low, Value high, Value segments, Value starts) {
  auto round = [&](Value base, ValueRange carried) {
    Value at = b.add(b.toI32(base), b.toI32(b.thread())), one = b.i32(1), zero = b.i32(0);
    Value key = loadBelow(b, keys, at, high, b.i32(-1));
    Value earlier = loadBelow(b, keys, b.max(b.sub(at, one), zero), high, b.i32(-1));
    Value changes = either(b, b.cmp(CmpIPredicate::ne, key, earlier), b.cmp(CmpIPredicate::eq, at, zero));
    Value isStart = both(b, changes, b.cmp(CmpIPredicate::slt, at, high));
    BlockScan scan = emitBlockScan(b, b.select(isStart, one, zero));
    if (starts)
      storeIf(b, isStart, at, starts, b.add(carried[0], scan.before));
    return Values{b.add(carried[0], scan.total)};
  };
  return b.loop(b.toIndex(low), b.toIndex(high), {segments}, round, b.threads())[0];
}

namespace {
/// Buffers of the passes.
struct Passes {
  Value idx, pairs, blocks, order, starts, count;
  Value keys[2], others; // of every second pass: sorted keys, and pairs where they do not go to `order`
  Value counts, totals;  // by digit and block; by digit
  Digits digits;

  /// Which of `keys` a pass writes: the last one, and so on backwards, the second.
  int64_t target(int64_t pass) const { return (digits.passes - pass) % 2; }
  Value pairsOf(int64_t target) const { return target == 1 ? order : others; }
};
} // namespace

/// The keys of a tile before a pass: those of idx, or those that the pass before has sorted.
static Tile emitTile(BlockBuilder &b, const Passes &p, int64_t pass, Value block, bool withPairs) {
  Tile tile;
  tile.positions = emitPositions(b, b.mul(b.toI32(block), b.i32(kThreads * kItems)));
  Value limit = pass == 0 ? b.toI32(p.pairs) : b.load(p.count, {b.index(1)}), none = b.i32(-1);
  int64_t source = 1 - p.target(pass);
  for (Value position : tile.positions) {
    tile.keys.push_back(loadBelow(b, pass == 0 ? p.idx : p.keys[source], position, limit, none));
    if (withPairs)
      tile.pairs.push_back(pass == 0 ? position : loadBelow(b, p.pairsOf(source), position, limit, none));
  }
  return tile;
}

static void launchCounts(LoopBuilder &host, const Passes &p, int64_t pass) {
  int64_t bins = p.digits.bins();
  emitLaunch(host, p.blocks, kThreads, [&](BlockBuilder &b, Value block) {
    Value ofBlock = b.shared({bins + 1}, b.getI32Type()), zero = b.i32(0), one = b.i32(1);
    b.forThreads(b.index(bins + 1), [&](Value i) { b.store(zero, ofBlock, {i}); });
    Tile tile = emitTile(b, p, pass, block, /*withPairs=*/false);
    b.barrier();
    Value shift = b.i32(pass * p.digits.bits);
    for (Value key : tile.keys)
      memref::AtomicRMWOp::create(b, arith::AtomicRMWKind::addi, one, ofBlock,
                                  ValueRange{b.toIndex(emitDigit(b, key, shift, bins))});
    b.barrier();
    b.forThreads(b.index(bins), [&](Value digit) {
      b.store(b.load(ofBlock, {digit}), p.counts, {b.add(b.mul(digit, p.blocks), block)});
    });
  });
}

/// A block per digit: its counts become the sums over the blocks before.
static void launchSums(LoopBuilder &host, const Passes &p) {
  emitLaunch(host, host.index(p.digits.bins()), kThreads, [&](BlockBuilder &b, Value digit) {
    Value zero = b.i32(0), row = b.mul(digit, p.blocks);
    auto round = [&](Value base, ValueRange carried) {
      Value at = b.add(base, b.thread()), inside = b.cmp(CmpIPredicate::ult, at, p.blocks);
      Value place = b.add(row, b.min(at, b.sub(p.blocks, b.index(1))));
      BlockScan scan = emitBlockScan(b, b.select(inside, b.load(p.counts, {place}), zero));
      storeIf(b, inside, b.add(carried[0], scan.before), p.counts, place);
      return Values{b.add(carried[0], scan.total)};
    };
    Value total = b.loop(b.index(0), p.blocks, {zero}, round, kThreads)[0];
    b.onOneThread([&] { b.store(total, p.totals, {digit}); });
  });
}

static void launchScatter(LoopBuilder &host, const Passes &p, int64_t pass) {
  int64_t bins = p.digits.bins(), target = p.target(pass);
  emitLaunch(host, p.blocks, kThreads, [&](BlockBuilder &b, Value block) {
    Tile tile = emitTile(b, p, pass, block, /*withPairs=*/true);
    Values places = emitPlaces(b, tile.keys, b.i32(pass * p.digits.bits), bins, [&](Value) {
      Value digit = b.min(b.thread(), b.index(bins - 1));
      Value isDigit = b.cmp(CmpIPredicate::ult, b.thread(), b.index(bins));
      BlockScan scan = emitBlockScan(b, b.select(isDigit, b.load(p.totals, {digit}), b.i32(0)));
      if (pass == 0)
        b.onOneThread([&] {
          b.ifThen(b.cmp(CmpIPredicate::eq, block, b.index(0)), [&] { b.store(scan.total, p.count, {b.index(1)}); });
        });
      return b.add(scan.before, b.load(p.counts, {b.add(b.mul(digit, p.blocks), block)}));
    });
    for (auto [key, pair, place] : llvm::zip(tile.keys, tile.pairs, places)) {
      storeIf(b, isPair(b, key), key, p.keys[target], place);
      storeIf(b, isPair(b, key), pair, p.pairsOf(target), place);
    }
  });
}

/// Two launches: the number of segments that start in each block's tile, then their starts.
static void launchStarts(LoopBuilder &host, const Passes &p) {
  auto range = [&](BlockBuilder &b, Value block) {
    Value tile = b.i32(kThreads * kItems), sorted = b.load(p.count, {b.index(1)});
    Value low = b.min(b.mul(b.toI32(block), tile), sorted);
    return std::pair<Value, Value>{low, b.min(b.add(low, tile), sorted)};
  };
  Value keys = p.keys[1];
  emitLaunch(host, p.blocks, kThreads, [&](BlockBuilder &b, Value block) {
    auto [low, high] = range(b, block);
    Value segments = emitStarts(b, keys, low, high, b.i32(0), {});
    b.onOneThread([&] { b.store(segments, p.counts, {block}); });
  });
  emitLaunch(host, p.blocks, kThreads, [&](BlockBuilder &b, Value block) {
    auto [low, high] = range(b, block);
    Value ofThread = b.loop(
        b.thread(), block, {b.i32(0)},
        [&](Value i, ValueRange carried) { return Values{b.add(carried[0], b.load(p.counts, {i}))}; }, kThreads)[0];
    Value segments = emitStarts(b, keys, low, high, b.blockSum(ofThread), p.starts);
    Value isLast = b.cmp(CmpIPredicate::eq, block, b.sub(p.blocks, b.index(1)));
    b.onOneThread([&] { b.ifThen(isLast, [&] { b.store(segments, p.count, {b.index(0)}); }); });
  });
}

void device::emitSortedPairs(LoopBuilder &host, Value idx, int64_t experts, Value order, Value starts, Value count) {
  Digits digits(experts);
  Value pairs = sizeOf(host, idx);
  auto group = [&] { emitGroupedPairs(host, idx, experts, order, starts, count); };
  auto constant = getConstantIntValue(pairs);
  if (constant && *constant <= kMostGrouped)
    return group();
  Value blocks = host.ceilDiv(pairs, kThreads * kItems);
  Type i32 = host.getI32Type();
  auto scratch = [&](Value size) { return host.heap({ShapedType::kDynamic}, i32, {size}); };
  Passes p{idx, pairs, blocks, order, starts, count, {}, {}, {}, {}, digits};
  p.keys[1] = scratch(pairs);
  if (digits.passes > 1) {
    p.keys[0] = scratch(pairs);
    p.others = scratch(pairs);
  }
  p.counts = scratch(host.mul(blocks, host.index(digits.bins())));
  p.totals = scratch(host.index(digits.bins()));
  auto many = [&] {
    for (int64_t pass = 0; pass < digits.passes; ++pass) {
      launchCounts(host, p, pass);
      launchSums(host, p);
      launchScatter(host, p, pass);
    }
    launchStarts(host, p);
  };
  if (constant)
    many();
  else
    host.ifThen(host.cmp(CmpIPredicate::ule, pairs, host.index(kMostGrouped)), group, many);
  for (Value buffer : {p.keys[0], p.keys[1], p.others, p.counts, p.totals})
    if (buffer)
      host.free(buffer);
}
