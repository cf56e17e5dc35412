//===- GroupedMix.cpp - mix, expert by expert ----------------------------===//
//
// Pairs are sorted by expert and cut into tiles of one expert's. Products on the tensor cores make of the tokens of a tile and the
// expert's rows what its last vectors are scaled with, then each pair's sum of those; a last launch adds up the pairs of each token, in
// their order. So there is one number for each pair and row of an expert, and a row of y for each pair.
//
//===----------------------------------------------------------------------===//

#include "MixPass.h"
#include "PoolSort.h"

#include "lowering/emit/ExpertMath.h"
#include "lowering/emit/MixForm.h"
#include "lowering/emit/RoutingBuilder.h"
#include "lowering/gpu/Emitters.h"
#include "lowering/gpu/block/LaneList.h"
#include "lowering/gpu/dense/TileProduct.h"

using namespace mlir;
using namespace peer;
using namespace peer::device;
using arith::CmpIPredicate;

/// 64 pairs by 64 columns.
static constexpr MatmulTile kTile{4, 2, 1, 4};

namespace {
/// The pairs of all experts in tiles of one expert's.
struct PairTiles {
  PairTiles(LoopBuilder &host, Value idx, int64_t experts);
  void launch(LoopBuilder &host);
  void free(LoopBuilder &host) {
    for (Value buffer : {order, starts, count, first, end})
      host.free(buffer);
  }

  Value idx; // flat
  int64_t experts;
  Value pairs, most; // of tiles: so many at most
  Value order, starts, count;
  Value first,
      end; // of each tile: its first entry of the order, and the end of its segment; both 0 of those that there are not
};

/// One product for each expert: of rows for its pairs, by rows of its own.
struct ExpertProduct {
  Value left;      // rank 2
  bool gathered;   // its rows are those of tokens, else of entries of the order
  Value right;     // rank 2
  bool depthInner; // of right
  /// Where an expert's row is in right.
  std::function<Value(BlockBuilder &, Value expert, Value row)> rightRow;
  int64_t columns, depth;
  /// A thread has a sum.
  std::function<void(BlockBuilder &, Value entry, Value pair, Value column, Value sum)> use;
};
} // namespace

PairTiles::PairTiles(LoopBuilder &host, Value idx, int64_t experts) : idx(idx), experts(experts) {
  pairs = sizeOf(host, idx);
  // A segment has less than a tile more than whole ones.
  most = host.add(host.ceilDiv(pairs, kTile.rows()), host.min(pairs, host.index(experts)));
  auto scratch = [&](Value size) { return host.heap({ShapedType::kDynamic}, host.getI32Type(), {size}); };
  order = scratch(pairs), starts = scratch(pairs), count = scratch(host.index(2));
  first = scratch(most), end = scratch(most);
}

/// One block: segments in their order, a thread for each.
void PairTiles::launch(LoopBuilder &host) {
  emitSortedPairs(host, idx, experts, order, starts, count);
  emitLaunch(host, host.min(most, host.index(1)), kThreads, [&](BlockBuilder &b, Value) {
    Value zero = b.i32(0), one = b.i32(1), tile = b.i32(int32_t(kTile.rows()));
    b.forThreads(most, [&](Value i) {
      b.store(zero, first, {i});
      b.store(zero, end, {i});
    });
    b.barrier();
    Value segments = b.load(count, {b.index(0)}), all = b.load(count, {b.index(1)});
    b.loop(
        b.index(0), b.toIndex(segments), {zero},
        [&](Value base, ValueRange carried) {
          Value segment = b.add(b.toI32(base), b.toI32(b.thread()));
          Value low = loadBelow(b, starts, segment, segments, all);
          Value high = loadBelow(b, starts, b.add(segment, one), segments, all);
          Value tiles =
              b.div(b.toIndex(b.add(b.sub(high, low), b.i32(int32_t(kTile.rows() - 1)))), b.index(kTile.rows()));
          BlockScan scan = emitBlockScan(b, b.toI32(tiles));
          Value at = b.toIndex(b.add(carried[0], scan.before));
          b.onEachThread([&] {
            b.loop(tiles, [&](Value i) {
              Value place = b.add(at, i);
              b.store(b.add(low, b.mul(b.toI32(i), tile)), first, {place});
              b.store(high, end, {place});
            });
          });
          return Values{b.add(carried[0], scan.total)};
        },
        kThreads);
  });
}

