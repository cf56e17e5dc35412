//===- PoolProducts.cpp - a pool's gradient, expert by expert ------------===//

#include "PoolProducts.h"

#include "lowering/gpu/dense/TileProduct.h"

using namespace mlir;
using namespace peer;
using namespace peer::device;
using arith::CmpIPredicate;

/// Blocks of a launch, in numbers of those that there are at once: more balance better, and those without a tile cost little.
static constexpr int64_t kWaves = 8;
/// Blocks on a multiprocessor: sums, rows and an optimizer's states are in registers.
static constexpr int64_t kBlocks = 2;

/// Experts of few rows have flat tiles.
static MatmulTile tileFor(int64_t rows) {
  if (rows <= 16)
    return {1, 8, 1, 2};
  return rows <= 32 ? MatmulTile{2, 4, 1, 4} : MatmulTile{4, 2, 1, 4};
}

const char *device::rejectFewPairs(Operation *op, Value idx) {
  auto type = cast<ShapedType>(idx.getType());
  if (!type.hasStaticShape())
    return nullptr;
  int64_t pairs = type.getNumElements(), experts = getExpertsOf(op);
  bool enough = pairs >= (experts ? std::min(pairs, experts) : pairs) * getGroupFrom(op);
  return enough ? nullptr : "there are too few pairs for each expert that they may touch";
}

HostForm::HostForm(LoopBuilder &host, Operation *op, Value pairs) : pairs(pairs) {
  if (getConstantIntValue(pairs))
    return;
  int64_t experts = getExpertsOf(op);
  Value touched = experts ? host.min(pairs, host.index(experts)) : pairs;
  condition = host.cmp(CmpIPredicate::uge, pairs, host.mul(touched, host.index(getGroupFrom(op))));
}

void HostForm::emit(LoopBuilder &host, llvm::function_ref<void()> byExpert, llvm::function_ref<void()> byToken) const {
  if (condition)
    host.ifThen(condition, byExpert, byToken);
  else
    byExpert();
}

Value HostForm::used(LoopBuilder &host) const {
  return condition ? host.select(condition, pairs, host.index(0)) : pairs;
}

/// A tile of sums that a block has.
struct PoolProducts::Tile {
  BlockBuilder &b;
  TileProduct &product;
  const TileJob &job;
  ArrayRef<Value> sums;
  Value firstRow, firstNumber; // of the expert's rows: in the pool, among the touched ones
  Value columns;               // the number of the tile of columns
};

PoolProducts::PoolProducts(LoopBuilder &host, Operation *op, Operands operands, ValueRange tables, const GpuInfo &gpu)
    : in(operands), tile(tileFor(host.staticDim(in.coef, 3))),
      perToken(host.staticDim(in.idx, 1) * host.staticDim(in.idx, 2)), rowsPerExpert(host.staticDim(in.coef, 3)),
      vectors(host.staticDim(in.coef, 4)), width(host.staticDim(in.x, 1)),
      tilesM(llvm::divideCeil(rowsPerExpert, tile.rows())), tilesN(llvm::divideCeil(width, tile.columns())),
      pairs(sizeOf(host, in.idx)), form(host, op, pairs) {
  in.idx = flatten(host, in.idx);
  in.coef = memref::CollapseShapeOp::create(host, in.coef, ArrayRef<ReassociationIndices>{{0, 1, 2}, {3}, {4}});
  lanes = width % 2 == 0 && llvm::all_of(tables, isAligned) ? 2 : 1;
  int64_t experts = getExpertsOf(op);
  Value segments = experts ? host.min(pairs, host.index(experts)) : pairs;
  mostRows = host.mul(segments, host.index(rowsPerExpert));
  blocksOfVector =
      host.min(host.mul(segments, host.index(tilesM * tilesN)), host.index(kWaves * gpu.blocksAtOnce(kThreads)));
}

const char *PoolProducts::reject(Operation *op) {
  if (const char *why = rejectGrouping(op))
    return why;
  if (cast<ShapedType>(cast<RowGradOpInterface>(op).getCoef().getType()).getDimSize(4) == 1)
    return "rows of one vector are summed pair by pair";
  if (const char *why = rejectFewPairs(op, cast<RowGradOpInterface>(op).getIdxMutable().get()))
    return why;
  auto identity = [](Value buffer) { return cast<MemRefType>(buffer.getType()).getLayout().isIdentity(); };
  return llvm::all_of(op->getOperands(), identity) ? nullptr : "an operand is part of a larger buffer";
}

