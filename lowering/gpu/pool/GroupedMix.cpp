//===- GroupedMix.cpp - mix and its gradient, expert by expert -----------===//
//
// Pairs are sorted by expert and cut into tiles of one expert's. Products on the tensor cores make of the tokens of a tile and the
// expert's rows what its last vectors are scaled with, then each pair's sum of those; a last launch adds up the pairs of each token, in
// their order. So there is one number for each pair and row of an expert, and a row of y for each pair. The gradient does the same with
// coefficients and dx.
//
//===----------------------------------------------------------------------===//

#include "MixPass.h"
#include "PoolProducts.h"
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
  /// Scratch for `used` pairs: all of idx, or 0 where nothing will be launched.
  PairTiles(LoopBuilder &host, Value idx, int64_t experts, Value used);
  void launch(LoopBuilder &host);
  void free(LoopBuilder &host) {
    for (Value buffer : {order, starts, count, first, end})
      host.free(buffer);
  }

  Value idx; // flat
  int64_t experts;
  Value pairs, most; // of tiles: so many at most
  Value order, starts, count;
  /// Of each tile its first entry of the order, and the end of its segment; both 0 of those that there are not.
  Value first, end;
};

/// One product for each expert: of rows for its pairs, by rows of its own.
struct ExpertProduct {
  Value left;      // rank 2
  bool gathered;   // its rows are those of tokens, else of entries of the order
  bool depthInner; // of the pool: its rows are the product's columns
  int64_t vector;  // of the pool's rows
  int64_t columns, depth;
  /// A thread has a sum.
  std::function<void(BlockBuilder &, Value entry, Value pair, Value column, Value sum)> use;
};

/// A mix, or the token pass of its gradient: the choice of the form, and what launches of both have in common.
class GroupedMix {
public:
  GroupedMix(LoopBuilder &host, MixLikeOpInterface op);

  /// `byExpert` with scratch of as many numbers for each pair as `columns` says, or `byToken`.
  void emit(ArrayRef<int64_t> columns, llvm::function_ref<void(ValueRange scratch)> byExpert,
            llvm::function_ref<void()> byToken);
  void emitForward(Value y, ValueRange scratch);
  void emitGradient(MixGradOp op, ValueRange scratch);

  const MixOperands &operands() const { return op; }
  int64_t vectors, depth, rows;

private:
  /// products[entry, row] = from[token, :] . vector f of the row, as it is stored: `use` gets them.
  using Use = std::function<void(BlockBuilder &, Value entry, Value pair, Value row, Value sum)>;
  void launchDots(Value from, int64_t f, Use use);
  /// parts[pair, :] = the sum over rows of by[entry, row] times their vector f, or is added to.
  void launchSums(Value by, int64_t f, Value parts, bool added);
  void launchProduct(const ExpertProduct &product);
  void launchTokenSums(Value parts, Value to);
  /// `v` times the scale of vector f of a pair's row, if vectors have one.
  Value scaled(BlockBuilder &b, Value v, Value pair, Value row, int64_t f) const;
  void launchPairSums(Value ofWeights, Value coef, Value dweights);

  LoopBuilder &host;
  MixOperands op;
  int64_t experts, pairsOfToken;
  Value idx, weights, pool, pairs; // flat, the pool a matrix of vectors
  HostForm form;
  std::optional<PairTiles> tiles;
};
} // namespace