static void launchProduct(LoopBuilder &host, const PairTiles &tiles, const ExpertProduct &product,
                          int64_t pairsOfToken) {
  int64_t tilesN = llvm::divideCeil(product.columns, kTile.columns());
  emitLaunch(host, host.mul(tiles.most, host.index(tilesN)), kThreads, [&](BlockBuilder &b, Value block) {
    Value number = b.div(block, b.index(tilesN));
    TileJob job;
    job.row = b.toIndex(b.load(tiles.first, {number}));
    job.rowEnd = b.toIndex(b.load(tiles.end, {number}));
    job.column = b.mul(b.rem(block, b.index(tilesN)), b.index(kTile.columns()));
    job.columnEnd = b.index(product.columns);
    job.begin = b.index(0);
    job.end = b.index(product.depth);
    b.ifThen(b.cmp(CmpIPredicate::ult, job.row, job.rowEnd), [&] {
      auto pairAt = [&](Value entry) { return b.toIndex(b.load(tiles.order, {entry})); };
      Value expert = b.toIndex(b.load(tiles.idx, {pairAt(job.row)}));
      auto token = [&](Value entry) { return b.div(pairAt(entry), b.index(pairsOfToken)); };
      auto ofExpert = [&](Value row) { return product.rightRow(b, expert, row); };
      std::function<Value(Value)> leftRow;
      if (product.gathered)
        leftRow = token;
      TileProduct kernel(b, kTile, {b, product.left, /*depthInner=*/true, kTile.rows(), leftRow},
                         {b, product.right, product.depthInner, kTile.columns(), ofExpert});
      Values sums = kernel.emit(job);
      kernel.forEachRow(job, sums, [&](Value entry, llvm::function_ref<void(TileProduct::UsePair)> forEachPair) {
        Value pair = pairAt(entry);
        forEachPair([&](Value column, ArrayRef<Value> two) {
          for (int64_t i = 0; i < 2; ++i) {
            Value single = b.add(column, b.index(i));
            b.ifThen(b.cmp(CmpIPredicate::ult, single, job.columnEnd),
                     [&] { product.use(b, entry, pair, single, two[i]); });
          }
        });
      });
    });
  });
}

/// y[t, :] = the sum of the parts of its pairs.
static void launchTokenSums(LoopBuilder &host, const MixOperands &op, Value idx, Value parts, int64_t pairsOfToken) {
  int64_t columns = host.staticDim(op.y, 1), width = accessWidth(op.y, columns);
  Value perRow = host.index(columns / width), elements = host.mul(host.dim(op.y, 0), perRow);
  launchForEach(host, elements, [&](BlockBuilder &b, Value element) {
    Value token = b.div(element, perRow), column = b.mul(b.rem(element, perRow), b.index(width));
    Value first = b.mul(token, b.index(pairsOfToken));
    Value sum =
        b.loop(b.index(0), b.index(pairsOfToken), {b.f32(0, b.floats(width))}, [&](Value i, ValueRange carried) {
          Value pair = b.add(first, i);
          Value chosen = b.cmp(CmpIPredicate::sge, b.load(idx, {pair}), b.i32(0));
          auto add = [&] { return Values{b.add(carried[0], b.loadWide(parts, {pair, column}, width))}; };
          return emitIf(b, chosen, add, [&] { return Values{carried[0]}; });
        })[0];
    b.store(sum, op.y, {token, column});
  });
}

