//===- Pool.cpp - sorted pairs, the pool's gradient, updates, usage ------===//

#include "PoolProducts.h"
#include "PoolSort.h"
#include "Update.h"

#include "lowering/emit/GateMass.h"
#include "lowering/emit/narrow/Rounding.h"

using namespace mlir;
using namespace peer;
using namespace peer::device;
using arith::CmpIPredicate;

/// Segments of `usage` longer than this are summed by a block, not by a thread.
static constexpr int64_t kLongSegment = 64;

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

static void storeInside(BlockBuilder &b, const RowPlace &place, Value v, Value table) {
  ifInside(b, place.inside, [&] { b.store(v, table, {place.row, place.vector, place.at}); });
}

/// Launches over the touched rows: by expert where that pays, or row by row. `launch` takes either pass.
template <typename OpTy, typename Launch>
static void emitByForm(OpTy op, LoopBuilder &host, ValueRange tables, int64_t experts, const GpuInfo &gpu,
                       Launch launch) {
  auto byRow = [&] { launch(RowPass(host, op, tables, experts, gpu)); };
  if (PoolProducts::reject(op))
    return byRow();
  PoolProducts products(host, op, tables, gpu);
  products.emit(host, [&] { launch(products); }, byRow);
}

static void emitPoolGrad(PoolGradOp op, LoopBuilder &host, const GpuInfo &gpu) {
  Value dpool = op.getDpool();
  // Rows that nobody selected are zero.
  Value flat = flatten(host, dpool);
  int64_t total = host.staticDim(flat, 0), wide = isAligned(dpool) && total % 4 == 0 ? 4 : 1;
  int64_t worth = llvm::divideCeil(total, 4096);
  Value vectors = host.index(total / wide), blocks = host.index(std::min(worth, gpu.blocksAtOnce(kThreads)));
  emitLaunch(host, blocks, kThreads, [&](BlockBuilder &b, Value block) {
    Value zero = b.f32(0, b.floats(wide));
    forGrid(b, block, blocks, vectors, [&](Value i) { b.store(zero, flat, {b.mul(i, b.index(wide))}); });
  });
  int64_t experts = op.getRows() / host.staticDim(op.getCoef(), 3);
  emitByForm(op, host, {dpool}, experts, gpu, [&](const auto &rows) {
    rows.launch(host, [&](BlockBuilder &, Value) {
      return RowUse{nullptr, [&](BlockBuilder &b, const RowPlace &place, ValueRange, Value gradient, ValueRange) {
                      storeInside(b, place, gradient, dpool);
                    }};
    });
  });
}

static const char *rejectPoolGrad(PoolGradOp op) {
  return isDense(op.getDpool(), 0) ? RowPass::reject(op) : "the pool's gradient does not flatten";
}

static void emitPoolGradNorm(PoolGradNormOp op, LoopBuilder &host, const GpuInfo &gpu) {
  emitByForm(op, host, {}, /*experts=*/0, gpu, [&](const auto &rows) {
    Value blocks = rows.blocks(host);
    Value partial = host.heap({ShapedType::kDynamic}, host.getF64Type(), {rows.mostBlocks(host)});
    std::optional<Sums> sums;
    auto begin = [&](BlockBuilder &b, Value) {
      sums.emplace(b);
      return RowUse{nullptr, [&](BlockBuilder &b, const RowPlace &place, ValueRange, Value gradient, ValueRange) {
                      ifInside(b, place.inside, [&] { sums->addSquares(b, gradient); });
                    }};
    };
    rows.launch(host, begin, [&](BlockBuilder &b, Value block) { b.store(sums->total(b), partial, {block}); });
    launchSum(host, partial, blocks, op.getSquares());
    host.free(partial);
  });
}

/// The sum of squares of a slice of a row, in every lane.
static Value emitSquares(BlockBuilder &b, const OptimizerStep &step, const RowSlice &slice) {
  Value total;
  for (auto [place, gradient] : llvm::zip(slice.places, slice.gradients)) {
    Value squares = b.sumLanes(emitSquare(b, step, gradient));
    if (place.inside)
      squares = b.select(place.inside, squares, b.f32(0));
    total = total ? b.add(total, squares) : squares;
  }
  return b.warpSum(total);
}

static OptimizerStep emitBlockStep(BlockBuilder &b, RowUpdateOp op) {
  return device::emitBlockStep(b, op.getOptimizer(), op.getPool(), op.getLearningRate(), op.getStep(), op.getScale());
}

/// squares[number of the row, slice] = the slice's sum of squares.
static void launchSquares(RowUpdateOp op, LoopBuilder &host, const RowPass &rows, Value squares) {
  rows.launch(host, [&](BlockBuilder &b, Value) {
    auto sum = [&, step = emitBlockStep(b, op)](BlockBuilder &b, const RowSlice &slice) {
      Value total = emitSquares(b, step, slice);
      b.onOneLane([&] { b.store(total, squares, {slice.number, slice.slice}); });
      return Values();
    };
    return RowUse{nullptr, nullptr, sum};
  });
}
static void launchSquares(RowUpdateOp op, LoopBuilder &host, const PoolProducts &rows, Value squares) {
  auto begin = [&](BlockBuilder &b) {
    return [step = emitBlockStep(b, op)](BlockBuilder &b, Value gradient) { return emitSquare(b, step, gradient); };
  };
  rows.launchSquares(host, begin, squares);
}