PairTiles::PairTiles(LoopBuilder &host, Value idx, int64_t experts, Value pairs)
    : idx(idx), experts(experts), pairs(pairs) {
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

void GroupedMix::launchProduct(const ExpertProduct &product) {
  int64_t tilesN = llvm::divideCeil(product.columns, kTile.columns());
  emitLaunch(host, host.mul(tiles->most, host.index(tilesN)), kThreads, [&](BlockBuilder &b, Value block) {
    Value number = b.div(block, b.index(tilesN));
    TileJob job;
    job.row = b.toIndex(b.load(tiles->first, {number}));
    job.rowEnd = b.toIndex(b.load(tiles->end, {number}));
    job.column = b.mul(b.rem(block, b.index(tilesN)), b.index(kTile.columns()));
    job.columnEnd = b.index(product.columns);
    job.begin = b.index(0);
    job.end = b.index(product.depth);
    b.ifThen(b.cmp(CmpIPredicate::ult, job.row, job.rowEnd), [&] {
      auto pairAt = [&](Value entry) { return b.toIndex(b.load(tiles->order, {entry})); };
      Value expert = b.toIndex(b.load(idx, {pairAt(job.row)}));
      auto token = [&](Value entry) { return b.div(pairAt(entry), b.index(pairsOfToken)); };
      auto ofExpert = [&](Value row) {
        Value number = b.add(b.mul(expert, b.index(rows)), row);
        return b.add(b.mul(number, b.index(vectors)), b.index(product.vector));
      };
      std::function<Value(Value)> leftRow;
      if (product.gathered)
        leftRow = token;
      TileProduct kernel(b, kTile, {b, product.left, /*depthInner=*/true, kTile.rows(), leftRow},
                         {b, pool, product.depthInner, kTile.columns(), ofExpert});
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

GroupedMix::GroupedMix(LoopBuilder &host, MixLikeOpInterface mix)
    : vectors(host.staticDim(mix.getPool(), 1)), depth(host.staticDim(mix.getPool(), 2)), rows(mix.getRowsPerExpert()),
      host(host), op(mix), experts(mix.getNumExperts()),
      pairsOfToken(host.staticDim(op.idx, 1) * host.staticDim(op.idx, 2)), idx(flatten(host, op.idx)),
      weights(flatten(host, op.weights)),
      pool(memref::CollapseShapeOp::create(host, op.pool, ArrayRef<ReassociationIndices>{{0, 1}, {2}})),
      pairs(sizeOf(host, idx)), form(host, mix, pairs) {}

void GroupedMix::emit(ArrayRef<int64_t> columns, llvm::function_ref<void(ValueRange)> byExpert,
                      llvm::function_ref<void()> byToken) {
  Value used = form.used(host);
  tiles.emplace(host, idx, experts, used);
  Values scratch;
  for (int64_t count : columns)
    scratch.push_back(host.heap({ShapedType::kDynamic, count}, host.getF32Type(), {used}));
  auto launch = [&] {
    tiles->launch(host);
    byExpert(scratch);
  };
  form.emit(host, launch, byToken);
  tiles->free(host);
  for (Value buffer : scratch)
    host.free(buffer);
}

void GroupedMix::launchDots(Value from, int64_t f, Use use) {
  launchProduct({from, /*gathered=*/true, /*depthInner=*/true, f, rows, depth, std::move(use)});
}

void GroupedMix::launchSums(Value by, int64_t f, Value parts, bool added) {
  auto use = [=](BlockBuilder &b, Value, Value pair, Value column, Value sum) {
    b.store(added ? b.add(b.load(parts, {pair, column}), sum) : sum, parts, {pair, column});
  };
  launchProduct({by, /*gathered=*/false, /*depthInner=*/false, f, depth, rows, use});
}

Value GroupedMix::scaled(BlockBuilder &b, Value v, Value pair, Value row, int64_t f) const {
  if (!op.scales)
    return v;
  Value first = b.mul(b.toIndex(b.load(idx, {pair})), b.index(rows));
  return b.mul(v, b.load(op.scales, {b.add(first, row), b.index(f)}));
}

/// to[t, :] = the sum of the parts of its pairs.
void GroupedMix::launchTokenSums(Value parts, Value to) {
  int64_t width = accessWidth(to, depth);
  Value perRow = host.index(depth / width), elements = host.mul(host.dim(to, 0), perRow);
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
    b.store(sum, to, {token, column});
  });
}

/// A warp for each pair: the sum of its rows' parts of dweights. Where nothing is selected, it and the coefficients are 0.
void GroupedMix::launchPairSums(Value ofWeights, Value coef, Value dweights) {
  int64_t warps = kThreads / kWarpSize;
  emitLaunch(host, host.ceilDiv(pairs, warps), kThreads, [&](BlockBuilder &b, Value block) {
    b.forWarps(b.index(warps), [&](Value warp) {
      Value pair = b.add(b.mul(block, b.index(warps)), warp);
      b.ifThen(b.cmp(CmpIPredicate::ult, pair, pairs), [&] {
        auto sum = [&] {
          Value total =
              b.sumStrips(b.index(rows), 1, [&](Value row, int64_t) { return b.load(ofWeights, {pair, row}); });
          b.store(total, dweights, {pair});
        };
        auto clear = [&] {
          Value zero = b.f32(0);
          b.strips(b.index(rows * vectors), 1, [&](Value at, int64_t) { b.store(zero, coef, {pair, at}); });
          b.store(zero, dweights, {pair});
        };
        b.ifThen(b.cmp(CmpIPredicate::sge, b.load(idx, {pair}), b.i32(0)), sum, clear);
      });
    });
  });
}

//===----------------------------------------------------------------------===//
// mix
//===----------------------------------------------------------------------===//

void GroupedMix::emitForward(Value y, ValueRange scratch) {
  Value parts = scratch[0], scales = scratch.back();
  for (int64_t f = 0; f + 1 < vectors; ++f)
    launchDots(op.x, f, [&, f](BlockBuilder &b, Value entry, Value pair, Value row, Value sum) {
      sum = scaled(b, sum, pair, row, f);
      if (f + 2 < vectors)
        return b.store(sum, scales, {entry, row});
      Values dots{sum};
      if (f > 0)
        dots.insert(dots.begin(), b.load(scales, {entry, row}));
      // The last vector's scale is a part of the weight.
      Value weight = scaled(b, b.load(weights, {pair}), pair, row, vectors - 1);
      b.store(emitMixScale(b, op.activation, weight, dots), scales, {entry, row});
    });
  launchSums(scales, vectors - 1, parts, /*added=*/false);
  launchTokenSums(parts, y);
}

template <typename OpTy>
static void emitMix(OpTy op, LoopBuilder &host, const GpuInfo &gpu) {
  GroupedMix mix(host, op);
  mix.emit(
      {mix.depth, mix.rows}, [&](ValueRange scratch) { mix.emitForward(mix.operands().y, scratch); },
      [&] { emitMixOfTokens(host, mix.operands(), gpu); });
}

//===----------------------------------------------------------------------===//
// mix_grad
//===----------------------------------------------------------------------===//

void GroupedMix::emitGradient(MixGradOp grad, ValueRange scratch) {
  Value parts = scratch[0], ofWeights = scratch[1], dweights = flatten(host, grad.getDweights());
  ValueRange dots = scratch.drop_front(2);
  Value coef = memref::CollapseShapeOp::create(host, grad.getCoef(), ArrayRef<ReassociationIndices>{{0, 1, 2}, {3, 4}});
  int64_t last = vectors - 1;
  for (int64_t f = 0; f < last; ++f)
    launchDots(op.x, f, [&, f](BlockBuilder &b, Value entry, Value, Value row, Value sum) {
      b.store(sum, dots[f], {entry, row});
    });
  launchDots(grad.getDy(), last, [&](BlockBuilder &b, Value entry, Value pair, Value row, Value sum) {
    Values all = llvm::map_to_vector(dots, [&](Value dot) { return b.load(dot, {entry, row}); });
    all.push_back(sum);
    MixGradient gradient = emitMixGradient(b, op.activation, b.load(weights, {pair}), all);
    for (auto [f, value] : llvm::enumerate(gradient.coefs)) {
      b.store(value, coef, {pair, b.add(b.mul(row, b.index(vectors)), b.index(int64_t(f)))});
      if (int64_t(f) < last)
        b.store(value, dots[f], {entry, row});
    }
    b.store(gradient.ofWeight, ofWeights, {pair, row});
  });
  launchPairSums(ofWeights, coef, dweights);
  for (int64_t f = 0; f < last; ++f)
    launchSums(dots[f], f, parts, /*added=*/f > 0);
  launchTokenSums(parts, grad.getDx());
}

static void emitMixGrad(MixGradOp op, LoopBuilder &host, const GpuInfo &gpu) {
  GroupedMix mix(host, op);
  SmallVector<int64_t> columns{mix.depth, mix.rows};
  columns.append(mix.vectors - 1, mix.rows);
  mix.emit(
      columns, [&](ValueRange scratch) { mix.emitGradient(op, scratch); }, [&] { emitMixGradOfTokens(host, op, gpu); });
}

template <typename OpTy>
static const char *reject(OpTy op) {
  StoredTable stored = MixOperands(op).table();
  if (stored.packed || stored.isGrouped)
    return "rows are groups with scales of their own, or two elements a byte";
  if (const char *why = rejectGrouping(op))
    return why;
  if (cast<MemRefType>(op.getPool().getType()).getDimSize(1) == 1)
    return "rows of one vector are no product with a token";
  if (const char *why = rejectFewPairs(op, op.getIdx()))
    return why;
  auto identity = [](Value buffer) { return cast<MemRefType>(buffer.getType()).getLayout().isIdentity(); };
  return llvm::all_of(op->getOperands(), identity) ? nullptr : "an operand is part of a larger buffer";
}

void device::addGroupedMix(Emitters &emitters) {
  addByExpert<MixOp>(emitters, emitMix<MixOp>, reject<MixOp>, rejectMixOfTokens);
  addByExpert<QuantizedMixOp>(emitters, emitMix<QuantizedMixOp>, reject<QuantizedMixOp>, rejectQuantizedMixOfTokens);
  addByExpert<MixGradOp>(emitters, emitMixGrad, reject<MixGradOp>, rejectMixGradOfTokens);
}