static void emitByExpert(LoopBuilder &host, const MixOperands &op, const PairTiles &tiles, Value gates, Value scales,
                         Value parts) {
  int64_t vectors = host.staticDim(op.pool, 1), depth = host.staticDim(op.pool, 2), rows = op.rowsPerExpert;
  int64_t pairsOfToken = host.staticDim(op.idx, 1) * host.staticDim(op.idx, 2);
  Value weights = flatten(host, op.weights);
  Value pool = memref::CollapseShapeOp::create(host, op.pool, ArrayRef<ReassociationIndices>{{0, 1}, {2}});
  auto vectorsOf = [=](int64_t f) {
    return [=](BlockBuilder &b, Value expert, Value row) {
      return b.add(b.mul(b.add(b.mul(expert, b.index(rows)), row), b.index(vectors)), b.index(f));
    };
  };
  for (int64_t f = 0; f + 1 < vectors; ++f) {
    auto use = [&, f](BlockBuilder &b, Value entry, Value pair, Value row, Value sum) {
      if (f + 2 < vectors)
        return b.store(sum, gates, {entry, row});
      Values dots{sum};
      if (f > 0)
        dots.insert(dots.begin(), b.load(gates, {entry, row}));
      b.store(emitMixScale(b, op.activation, b.load(weights, {pair}), dots), scales, {entry, row});
    };
    launchProduct(host, tiles, {op.x, /*gathered=*/true, pool, /*depthInner=*/true, vectorsOf(f), rows, depth, use},
                  pairsOfToken);
  }
  auto use = [&](BlockBuilder &b, Value, Value pair, Value column, Value sum) { b.store(sum, parts, {pair, column}); };
  launchProduct(host, tiles,
                {scales, /*gathered=*/false, pool, /*depthInner=*/false, vectorsOf(vectors - 1), depth, rows, use},
                pairsOfToken);
  launchTokenSums(host, op, tiles.idx, parts, pairsOfToken);
}

static void emit(MixOp mix, LoopBuilder &host, const GpuInfo &gpu) {
  MixOperands op(mix);
  int64_t vectors = host.staticDim(op.pool, 1), depth = host.staticDim(op.pool, 2), from = getGroupFrom(mix);
  int64_t experts = mix.getNumExperts();
  Value idx = flatten(host, op.idx), pairs = sizeOf(host, idx);
  // How many experts are touched is not known to the host: as many as there are, or one for each pair.
  Value enough = host.cmp(CmpIPredicate::uge, pairs, host.mul(host.min(pairs, host.index(experts)), host.index(from)));
  auto byToken = [&] { emitMixOfTokens(host, op, gpu); };
  host.ifThen(
      enough,
      [&] {
        PairTiles tiles(host, idx, experts);
        auto scratch = [&](int64_t columns) {
          return host.heap({ShapedType::kDynamic, columns}, host.getF32Type(), {pairs});
        };
        Value gates = vectors > 2 ? scratch(op.rowsPerExpert) : Value(), scales = scratch(op.rowsPerExpert),
              parts = scratch(depth);
        tiles.launch(host);
        emitByExpert(host, op, tiles, gates, scales, parts);
        tiles.free(host);
        for (Value buffer : {gates, scales, parts})
          if (buffer)
            host.free(buffer);
      },
      byToken);
}

static const char *reject(MixOp op) {
  if (const char *why = rejectGrouping(op))
    return why;
  auto pool = cast<MemRefType>(op.getPool().getType());
  if (const char *why = rejectMixOfTokens(op))
    return why;
  if (pool.getDimSize(1) == 1)
    return "rows of one vector are no product with a token";
  if (!pool.getElementType().isF32())
    return "products take rows of f32";
  auto identity = [](Value buffer) { return cast<MemRefType>(buffer.getType()).getLayout().isIdentity(); };
  return llvm::all_of(op->getOperands(), identity) ? nullptr : "an operand is part of a larger buffer";
}

void device::addGroupedMix(Emitters &emitters) {
  emitters.grid<MixOp>({.emit = emit, .reject = reject, .name = remarks::kProducts, .why = [](MixOp op) {
                          return describeGrouping(op);
                        }});
}
