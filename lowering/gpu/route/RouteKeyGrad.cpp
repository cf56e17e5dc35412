//===- RouteKeyGrad.cpp - gradient of the keys from the selections -------===//
//
// The selections of each key head and half, its stream, are sorted by key with a stable counting sort: warps count the keys of
// their tiles, a block per stream turns the counts into places, warps put the selections of their tiles there. Then a block
// per key adds up, in registers, the queries that selected it. No float is added atomically, so that every run has the same
// result.
//
//===----------------------------------------------------------------------===//

#include "RouteKeyGrad.h"
#include "lowering/emit/ExpertMath.h"
#include "lowering/gpu/Emitters.h"
#include "lowering/gpu/block/Scan.h"

using namespace mlir;
using namespace peer;
using namespace peer::device;
using arith::CmpIPredicate;

/// Selections that one warp sorts: more make fewer counts, fewer make more warps. A stream of no more than kFewItems
/// selections is sorted in small tiles.
static constexpr int64_t kTile = 2048, kSmallTile = 512, kFewItems = 32 * kSmallTile;
/// Batches of 32 selections that are read at once.
static constexpr int64_t kBatches = 4;
/// Keys whose counters fit into shared memory.
static constexpr int64_t kMostSharedKeys = 8192;
/// Threads, and tiles at once, where counts become places.
static constexpr int64_t kPlaceThreads = 512, kPlaceTiles = 8;

static const char *rejectRouteKeyGrad(RouteKeyGradOp op) {
  if (!isDense(op.getIdx(), 0) || !isDense(op.getDval(), 0))
    return "indices or gradients are not dense";
  return isPlain(op.getQuery()) && isPlain(op.getDkeys()) ? nullptr : "rows may lie at odd addresses";
}

namespace {
class KeyGradEmitter {
public:
  KeyGradEmitter(RouteKeyGradOp op, LoopBuilder &host)
      : op(op), host(host), dkeys(op.getDkeys()), heads(host.staticDim(op.getIdx(), 1)),
        selected(host.staticDim(op.getIdx(), 2)), keyHeads(host.staticDim(dkeys, 0)), halves(host.staticDim(dkeys, 1)),
        n(host.staticDim(dkeys, 2)),
        layout(RowLayout::choose(host.staticDim(dkeys, 3), cast<MemRefType>(op.getQuery().getType()).getElementType(),
                                 kMostOfRoute)) {}

  void emit() {
    int64_t streams = keyHeads * halves, perToken = op.getShared() ? heads * selected : selected;
    items = host.mul(host.dim(op.getIdx(), 0), host.index(perToken));
    Value few = host.cmp(CmpIPredicate::ule, items, host.index(kFewItems));
    auto tilesOf = [&](int64_t size) { return host.ceilDiv(items, size); };
    tileSize = host.select(few, host.index(kSmallTile), host.index(kTile));
    tiles = host.select(few, tilesOf(kSmallTile), tilesOf(kTile));
    Value blocks = host.mul(tiles, host.index(streams)), all = host.mul(items, host.index(streams));
    counts = host.heap({ShapedType::kDynamic, n}, host.getI32Type(), blocks);
    starts = host.heap({streams, n + 1}, host.getI32Type());
    order = host.heap({ShapedType::kDynamic}, host.getI32Type(), all);
    auto launch = [&](Value grid, int64_t threads, auto body) {
      emitLaunch(host, grid, threads, [&](BlockBuilder &b, Value block) { (this->*body)(b, block); });
    };
    launch(blocks, kWarpSize, &KeyGradEmitter::emitCount);
    launch(host.index(streams), kPlaceThreads, &KeyGradEmitter::emitPlaces);
    launch(blocks, kWarpSize, &KeyGradEmitter::emitSort);
    launch(host.index(streams * n * layout.warps), kThreads, &KeyGradEmitter::emitSums);
    for (Value buffer : {counts, starts, order})
      host.free(buffer);
  }

private:
  /// counts[tile, key] = how many of the tile's selections took the key.
  void emitCount(BlockBuilder &b, Value block);
  /// counts[tile, key] = how many of earlier tiles did; starts[stream, key] = how many of the stream took a lower key.
  void emitPlaces(BlockBuilder &b, Value block);
  /// order = the stream's pairs by key.
  void emitSort(BlockBuilder &b, Value block);
  void emitSums(BlockBuilder &b, Value block);

