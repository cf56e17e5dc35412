//===- RouteTiles.cpp - how a route is divided among blocks --------------===//
//
// A block walks the keys of its head (RouteWalk). With both halves done the tokens' lists are combined and gated. Of all that
// only idx, weights and, where something else reads it, val go to memory.
//
//===----------------------------------------------------------------------===//

#include "RouteTiles.h"

#include "RouteWalk.h"
#include "lowering/gpu/block/Scan.h"

#include "dialect/ops/Check.h"

using namespace mlir;
using namespace peer;
using namespace peer::device;
using arith::CmpIPredicate;

// Three quarters of the multiprocessors: twice as many blocks of half the keys would not be done much sooner, and their lists
// would have to be merged. Tiles come by heads, mostly a multiple of four.
RouteRegimes::RouteRegimes(const GpuInfo &gpu) : blockPerTile(llvm::alignTo(gpu.multiprocessors * 3 / 4, 4)) {}

static int64_t sharedBytes(RouteOp op, int64_t rows) {
  return ScoreShape::of(op.getQuery(), op.getKeys(), rows).bytes() +
         SelectRows::sharedBytes(op.getNumSelected(), op.getPolicy().getHalves(), rows);
}

/// Blocks that the keys of a tile can be spread over, a power of two.
static int64_t mostKeyParts(RouteOp op, const RouteRegimes &regimes) {
  int64_t chunks = llvm::divideCeil(op.getNumKeys(), regimes.keysPerBlock);
  return op.getPolicy().getHalves() * llvm::bit_floor<uint64_t>(chunks);
}

int64_t device::routeRows(RouteOp op, const GpuInfo &gpu) {
  int64_t tokens = dimOf(op.getQuery(), 0), heads = dimOf(op.getQuery(), 1), most = 64;
  if (!ShapedType::isDynamic(tokens)) {
    // Blocks that share the keys of a tile cost no more reads; smaller tiles do.
    RouteRegimes regimes(gpu);
    int64_t enough = llvm::divideCeil(regimes.blockPerTile, mostKeyParts(op, regimes));
    while (most > 16 && int64_t(llvm::divideCeil(tokens, most)) * heads < enough)
      most /= 2;
    most = std::clamp<int64_t>(llvm::PowerOf2Ceil(tokens), 16, most);
  }
  for (int64_t rows = most; rows >= 16; rows /= 2)
    if (sharedBytes(op, rows) <= gpu.sharedOfBlock)
      return rows;
  return 0;
}

RouteTiles::RouteTiles(RouteOp op, const GpuInfo &gpu)
    : byTiles(gpu), queryBuffer(op.getQuery()), keyBuffer(op.getKeys()), rowsOfTile(routeRows(op, gpu)),
      heads(dimOf(op.getQuery(), 1)), parts(mostKeyParts(op, byTiles)), what(Selection::of(op)) {}

Value RouteTiles::count(LoopBuilder &host) const {
  return host.mul(host.ceilDiv(host.dim(query(), 0), rows()), host.index(heads));
}

std::optional<int64_t> RouteTiles::knownCount() const {
  int64_t tokens = dimOf(query(), 0);
  if (ShapedType::isDynamic(tokens))
    return std::nullopt;
  return int64_t(llvm::divideCeil(tokens, rows())) * heads;
}

RouteTiles::Tile RouteTiles::tile(LoopBuilder &b, Value number) const {
  Value first = b.mul(b.div(number, b.index(heads)), b.index(rows()));
  Value present = b.min(b.sub(b.dim(query(), 0), first), b.index(rows()));
  return {first, present, b.rem(number, b.index(heads))};
}

void RouteTiles::emit(BlockBuilder &b, Value number) const {
  SharedPlan shared(b);
  ScoreTile scores(b, query(), keys(), rows(), shared);
  SelectRows select(b, what, rows(), shared);
  RouteWalk walk(b, scores, select);
  Tile at = tile(b, number);
  Value zero = b.index(0), n = b.index(what.n);
  b.loop(b.index(what.halves()), [&](Value half) { walk.walk(at.first, at.present, {at.head, half, zero, n}, half); });
  // A row's lists are always its group's own.
  walk.forRows(at.present, [&](Value row) {
    Value inside = b.cmp(CmpIPredicate::ult, row, at.present), token = b.add(at.first, b.select(inside, row, zero));
    select.finish(row, token, at.head, inside);
  });
}
