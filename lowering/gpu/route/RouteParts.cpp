//===- RouteParts.cpp - the keys of a tile, spread over blocks -----------===//
//
// A block streams the keys of its head at the rate of one multiprocessor, whatever its number of tokens: smaller tiles would
// make more blocks, but none faster. So halves and then ranges of keys get blocks of their own. Each key is still read once
// per tile, its score is computed in the same way, and lists are merged in the order of select: the result is, bit by bit,
// that of one block.
//
//===----------------------------------------------------------------------===//

#include "RouteParts.h"

#include "RouteWalk.h"

using namespace mlir;
using namespace peer;
using namespace peer::device;
using arith::CmpIPredicate;

namespace {
/// How a tile's keys are cut (index): parts in all and of each half, keys of a part.
struct Cut {
  Value parts, perHalf, keys;
};

/// Lists of all blocks of the first launch: blocks x tokens x entries, scores (f32) and numbers of keys (i32).
struct PartLists {
  Value scores, numbers;
};
} // namespace

/// No division: what says how much memory a call needs must be free of such that can fail.
static Cut emitCut(const RouteTiles &tiles, LoopBuilder &host, Value count) {
  int64_t n = tiles.selection().n, halves = tiles.selection().halves();
  auto cutInto = [&](int64_t parts) -> Cut {
    int64_t perHalf = std::max<int64_t>(parts / halves, 1);
    int64_t keys = llvm::alignTo(llvm::divideCeil(n, perHalf), kKeyChunk);
    return {host.index(parts), host.index(perHalf), host.index(keys)};
  };
  // A launch of parts has two for each tile at least: the halves, or halves of the keys.
  Cut cut = cutInto(2);
  for (int64_t parts = 2; parts < tiles.mostParts(); parts *= 2) {
    Value blocks = host.mul(count, host.index(parts));
    Value few = host.cmp(CmpIPredicate::ult, blocks, host.index(tiles.regimes().blockPerTile));
    Cut finer = cutInto(2 * parts);
    cut = {host.select(few, finer.parts, cut.parts), host.select(few, finer.perHalf, cut.perHalf),
           host.select(few, finer.keys, cut.keys)};
  }
  return cut;
}

/// Selects from a part of the keys. Parts of the second half follow those of the first.
static void emitPart(const RouteTiles &tiles, BlockBuilder &b, Value block, const Cut &cut, const PartLists &out) {
  SharedPlan shared(b);
  ScoreTile tile(b, tiles.query(), tiles.keys(), tiles.rows(), shared);
  RowLists lists(b, tiles.selection().k, /*halves=*/1, tiles.rows(), shared);
  RouteWalk walk(b, tile, lists);
  RouteTiles::Tile at = tiles.tile(b, b.div(block, cut.parts));
  Value zero = b.index(0), part = b.rem(block, cut.parts), n = b.index(tiles.selection().n);
  Value half = b.div(part, cut.perHalf), from = b.mul(b.rem(part, cut.perHalf), cut.keys);
  walk.walk(at.first, at.present, {at.head, half, from, b.min(b.add(from, cut.keys), n)}, zero);
  walk.forRows(at.present, [&](Value row) {
    RowState state = lists.load(row, zero);
    b.onEachThread([&] {
      b.ifThen(b.cmp(CmpIPredicate::ult, row, at.present), [&] {
        for (auto [r, entry] : llvm::enumerate(state.best)) {
          Values place{block, row, lists.lists().number(r)};
          b.store(entry[0], out.scores, place);
          b.store(entry[1], out.numbers, place);
        }
      });
    });
  });
}

/// Merges the lists of a tile's rows from `firstRow` on, a row for each group of lanes.
static void emitMerge(const RouteTiles &tiles, BlockBuilder &b, Value number, Value firstRow, const Cut &cut,
                      const PartLists &in) {
  const Selection &what = tiles.selection();
  SharedPlan shared(b);
  int64_t slots = b.warps() * kWarpSize / std::min(listSize(what.k), kWarpSize);
  SelectRows rows(b, what, slots, shared);
  const LaneList &list = rows.lists();
  Groups groups(b, list);
  b.barrier();
  RouteTiles::Tile at = tiles.tile(b, number);
  Value zero = b.index(0), row = b.add(firstRow, groups.number), firstBlock = b.mul(number, cut.parts);
  Value present = b.cmp(CmpIPredicate::ult, row, at.present), own = b.select(present, row, zero);
  // The lists of all halves are read at once, for one waits long for each.
  auto load = [&](Value part) {
    Entries loaded;
    for (int64_t half = 0; half < what.halves(); ++half) {
      Value block = b.add(b.add(firstBlock, b.mul(b.index(half), cut.perHalf)), part);
      for (int64_t r = 0; r < list.registers(); ++r) {
        Values place{block, own, list.number(r)};
        loaded.push_back({b.load(in.scores, place), memref::LoadOp::create(b, in.numbers, place)});
      }
    }
    return loaded;
  };
  auto ofHalf = [&](const Entries &entries, int64_t half) {
    ArrayRef<Entry> all(entries);
    return Entries(all.slice(half * list.registers(), list.registers()));
  };
  Values merged = b.loop(b.index(1), cut.perHalf, toValues(load(zero)), [&](Value part, ValueRange carried) {
    Entries before = toEntries(carried, 2), more = load(part);
    Values next;
    for (int64_t half = 0; half < what.halves(); ++half) {
      Entries best = ofHalf(before, half);
      list.merge(best, ofHalf(more, half));
      llvm::append_range(next, toValues(best));
    }
    return next;
  });
  for (int64_t half = 0; half < what.halves(); ++half)
    rows.store({ofHalf(toEntries(merged, 2), half), b.i32(0)}, groups.number, b.index(half));
  rows.finish(groups.number, b.add(at.first, own), at.head, present);
}

void device::emitRouteParts(const RouteTiles &tiles, LoopBuilder &host) {
  int64_t entries = listSize(tiles.selection().k), tokens = host.staticDim(tiles.query(), 0);
  tokens = ShapedType::isDynamic(tokens) ? tiles.rows() : std::min(tokens, tiles.rows());
  Value count = tiles.count(host);
  Cut cut = emitCut(tiles, host, count);
  // The launch has few tiles, but memory is planned for all numbers of them.
  Value most = host.mul(host.min(count, host.index(tiles.regimes().blockPerTile)), cut.parts);
  PartLists lists{host.heap({ShapedType::kDynamic, tokens, entries}, host.getF32Type(), most),
                  host.heap({ShapedType::kDynamic, tokens, entries}, host.getI32Type(), most)};
  emitLaunch(host, host.mul(count, cut.parts), kThreads,
             [&](BlockBuilder &b, Value block) { emitPart(tiles, b, block, cut, lists); });
  int64_t rows = kThreads / std::min(entries, kWarpSize), perTile = llvm::divideCeil(tokens, rows);
  emitLaunch(host, host.mul(count, host.index(perTile)), kThreads, [&](BlockBuilder &b, Value block) {
    Value tile = b.div(block, b.index(perTile)), first = b.mul(b.rem(block, b.index(perTile)), b.index(rows));
    emitMerge(tiles, b, tile, first, cut, lists);
  });
  host.free(lists.scores);
  host.free(lists.numbers);
}