  Value counters(BlockBuilder &b, Value block) {
    return n <= kMostSharedKeys ? b.shared({n}, b.getI32Type()) : b.slice(counts, {block});
  }
  void walkTile(BlockBuilder &b, Value block, Value counters, llvm::function_ref<void(Value place, Value pair)> visit);

  RouteKeyGradOp op;
  LoopBuilder &host;
  Value dkeys;
  int64_t heads, selected, keyHeads, halves, n;
  RowLayout layout;
  Value items, tiles, tileSize; // of a stream; selections in a tile
  Value counts, starts, order;
};
} // namespace

/// Visits the tile's selections: their place is the key's counter, which goes up by one with each, in their order. One
/// warp executes it.
void KeyGradEmitter::walkTile(BlockBuilder &b, Value block, Value counters,
                              llvm::function_ref<void(Value, Value)> visit) {
  Value idx = flatten(b, op.getIdx()), lane = b.lane(), none = b.i32(-1);
  Value stream = b.div(block, tiles), half = b.rem(stream, b.index(halves)), head = b.div(stream, b.index(halves));
  Value first = b.mul(b.rem(block, tiles), tileSize), end = b.min(b.add(first, tileSize), items);
  b.loop(
      first, end,
      [&](Value at) {
        Values keys, pairs;
        for (int64_t i = 0; i < kBatches; ++i) {
          Value item = b.add(b.add(at, b.index(i * kWarpSize)), lane);
          Value inside = b.cmp(CmpIPredicate::slt, item, end), pair = b.select(inside, item, first);
          if (!op.getShared()) {
            Value query = b.add(b.mul(b.div(pair, b.index(selected)), b.index(heads)), head);
            pair = b.add(b.mul(query, b.index(selected)), b.rem(pair, b.index(selected)));
          }
          Value expert = b.load(idx, {pair});
          Value valid = both(b, inside, b.cmp(CmpIPredicate::sge, expert, b.i32(0)));
          keys.push_back(b.select(valid, emitKeyOf(b, expert, half, halves, n), none));
          pairs.push_back(pair);
        }
        for (auto [key, pair] : llvm::zip(keys, pairs)) {
          Value same = emitMatch(b, key);
          Value valid = b.cmp(CmpIPredicate::sge, key, b.i32(0)), counter = b.toIndex(b.max(key, b.i32(0)));
          Value before = b.load(counters, {counter}), rank = emitRankIn(b, same);
          // All have read before the first lane of a key counts, and see that in the next batch.
          b.warpBarrier();
          b.onEachThread([&] {
            b.ifThen(both(b, valid, b.cmp(CmpIPredicate::eq, rank, b.i32(0))),
                     [&] { b.store(b.add(before, emitPopCount(b, same)), counters, counter); });
            if (visit)
              b.ifThen(valid, [&] { visit(b.add(before, rank), pair); });
          });
          b.warpBarrier();
        }
      },
      kBatches * kWarpSize);
}

void KeyGradEmitter::emitCount(BlockBuilder &b, Value block) {
  Value own = counters(b, block);
  b.forLanes(b.index(n), [&](Value key) { b.store(b.i32(0), own, key); });
  b.warpBarrier();
  walkTile(b, block, own, nullptr);
  if (n <= kMostSharedKeys)
    b.forLanes(b.index(n), [&](Value key) { b.store(b.load(own, {key}), counts, {block, key}); });
}

