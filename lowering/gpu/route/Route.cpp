//===- Route.cpp - score, select and gate as one -------------------------===//
//
// Many tokens are tiles (RouteTiles), whose keys are spread over blocks where there are few (RouteParts). For few tokens each key
// is read once, by blocks of some keys, and the scores go through memory.
//
//===----------------------------------------------------------------------===//

#include "Route.h"

#include "RouteParts.h"
#include "RouteTiles.h"

#include "dialect/ops/Check.h"

using namespace mlir;
using namespace peer;
using namespace peer::device;
using arith::CmpIPredicate;

bool device::isFewTokens(Value tensor) {
  int64_t tokens = dimOf(tensor, 0);
  return !ShapedType::isDynamic(tokens) && tokens <= kFewTokens;
}

//===----------------------------------------------------------------------===//
// Few tokens
//===----------------------------------------------------------------------===//

/// All of a head's tokens.
static Value headOf(BlockBuilder &b, Value buffer, Value head) {
  if (!buffer)
    return {};
  int64_t rank = cast<MemRefType>(buffer.getType()).getRank();
  SmallVector<OpFoldResult> offsets(rank, b.getIndexAttr(0)), sizes, strides(rank, b.getIndexAttr(1));
  for (int64_t i = 0; i < rank; ++i)
    sizes.push_back(b.getIndexAttr(i == 1 ? 1 : b.staticDim(buffer, i)));
  offsets[1] = head;
  return memref::SubViewOp::create(b, buffer, offsets, sizes, strides);
}

/// Scores, then a block for each head.
static void emitFewTokens(RouteOp op, LoopBuilder &host) {
  Selection what = Selection::of(op);
  int64_t tokens = dimOf(op.getQuery(), 0), heads = dimOf(op.getQuery(), 1);
  if (tokens == 0)
    return;
  Value logits = host.heap({tokens, heads, what.halves(), what.n}, host.getF32Type());
  emitFewScores(op.getQuery(), op.getKeys(), logits, host);
  emitLaunch(host, host.index(heads), kThreads, [&](BlockBuilder &b, Value head) {
    Selection own = what;
    for (Value *buffer : {&own.idx, &own.val, &own.weights})
      *buffer = headOf(b, *buffer, head);
    emitSelection(own, headOf(b, logits, head), b);
  });
  host.free(logits);
}

//===----------------------------------------------------------------------===//
// Launches
//===----------------------------------------------------------------------===//

const char *device::rejectRoute(RouteOp op, const GpuInfo &gpu) {
  if (op.getPolicy().selectsAll())
    return "'all' keeps every score";
  if (op.getPolicy().hasVaryingCounts())
    return "how many the policy keeps follows from all scores of a row";
  if (!op.getPolicy().selectsLargest())
    return "the policy is left to plain loops";
  if (op.getNumSelected() > kMostSelected)
    return "the sorted list would not fit in registers";
  return isFewTokens(op.getQuery()) || routeRows(op, gpu) ? nullptr : "the queries of 16 tokens do not fit";
}

/// Scores of more than few tokens never leave their block.
static void emitRoute(RouteOp op, LoopBuilder &host, const GpuInfo &gpu) {
  if (isFewTokens(op.getQuery()))
    return emitFewTokens(op, host);
  RouteTiles tiles(op, gpu);
  Value count = tiles.count(host);
  auto launchTiles = [&] {
    emitLaunch(host, count, kThreads, [&](BlockBuilder &b, Value block) { tiles.emit(b, block); });
  };
  auto launchParts = [&] { emitRouteParts(tiles, host); };
  int64_t many = tiles.regimes().blockPerTile;
  std::optional<int64_t> known = tiles.knownCount();
  if (tiles.mostParts() == 1 || (known && *known >= many))
    return launchTiles();
  if (known)
    return launchParts();
  host.ifThen(host.cmp(CmpIPredicate::uge, count, host.index(many)), launchTiles, launchParts);
}

void device::addRoute(Emitters &emitters) { emitters.grid<RouteOp>({.emit = emitRoute, .reject = rejectRoute}); }