/// Updates the states of rows whose slices are summed apart: a pass for the slices' squares, then a thread for each row.
template <typename Pass>
static void launchRowStates(RowUpdateOp op, LoopBuilder &host, const Pass &rows) {
  int64_t slices = rows.slicesOfRow();
  Value squares = host.heap({ShapedType::kDynamic, slices}, host.getF32Type(), {rows.touched().most});
  launchSquares(op, host, rows, squares);
  launchForTouchedRows(host, rows.touched(), [&](BlockBuilder &b, Value number, Value row) {
    OptimizerStep step =
        emitOptimizerStep(b, op.getOptimizer(), op.getPool(), op.getLearningRate(), op.getStep(), op.getScale());
    Value total = b.load(squares, {number, b.index(0)});
    for (int64_t i = 1; i < slices; ++i)
      total = b.add(total, b.load(squares, {number, b.index(i)}));
    emitRowStates(b, step, op.getStates(), row, b.div(total, b.f32(double(rows.elementsOfRow()))));
  });
  host.free(squares);
}

/// The states of a slice's row: made of its squares where the slice is the row, else made before.
template <typename Pass>
static Values emitSliceStates(BlockBuilder &b, const OptimizerStep &step, RowUpdateOp op, const Pass &rows,
                              const RowSlice &slice) {
  Values means;
  for (auto [state, kind] : llvm::zip_equal(op.getStates(), step.states))
    means.push_back(kind.kind == StateKind::Row ? b.load(state, {slice.row}) : Value());
  if (rows.slicesOfRow() > 1)
    return means;
  // The sum brings the lanes together: all have the old state before one of them stores the new one.
  Value mean = b.div(emitSquares(b, step, slice), b.f32(double(rows.elementsOfRow())));
  for (auto [value, state] : llvm::zip_equal(means, op.getStates()))
    if (value) {
      value = emitMeanState(b, step, mean, value);
      b.onOneLane([&, value = value, state = state] { b.store(value, state, {slice.row}); });
    }
  return means;
}

/// The rows' steps, from their gradients.
template <typename Pass>
static void launchUpdates(RowUpdateOp op, LoopBuilder &host, ValueRange tables, const Pass &rows) {
  bool hasMeans = tables.size() <= op.getStates().size();
  if (hasMeans && rows.slicesOfRow() > 1)
    launchRowStates(op, host, rows);
  rows.launch(host, [&](BlockBuilder &b, Value) {
    OptimizerStep step = emitBlockStep(b, op);
    // The rows are on their way while their gradients are summed.
    auto prepare = [&](BlockBuilder &b, const RowPlace &place) {
      return llvm::map_to_vector(
          tables, [&](Value table) { return b.loadWide(table, {place.row, place.vector, place.at}, place.lanes); });
    };
    auto use = [&, step](BlockBuilder &b, const RowPlace &place, ValueRange old, Value gradient, ValueRange means) {
      auto takeNext = [&]() -> Value {
        Value loaded = old.front();
        old = old.drop_front();
        return loaded.getType() == gradient.getType() ? loaded : arith::ExtFOp::create(b, gradient.getType(), loaded);
      };
      Value param = takeNext();
      Values states;
      for (auto [i, kind] : llvm::enumerate(step.states))
        states.push_back(kind.kind == StateKind::Whole ? takeNext() : b.splat(means[i], gradient.getType()));
      Values updated = emitUpdate(b, step, param, gradient, states);
      updated = emitRounded(b, step.seed, updated, tables, {place.row, place.vector, place.at});
      for (auto [table, v] : llvm::zip_equal(tables, updated))
        storeInside(b, place, v, table);
    };
    RowUse all{prepare, use};
    if (hasMeans)
      all.slice = [&, step](BlockBuilder &b, const RowSlice &slice) {
        return emitSliceStates(b, step, op, rows, slice);
      };
    return all;
  });
}

static void emitRowUpdate(RowUpdateOp op, LoopBuilder &host, const GpuInfo &gpu) {
  Values tables{op.getPool()};
  auto kinds = op.getOptimizer().getStates(cast<MemRefType>(op.getPool().getType()).getShape());
  for (auto [state, kind] : llvm::zip_equal(op.getStates(), kinds))
    if (kind.kind == StateKind::Whole)
      tables.push_back(state);
  int64_t experts = host.staticDim(op.getPool(), 0) / host.staticDim(op.getCoef(), 3);
  emitByForm(op, host, tables, experts, gpu, [&](const auto &rows) { launchUpdates(op, host, tables, rows); });
}

//===----------------------------------------------------------------------===//
// Pairs
//===----------------------------------------------------------------------===//

static void emitSortPairs(SortPairsOp op, LoopBuilder &host) {
  ValueRange outs = op.getOuts();
  emitSortedPairs(host, flatten(host, op.getIdx()), op.getNumExperts(), outs[0], outs[1], outs[2]);
}

