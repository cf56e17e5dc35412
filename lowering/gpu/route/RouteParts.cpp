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
#include "lowering/gpu/TileModel.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Interfaces/ValueBoundsOpInterface.h"

using namespace mlir;
using namespace peer;
using namespace peer::device;
using arith::CmpIPredicate;

std::optional<RouteParts> RouteParts::of(Block &tile) {
  int64_t work = 0;
  ScoreOp score;
  for (Operation &op : tile) {
    work += isa<GraphOpInterface, linalg::LinalgOp, memref::CopyOp>(op);
    if (auto found = dyn_cast<ScoreOp>(op))
      score = found;
  }
  std::optional<Route> route = score ? routeOf(score) : std::nullopt;
  if (!route || work != (route->gate ? 3 : 2) || mostKeyParts(score, route->select) == 1)
    return std::nullopt;
  // A result that nobody reads would be left in the launch.
  if (isLocal(route->select.getOuts()[0]) || (route->keepsVal && isLocal(route->select.getOuts()[1])))
    return std::nullopt;
  FailureOr<int64_t> tokens = ValueBoundsConstraintSet::computeConstantBound(
      presburger::BoundType::UB, ValueBoundsConstraintSet::Variable(score.getOuts()[0], 0), /*stopCondition=*/nullptr,
      /*closedUB=*/true);
  if (failed(tokens))
    return std::nullopt;
  RouteParts parts;
  parts.route = *route;
  parts.tokens = *tokens;
  return parts;
}

/// No division: what says how much memory a call needs must be free of such that can fail.
RouteParts::Cut RouteParts::emitCut(LoopBuilder &host, Value tiles) const {
  ScoreOp score = route.score;
  int64_t n = host.staticDim(score.getKeys(), 2), halves = host.staticDim(score.getKeys(), 1);
  auto cutInto = [&](int64_t parts) -> Cut {
    int64_t perHalf = std::max<int64_t>(parts / halves, 1);
    int64_t keys = llvm::alignTo(llvm::divideCeil(n, perHalf), kKeyChunk);
    return {host.index(parts), host.index(perHalf), host.index(keys)};
  };
  // A launch of parts has two for each tile at least: the halves, or halves of the keys.
  Cut cut = cutInto(2);
  for (int64_t parts = 2; parts < mostKeyParts(score, route.select); parts *= 2) {
    Value blocks = host.mul(tiles, host.index(parts));
    Value few = host.cmp(CmpIPredicate::ult, blocks, host.index(gpuRouteRegimes().blockPerTile));
    Cut finer = cutInto(2 * parts);
    cut = {host.select(few, finer.parts, cut.parts), host.select(few, finer.perHalf, cut.perHalf),
           host.select(few, finer.keys, cut.keys)};
  }
  return cut;
}

/// Selects from a part of the keys. Parts of the second half follow those of the first.
void RouteParts::emitPart(BlockBuilder &b, const Route &route, Value block, const Cut &cut, const Lists &out) {
  ScoreOp score = route.score;
  int64_t rows = route.rows(), k = SelectOp(route.select).getNumSelected();
  SharedPlan shared(b);
  ScoreTile tile(b, score, rows, shared);
  RowLists lists(b, k, /*halves=*/1, rows, shared);
  RouteWalk walk(b, score, rows, tile, lists);
  Value zero = b.index(0), part = b.rem(block, cut.parts), n = b.dim(score.getKeys(), 2);
  Value half = b.div(part, cut.perHalf), from = b.mul(b.rem(part, cut.perHalf), cut.keys);
  walk.forTokens([&](Value first, Value present) {
    walk.walk(first, present, {zero, half, from, b.min(b.add(from, cut.keys), n)}, zero);
    walk.forRows(present, [&](Value row) {
      RowState state = lists.load(row, zero);
      b.onEachThread([&] {
        b.ifThen(b.cmp(CmpIPredicate::ult, row, present), [&] {
          for (auto [r, entry] : llvm::enumerate(state.best)) {
            Values at{block, b.add(first, row), lists.lists().number(r)};
            b.store(entry[0], out.scores, at);
            b.store(entry[1], out.numbers, at);
          }
        });
      });
    });
  });
}

