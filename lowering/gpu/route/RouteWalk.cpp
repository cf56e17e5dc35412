//===- RouteWalk.cpp - a block's walk over the keys of its tokens --------===//

#include "RouteWalk.h"

#include "lowering/gpu/block/Scan.h"

using namespace mlir;
using namespace peer;
using namespace peer::device;
using arith::CmpIPredicate;

void RouteWalk::forRows(Value present, llvm::function_ref<void(Value)> body) {
  // Rows of a warp's groups at a time: such that a bank of shared memory serves one of them, with ScoreTile's distance of rows.
  const LaneList &list = lists.lists();
  int64_t apart = std::max<int64_t>(4 / list.groups(), 1), together = apart * list.groups();
  Value rounds = b.mul(b.ceilDiv(present, together), b.index(apart));
  auto round = [&](Value number) {
    Value block = b.mul(b.div(number, b.index(apart)), b.index(together));
    body(b.add(b.add(block, b.rem(number, b.index(apart))), b.mul(list.group(), b.index(apart))));
  };
  b.loop(b.warp(), rounds, round, b.warps());
}

void RouteWalk::walk(Value first, Value present, const Keys &keys, Value list) {
  Value chunk = b.index(kKeyChunk);
  tile.loadQueries(first, keys.head, keys.half);
  forRows(present, [&](Value row) { lists.clear(row, list); });
  b.loop(
      keys.from, keys.to,
      [&](Value key) {
        tile.multiply(keys.head, keys.half, key);
        Value left = b.sub(keys.to, key), isLast = b.cmp(CmpIPredicate::ule, left, chunk);
        forRows(present, [&](Value row) {
          auto score = [&](Value column) { return tile.score(row, column); };
          lists.offer(row, list, {key, b.min(chunk, left), chunk, isLast, score});
        });
      },
      kKeyChunk);
}