void KeyGradEmitter::emitPlaces(BlockBuilder &b, Value stream) {
  Value firstTile = b.mul(stream, tiles);
  b.forThreads(b.index(n), [&](Value key) {
    Value total = b.loop(
        b.index(0), tiles, {b.i32(0)},
        [&](Value tile, ValueRange carried) {
          Values at, inside, loaded;
          for (int64_t i = 0; i < kPlaceTiles; ++i) {
            Value later = b.add(tile, b.index(i));
            inside.push_back(b.cmp(CmpIPredicate::slt, later, tiles));
            at.push_back(b.add(firstTile, b.select(inside[i], later, tile)));
            loaded.push_back(b.load(counts, {at[i], key}));
          }
          Value sum = carried[0];
          for (int64_t i = 0; i < kPlaceTiles; ++i) {
            b.ifThen(inside[i], [&] { b.store(sum, counts, {at[i], key}); });
            sum = b.add(sum, b.select(inside[i], loaded[i], b.i32(0)));
          }
          return Values{sum};
        },
        kPlaceTiles)[0];
    b.store(total, starts, {stream, key});
  });
  b.barrier();
  // Totals by key to the sums of those before, in place.
  Value all = b.loop(
      b.index(0), b.index(n), {b.i32(0)},
      [&](Value first, ValueRange carried) {
        Value key = b.add(first, b.thread()), inside = b.cmp(CmpIPredicate::slt, key, b.index(n));
        Value total = b.load(starts, {stream, b.select(inside, key, first)});
        // Contains barriers: all have read before any writes.
        BlockScan scan = emitBlockScan(b, b.select(inside, total, b.i32(0)));
        b.onEachThread(
            [&] { b.ifThen(inside, [&] { b.store(b.add(carried[0], scan.before), starts, {stream, key}); }); });
        return Values{b.add(carried[0], scan.total)};
      },
      kPlaceThreads)[0];
  b.onOneThread([&] { b.store(all, starts, {stream, b.index(n)}); });
}

void KeyGradEmitter::emitSort(BlockBuilder &b, Value block) {
  Value own = counters(b, block), stream = b.div(block, tiles), start = b.mul(stream, items);
  b.forLanes(b.index(n),
             [&](Value key) { b.store(b.add(b.load(starts, {stream, key}), b.load(counts, {block, key})), own, key); });
  b.warpBarrier();
  walkTile(b, block, own,
           [&](Value place, Value pair) { b.store(b.toI32(pair), order, b.add(start, b.toIndex(place))); });
}

void KeyGradEmitter::emitSums(BlockBuilder &b, Value block) {
  Value dval = flatten(b, op.getDval());
  Value slice = b.rem(block, b.index(layout.warps)), rest = b.div(block, b.index(layout.warps));
  Value key = b.rem(rest, b.index(n)), stream = b.div(rest, b.index(n));
  Value half = b.rem(stream, b.index(halves)), head = b.div(stream, b.index(halves));
  Value begin = b.toIndex(b.load(starts, {stream, key}));
  Value end = b.toIndex(b.load(starts, {stream, b.add(key, b.index(1))}));
  // A share for each warp.
  Value share = b.ceilDiv(b.sub(end, begin), b.warps());
  Value first = b.min(b.add(begin, b.mul(b.warp(), share)), end), last = b.min(b.add(first, share), end);
  LaneRow row(b, layout, layout.warps > 1 ? slice : Value());
  Value start = b.mul(stream, items);
  Values sums = b.loop(
      first, last, row.zeros(),
      [&](Value at, ValueRange carried) {
        Value entry = b.add(at, b.lane()), inside = b.cmp(CmpIPredicate::slt, entry, last);
        Value pair = b.load(order, {b.add(start, b.select(inside, entry, at))});
        Value scale = b.load(dval, {b.toIndex(pair)}), listed = b.div(pair, b.i32(selected));
        return addListedRows(b, row, b.ballot(inside), carried, scale, op.getQuery(), [&](Value position) {
          Value query = b.toIndex(b.shuffle(listed, position));
          return Values{b.div(query, b.index(heads)), b.rem(query, b.index(heads)), half};
        });
      },
      kWarpSize);
  row.storeSumOfWarps(sums, row.sharedForWarps(b.warps()), dkeys, {head, half, key});
}

static void emitRouteKeyGrad(RouteKeyGradOp op, LoopBuilder &host) { KeyGradEmitter(op, host).emit(); }

void device::addRouteKeyGrad(Emitters &emitters) {
  emitters.grid<RouteKeyGradOp>({.emit = emitRouteKeyGrad, .reject = rejectRouteKeyGrad});
}