void PoolProducts::launchTiles(LoopBuilder &host, int64_t f,
                               llvm::function_ref<std::function<void(Tile &)>(BlockBuilder &, Value block)> begin,
                               llvm::function_ref<void(BlockBuilder &, Value block)> end) const {
  emitLaunch(host, blocksOfVector, kThreads, [&](BlockBuilder &b, Value block) {
    b.noteBlocks(kBlocks);
    Value number = b.add(block, b.mul(blocksOfVector, b.index(f)));
    std::function<void(Tile &)> use = begin(b, number);
    auto pairAt = [&](Value entry) { return b.toIndex(b.load(in.order, {entry})); };
    auto tokenAt = [&](Value entry) { return b.div(pairAt(entry), b.index(perToken)); };
    OpFoldResult zero = b.getIndexAttr(0), one = b.getIndexAttr(1);
    auto coefType = cast<MemRefType>(in.coef.getType());
    SmallVector<OpFoldResult> offsets{zero, zero, b.getIndexAttr(f)},
        sizes = memref::getMixedSizes(b, b.getLoc(), in.coef), strides{one, one, one};
    sizes.back() = one;
    auto ofVector = memref::SubViewOp::inferRankReducedResultType({coefType.getDimSize(0), rowsPerExpert}, coefType,
                                                                  offsets, sizes, strides);
    Value coef = memref::SubViewOp::create(b, cast<MemRefType>(ofVector), in.coef, offsets, sizes, strides);
    TileProduct product(b, tile, {b, coef, /*depthInner=*/false, tile.rows(), pairAt},
                        {b, f + 1 < vectors ? in.x : in.dy, /*depthInner=*/false, tile.columns(), tokenAt});
    Value segments = b.load(in.count, {b.index(0)}), all = b.load(in.count, {b.index(1)});
    Value units = b.mul(b.toIndex(segments), b.index(tilesM * tilesN));
    Value rounds = b.div(b.sub(b.add(units, blocksOfVector), b.add(block, b.index(1))), blocksOfVector);
    b.loop(rounds, [&](Value round) {
      Value unit = b.add(block, b.mul(round, blocksOfVector)), segment = b.div(unit, b.index(tilesM * tilesN));
      Value columns = b.rem(unit, b.index(tilesN)), rows = b.rem(b.div(unit, b.index(tilesN)), b.index(tilesM));
      Value next = b.add(b.toI32(segment), b.i32(1));
      TileJob job;
      job.row = b.mul(rows, b.index(tile.rows())), job.rowEnd = b.index(rowsPerExpert);
      job.column = b.mul(columns, b.index(tile.columns())), job.columnEnd = b.index(width);
      job.begin = b.toIndex(b.load(in.starts, {segment}));
      job.end = b.toIndex(loadBelow(b, in.starts, next, segments, all));
      Value expert = b.toIndex(b.load(in.idx, {pairAt(job.begin)})), perExpert = b.index(rowsPerExpert);
      SmallVector<Value> sums = product.emit(job);
      Tile done{b, product, job, sums, b.mul(expert, perExpert), b.mul(segment, perExpert), columns};
      use(done);
      // The next tile's copies take the place of what others may still read.
      b.barrier();
    });
    if (end)
      end(b, number);
  });
}

void PoolProducts::launch(LoopBuilder &host, llvm::function_ref<RowUse(BlockBuilder &, Value)> begin,
                          llvm::function_ref<void(BlockBuilder &, Value)> end) const {
  for (int64_t f = 0; f < vectors; ++f) {
    auto beginTiles = [&](BlockBuilder &b, Value block) {
      return [this, f, use = begin(b, block)](Tile &t) {
        BlockBuilder &b = t.b;
        Value vector = b.index(f);
        t.product.forEachRow(t.job, t.sums, [&](Value j, llvm::function_ref<void(TileProduct::UsePair)> forEachPair) {
          Value row = b.add(t.firstRow, j);
          Values ofRow;
          if (use.slice)
            ofRow = use.slice(b, {row, b.add(t.firstNumber, j), t.columns, {}, {}});
          auto useAt = [&](Value column, Value sum) {
            b.ifThen(b.cmp(CmpIPredicate::ult, column, t.job.columnEnd), [&] {
              RowPlace place{row, vector, column, lanes, {}};
              Values prepared = use.prepare ? use.prepare(b, place) : Values();
              use.use(b, place, prepared, sum, ofRow);
            });
          };
          forEachPair([&](Value column, ArrayRef<Value> two) {
            if (lanes == 2)
              return useAt(column, vector::FromElementsOp::create(b, VectorType::get({2}, b.getF32Type()), two));
            for (int64_t i = 0; i < 2; ++i)
              useAt(b.add(column, b.index(i)), two[i]);
          });
        });
      };
    };
    launchTiles(host, f, beginTiles, end);
  }
}

void PoolProducts::launchSquares(LoopBuilder &host, llvm::function_ref<Square(BlockBuilder &)> begin,
                                 Value squares) const {
  for (int64_t f = 0; f < vectors; ++f) {
    auto beginTiles = [&](BlockBuilder &b, Value) {
      return [this, f, squares, square = begin(b)](Tile &t) {
        BlockBuilder &b = t.b;
        // Past the ends of rows and columns sums are zero.
        Values ofRows = t.product.sumRows(t.sums, [&](Value sum) { return square(b, sum); });
        Value slice = b.add(b.mul(b.add(b.index(f * tilesN), t.columns), b.index(tile.warpsN)),
                            b.rem(b.warp(), b.index(tile.warpsN)));
        Value isFirst = b.cmp(CmpIPredicate::eq, b.rem(b.lane(), b.index(4)), b.index(0));
        size_t number = 0;
        t.product.forEachRow(t.job, t.sums, [&](Value j, llvm::function_ref<void(TileProduct::UsePair)>) {
          Value total = ofRows[number++];
          b.ifThen(isFirst, [&] { b.store(total, squares, {b.add(t.firstNumber, j), slice}); });
        });
      };
    };
    launchTiles(host, f, beginTiles, nullptr);
  }
}