/// Merges the lists of rows from `firstRow` on, a row for each group of lanes.
void RouteParts::emitMerge(BlockBuilder &b, const Route &route, Value firstRow, Value firstBlock, const Cut &cut,
                           const Lists &in) {
  Selection what{route.select, route.gate, route.keepsVal};
  SharedPlan shared(b);
  int64_t slots = b.warps() * kWarpSize / std::min(listSize(what.k()), kWarpSize);
  SelectRows rows(b, what, slots, shared);
  const LaneList &list = rows.lists();
  Groups groups(b, list);
  b.barrier();
  Value zero = b.index(0), row = b.add(firstRow, groups.number);
  Value present = b.cmp(CmpIPredicate::ult, row, b.dim(what.select.getOuts()[0], 0));
  Value token = b.select(present, row, zero);
  // The lists of all halves are read at once, for one waits long for each.
  auto load = [&](Value part) {
    Entries loaded;
    for (int64_t half = 0; half < what.halves(); ++half) {
      Value block = b.add(b.add(firstBlock, b.mul(b.index(half), cut.perHalf)), part);
      for (int64_t r = 0; r < list.registers(); ++r) {
        Values at{block, token, list.number(r)};
        loaded.push_back({b.load(in.scores, at), memref::LoadOp::create(b, in.numbers, at)});
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
  rows.finish(groups.number, token, zero, present);
}

/// Emits `body` with the ops of a tile, which it has no use for afterwards.
template <typename Body>
void RouteParts::emitTile(BlockBuilder &b, Value tile, CloneTile cloneTile, Body body) const {
  IRMapping mapping;
  cloneTile(b, tile, mapping);
  auto own = [&](auto op) { return op ? cast<decltype(op)>(mapping.lookup(op.getOperation())) : op; };
  Route copy{own(route.score), own(route.select), own(route.gate), route.keepsVal};
  body(copy);
  Values buffers{copy.score.getOuts()[0]};
  if (!copy.keepsVal)
    buffers.push_back(copy.select.getOuts()[1]);
  for (Operation *op : {copy.gate.getOperation(), copy.select.getOperation(), copy.score.getOperation()})
    if (op)
      op->erase();
  for (Value buffer : buffers)
    buffer.getDefiningOp()->erase();
}

void RouteParts::launch(LoopBuilder &host, Value tiles, CloneTile cloneTile) const {
  SelectOp select = route.select;
  int64_t entries = listSize(select.getNumSelected());
  Cut cut = emitCut(host, tiles);
  // The launch has few tiles, but memory is planned for all numbers of them.
  Value most = host.mul(host.min(tiles, host.index(gpuRouteRegimes().blockPerTile)), cut.parts);
  Lists lists{host.heap({ShapedType::kDynamic, tokens, entries}, host.getF32Type(), most),
              host.heap({ShapedType::kDynamic, tokens, entries}, host.getI32Type(), most)};
  emitLaunch(host, host.mul(tiles, cut.parts), kThreads, [&](BlockBuilder &b, Value block) {
    emitTile(b, b.div(block, cut.parts), cloneTile, [&](const Route &own) { emitPart(b, own, block, cut, lists); });
  });
  int64_t rows = kThreads / std::min(entries, kWarpSize), perTile = llvm::divideCeil(tokens, rows);
  emitLaunch(host, host.mul(tiles, host.index(perTile)), kThreads, [&](BlockBuilder &b, Value block) {
    Value tile = b.div(block, b.index(perTile)), first = b.mul(b.rem(block, b.index(perTile)), b.index(rows));
    emitTile(b, tile, cloneTile,
             [&](const Route &own) { emitMerge(b, own, first, b.mul(tile, cut.parts), cut, lists); });
  });
  host.free(lists.scores);
  host.free(lists.numbers);
}