static const char *rejectSortPairs(SortPairsOp op) {
  return isDense(op.getIdx(), 0) ? nullptr : "idx does not flatten";
}

/// A thread per touched expert, then the block for each expert with many pairs: sums of fixed order, as atomics would not be.
static void emitUsageBlock(BlockBuilder &b, Value block, Value idx, Value weights, Value mass, Value order,
                           Value starts, Value count) {
  Value segments = b.toIndex(b.load(count, {b.index(0)})), pairs = b.toIndex(b.load(count, {b.index(1)}));
  Value base = b.mul(block, b.index(kThreads)), longOnes = b.shared({kThreads}, b.getI32Type());
  auto bounds = [&](Value segment) {
    Value next = b.add(segment, b.index(1)), isLast = b.cmp(CmpIPredicate::uge, next, segments);
    Value following = b.toIndex(b.load(starts, {b.select(isLast, segment, next)}));
    return std::pair<Value, Value>{b.toIndex(b.load(starts, {segment})), b.select(isLast, pairs, following)};
  };
  auto pairAt = [&](Value entry) { return b.toIndex(b.load(order, {entry})); };
  auto weightAt = [&](Value entry) -> Value {
    return arith::ExtFOp::create(b, b.getF64Type(), b.load(weights, {pairAt(entry)}));
  };
  auto addSum = [&](Value low, Value sum) { addMass(b, mass, b.toIndex(b.load(idx, {pairAt(low)})), sum); };
  Value mine = b.add(base, b.thread()), thread = b.thread(), here = b.cmp(CmpIPredicate::ult, mine, segments);
  b.onEachThread([&] {
    b.store(b.i32(0), longOnes, {thread});
    b.ifThen(here, [&] {
      auto [low, high] = bounds(mine);
      Value first = low, last = high;
      b.ifThen(
          b.cmp(CmpIPredicate::ugt, b.sub(last, first), b.index(kLongSegment)),
          [&] { b.store(b.i32(1), longOnes, {thread}); },
          [&] {
            Value zero = arith::ConstantOp::create(b, b.getF64FloatAttr(0));
            auto add = [&](Value entry, ValueRange sum) { return Values{b.add(sum[0], weightAt(entry))}; };
            addSum(first, b.loop(first, last, {zero}, add)[0]);
          });
    });
  });
  b.barrier();
  b.loop(kThreads, [&](Value i) {
    b.ifThen(b.cmp(CmpIPredicate::ne, b.load(longOnes, {i}), b.i32(0)), [&] {
      auto [low, high] = bounds(b.add(base, i));
      Sums sums(b);
      b.loop(b.add(low, b.thread()), high, [&](Value entry) { sums.add(b, weightAt(entry)); }, kThreads);
      Value first = low, sum = sums.total(b);
      b.onOneThread([&] { addSum(first, sum); });
      // The next sums take the same place.
      b.barrier();
    });
  });
}

static void emitUsage(UsageOp op, LoopBuilder &host) {
  Value idx = flatten(host, op.getIdx()), weights = flatten(host, op.getWeights()), mass = op.getMass();
  int64_t experts = host.staticDim(mass, 0);
  Value pairs = sizeOf(host, idx);
  auto scratch = [&](Value size) { return host.heap({ShapedType::kDynamic}, host.getI32Type(), {size}); };
  Value order = scratch(pairs), starts = scratch(pairs), count = scratch(host.index(2));
  emitSortedPairs(host, idx, experts, order, starts, count);
  Value blocks = host.ceilDiv(host.min(pairs, host.index(experts)), kThreads);
  emitLaunch(host, blocks, kThreads,
             [&](BlockBuilder &b, Value block) { emitUsageBlock(b, block, idx, weights, mass, order, starts, count); });
  for (Value buffer : {order, starts, count})
    host.free(buffer);
}

static const char *rejectUsage(UsageOp op) {
  bool dense = isDense(op.getIdx(), 0) && isDense(op.getWeights(), 0);
  return dense ? nullptr : "idx or weights do not flatten";
}

/// `byRow`: why the other form, which few pairs take, cannot be.
template <typename OpTy>
static void addRowOp(Emitters &emitters, void (*emit)(OpTy, LoopBuilder &, const GpuInfo &),
                     const char *(*byRow)(OpTy)) {
  addByExpert<OpTy>(emitters, emit, PoolProducts::reject, byRow);
  emitters.grid<OpTy>({.emit = emit, .reject = byRow});
}

void device::addPool(Emitters &emitters) {
  emitters.grid<SortPairsOp>({.emit = emitSortPairs, .reject = rejectSortPairs});
  addRowOp<PoolGradOp>(emitters, emitPoolGrad, rejectPoolGrad);
  addRowOp<PoolGradNormOp>(emitters, emitPoolGradNorm, RowPass::reject<PoolGradNormOp>);
  addRowOp<RowUpdateOp>(emitters, emitRowUpdate, RowPass::reject<RowUpdateOp>);
  emitters.grid<UsageOp>({.emit = emitUsage, .reject = rejectUsage});
}
