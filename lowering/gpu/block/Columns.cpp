//===- Columns.cpp - kernels in which each lane stays with its columns ---===//

#include "Columns.h"

#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace peer;
using namespace peer::device;
using arith::CmpIPredicate;

void ColumnGrid::cut(LoopBuilder &host, Value size) {
  chunkRows = size;
  chunks = host.ceilDiv(rows, size);
}

ColumnTile::ColumnTile(BlockBuilder &b, const ColumnGrid &grid, Value block) {
  Value strips = b.index(grid.strips());
  chunk = b.div(block, strips);
  strip = b.rem(block, strips);
  low = b.mul(chunk, grid.chunkRows);
  high = b.min(b.add(low, grid.chunkRows), grid.rows);
  at = b.add(b.mul(strip, b.index(grid.width())), b.mul(b.lane(), b.index(grid.lanes)));
  // A lane without columns does what the last one does, and stores nothing: no branch around barriers.
  if (grid.columns % grid.width() != 0) {
    inside = b.cmp(CmpIPredicate::slt, at, b.index(grid.columns));
    at = b.min(at, b.index(grid.columns - grid.lanes));
  }
}

void device::emitColumnSums(BlockBuilder &b, const ColumnGrid &grid, const ColumnTile &tile, unsigned count,
                            ColumnTerms terms, ColumnFinish finish) {
  Values sums = b.loop(
      b.add(tile.low, b.warp()), tile.high, Values(count, b.f32(0, b.floats(grid.lanes))),
      [&](Value row, ValueRange carried) {
        Values next;
        for (auto [sum, term] : llvm::zip(carried, terms(b, row, tile.at)))
          next.push_back(b.add(sum, term));
        return next;
      },
      b.warps());
  Values parts;
  for (Value sum : sums) {
    parts.push_back(b.shared({b.warps(), grid.width()}, b.getF32Type()));
    b.onEachThread([&] { b.store(sum, parts.back(), {b.warp(), b.mul(b.lane(), b.index(grid.lanes))}); });
  }
  b.barrier();
  b.forThreads(b.index(grid.width()), [&](Value offset) {
    Value column = b.add(b.mul(tile.strip, b.index(grid.width())), offset);
    auto emit = [&] {
      Values totals;
      for (Value part : parts) {
        Value total = b.load(part, {b.index(0), offset});
        for (int64_t w = 1; w < b.warps(); ++w)
          total = b.add(total, b.load(part, {b.index(w), offset}));
        totals.push_back(total);
      }
      finish(b, column, totals);
    };
    if (tile.inside)
      b.ifThen(b.cmp(CmpIPredicate::slt, column, b.index(grid.columns)), emit);
    else
      emit();
  });
}

Value device::sumChunkRows(LoopBuilder &host, Value rows) {
  constexpr int64_t kFewestRows = 64, kMostChunks = 256;
  Value spread = host.ceilDiv(rows, kMostChunks);
  return host.max(spread, host.index(kFewestRows));
}

void device::launchPartialSums(LoopBuilder &host, Value partial, int64_t lanes, ColumnFinish finish) {
  unsigned count = host.staticDim(partial, 0);
  ColumnGrid grid(host.staticDim(partial, 2), lanes, host.dim(partial, 1));
  grid.chunkRows = host.max(grid.rows, host.index(1));
  grid.chunks = host.index(1);
  emitLaunch(host, grid.blocks(host), kThreads, [&](BlockBuilder &b, Value block) {
    ColumnTile tile(b, grid, block);
    auto terms = [&](BlockBuilder &b, Value row, Value at) {
      Values loaded;
      for (unsigned i = 0; i < count; ++i)
        loaded.push_back(b.load(partial, {b.index(i), row, at}, lanes));
      return loaded;
    };
    emitColumnSums(b, grid, tile, count, terms, finish);
  });
}

void device::launchColumnSums(LoopBuilder &host, ColumnGrid grid, unsigned count, ColumnTerms terms,
                              ColumnFinish finish) {
  grid.cut(host, sumChunkRows(host, grid.rows));
  Value partial = host.heap({count, ShapedType::kDynamic, grid.columns}, host.getF32Type(), grid.chunks);
  emitLaunch(host, grid.blocks(host), kThreads, [&](BlockBuilder &b, Value block) {
    ColumnTile tile(b, grid, block);
    emitColumnSums(b, grid, tile, count, terms, [&](BlockBuilder &b, Value column, ValueRange sums) {
      for (auto [i, sum] : llvm::enumerate(sums))
        b.store(sum, partial, {b.index(i), tile.chunk, column});
    });
  });
  launchPartialSums(host, partial, grid.lanes, finish);
  host.free(partial);
}

void device::emitColumnRows(BlockBuilder &b, const ColumnTile &tile, llvm::function_ref<void(Value)> rowBody) {
  auto emit = [&] { b.onEachThread([&] { b.loop(b.add(tile.low, b.warp()), tile.high, rowBody, b.warps()); }); };
  if (tile.inside)
    b.ifThen(tile.inside, emit);
  else
    emit();
}
