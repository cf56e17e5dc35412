//===- Matmul.cpp - dense f32 products on the tensor cores ---------------===//

#include "Matmul.h"

#include "lowering/gpu/block/Mma.h"
#include "lowering/gpu/block/SharedTile.h"

using namespace mlir;
using namespace peer;
using namespace peer::device;
using arith::CmpIPredicate;

/// Columns of a and rows of b that a stage of the pipeline holds.
static constexpr int64_t kDepth = 16;
/// Tiles in shared memory: one is computed with, the others are on their way.
static constexpr int64_t kStages = 3;
/// Blocks that each multiprocessor should have.
static constexpr int64_t kBlocks = 2;
/// Blocks at once that add parts up: a thread has many of them under way.
static constexpr int64_t kBlocksOfSums = 2;
/// A block's share of the depth, at least: less does not pay for the second launch.
static constexpr int64_t kLeastDepth = 128;

namespace {
/// One operand's tiles: `extent` rows of a or columns of b by kDepth. They lie in shared memory as in the buffer, so that they
/// can be copied by 16 bytes; the strides keep the 32 lanes of a fragment's load in different banks either way.
struct Operand {
  Operand(BlockBuilder &b, Value buffer, bool depthInner, int64_t extent)
      : buffer(buffer), depthInner(depthInner), extent(extent), stride(depthInner ? kDepth + 4 : extent + 8),
        stageSize(stride * (depthInner ? extent : kDepth)), tiles(b, kStages * stageSize) {}

  int64_t at(int64_t i, int64_t k) const { return depthInner ? i * stride + k : k * stride + i; }
  Value at(BlockBuilder &b, Value i, Value k) const {
    return b.add(b.mul(depthInner ? i : k, b.index(stride)), depthInner ? k : i);
  }

  void copy(BlockBuilder &b, Value first, Value end, Value depth, Value depthEnd, Value stage) const {
    Value offset = b.mul(stage, b.index(stageSize));
    if (depthInner)
      copyAsync(b, {buffer, first, end, depth, depthEnd, kDepth}, extent, kDepth, tiles, offset, stride);
    else
      copyAsync(b, {buffer, depth, depthEnd, first, end, kDepth}, kDepth, extent, tiles, offset, stride);
  }

  Value buffer;
  bool depthInner;
  int64_t extent, stride, stageSize;
  SharedFloats tiles;
};

/// A tile of c, summed over depths [begin, end).
struct TileJob {
  Value row, column, begin, end;
};

class MatmulKernel {
public:
  MatmulKernel(BlockBuilder &b, const Product &product, const MatmulTile &tile)
      : b(b), product(product), tile(tile), lane(b), left(b, product.a, !product.transposeA, tile.rows()),
        right(b, product.b, product.transposeB, tile.columns()) {
    Value warp = b.warp();
    warpRow = b.mul(b.div(warp, b.index(tile.warpsN)), b.index(16 * tile.fragmentsM));
    warpColumn = b.mul(b.rem(warp, b.index(tile.warpsN)), b.index(8 * tile.fragmentsN));
  }

  /// Writes to rows from `firstRow` of `to`.
  void emit(const TileJob &job, Value to, Value firstRow);

private:
  size_t count() const { return tile.fragmentsM * tile.fragmentsN; }
  void copy(const TileJob &job, Value step, Value stage);
  SmallVector<FragmentC> multiplyStage(Value stage);
  void store(const TileJob &job, ArrayRef<Value> sums, Value to, Value firstRow);

  BlockBuilder &b;
  const Product &product;
  MatmulTile tile;
  MmaLane lane;
  Operand left, right;
  Value warpRow, warpColumn; // within the tile
};
} // namespace

void MatmulKernel::copy(const TileJob &job, Value step, Value stage) {
  Value depth = b.add(job.begin, b.mul(step, b.index(kDepth)));
  // Past the end nothing is copied: the group is empty.
  b.ifThen(b.cmp(CmpIPredicate::ult, depth, job.end), [&] {
    left.copy(b, job.row, product.rows(b), depth, job.end, stage);
    right.copy(b, job.column, product.columns(b), depth, job.end, stage);
  });
  commitCopies(b);
}

SmallVector<FragmentC> MatmulKernel::multiplyStage(Value stage) {
  Value leftLane = b.add(left.at(b, b.add(warpRow, lane.group), lane.member), b.mul(stage, b.index(left.stageSize)));
  Value rightLane =
      b.add(right.at(b, b.add(warpColumn, lane.group), lane.member), b.mul(stage, b.index(right.stageSize)));
  SmallVector<FragmentC> sums(count(), zeroFragment(b));
  for (int64_t k = 0; k < kDepth; k += 8) {
    SmallVector<SplitA> as;
    for (int64_t m = 0; m < tile.fragmentsM; ++m) {
      auto load = [&](int64_t i, int64_t j) { return left.tiles.load(b, leftLane, left.at(16 * m + i, k + j)); };
      as.push_back(splitA(b, {load(0, 0), load(8, 0), load(0, 4), load(8, 4)}));
    }
    for (int64_t n = 0; n < tile.fragmentsN; ++n) {
      auto load = [&](int64_t j) { return right.tiles.load(b, rightLane, right.at(8 * n, k + j)); };
      SplitB v = splitB(b, {load(0), load(4)});
      for (int64_t m = 0; m < tile.fragmentsM; ++m) {
        FragmentC &sum = sums[m * tile.fragmentsN + n];
        sum = mmaSplit(b, as[m], v, sum);
      }
    }
  }
  return sums;
}

void MatmulKernel::store(const TileJob &job, ArrayRef<Value> sums, Value to, Value firstRow) {
  Value rows = product.rows(b), columns = product.columns(b);
  bool pairs = accessWidth(product.c, 4) == 4;
  Value row0 = b.add(b.add(job.row, warpRow), lane.group);
  Value column0 = b.add(b.add(job.column, warpColumn), b.mul(lane.member, b.index(2)));
  auto below = [&](Value v, Value end) { return b.cmp(CmpIPredicate::ult, v, end); };
  b.onEachThread([&] {
    for (int64_t m = 0; m < 2 * tile.fragmentsM; ++m) {
      Value row = b.add(row0, b.index(8 * m)), target = b.add(firstRow, row);
      b.ifThen(below(row, rows), [&] {
        for (int64_t n = 0; n < tile.fragmentsN; ++n) {
          ArrayRef<Value> pair = sums.slice(4 * (m / 2 * tile.fragmentsN + n) + 2 * (m % 2), 2);
          Value column = b.add(column0, b.index(8 * n));
          if (pairs) {
            Value two = vector::FromElementsOp::create(b, VectorType::get({2}, b.getF32Type()), pair);
            b.ifThen(below(column, columns), [&] { b.store(two, to, {target, column}); });
            continue;
          }
          for (int64_t i = 0; i < 2; ++i) {
            Value single = b.add(column, b.index(i));
            b.ifThen(below(single, columns), [&] { b.store(pair[i], to, {target, single}); });
          }
        }
      });
    }
  });
}

void MatmulKernel::emit(const TileJob &job, Value to, Value firstRow) {
  for (int64_t stage = 0; stage + 1 < kStages; ++stage)
    copy(job, b.index(stage), b.index(stage));
  Value length = b.select(b.cmp(CmpIPredicate::ult, job.begin, job.end), b.sub(job.end, job.begin), b.index(0));
  SmallVector<Value> init(4 * count(), b.f32(0));
  init.push_back(b.index(0));
  SmallVector<Value> sums = b.loop(b.index(0), b.ceilDiv(length, kDepth), init, [&](Value step, ValueRange carried) {
    Value stage = carried.back();
    auto after = [&](Value s, int64_t steps) {
      Value next = b.add(s, b.index(steps));
      return b.select(b.cmp(CmpIPredicate::ult, next, b.index(kStages)), next, b.sub(next, b.index(kStages)));
    };
    awaitCopies(b, kStages - 2);
    // What was copied is there for all; the stage that is copied to next has been read by all.
    b.barrier();
    copy(job, b.add(step, b.index(kStages - 1)), after(stage, kStages - 1));
    // From zero, and added outside of the tensor cores: they truncate.
    SmallVector<Value> next;
    for (auto [f, sum] : llvm::enumerate(multiplyStage(stage)))
      for (size_t i = 0; i < 4; ++i)
        next.push_back(b.add(carried[4 * f + i], sum[i]));
    next.push_back(after(stage, 1));
    return next;
  });
  awaitCopies(b, 0);
  store(job, ArrayRef(sums).drop_back(), to, firstRow);
}

/// c[i, j] = sum over s of parts[s * m + i, j], in the order of s.
static void emitSumOfParts(LoopBuilder &host, const Product &product, Value parts, Value count) {
  Value rows = product.rows(host), columns = product.columns(host);
  int64_t width = accessWidth(product.c, 4);
  Value elements = host.mul(rows, host.div(columns, host.index(width)));
  launchForEach(host, elements, [&](BlockBuilder &b, Value element) {
    b.noteBlocks(kBlocksOfSums);
    Value perRow = b.div(columns, b.index(width));
    Value i = b.div(element, perRow), j = b.mul(b.rem(element, perRow), b.index(width));
    Value sum = b.loop(b.index(0), count, b.f32(0, b.floats(width)), [&](Value s, ValueRange carried) {
      Value part = b.loadWide(parts, {b.add(b.mul(s, rows), i), j}, width, /*readOnly=*/true);
      return SmallVector<Value>{b.add(carried[0], part)};
    })[0];
    b.store(sum, product.c, {i, j});
  });
}

void device::emitMatmul(LoopBuilder &host, const Product &product, const MatmulTile &tile, const GpuInfo &gpu) {
  Value rows = product.rows(host), columns = product.columns(host), depth = product.depth(host);
  Value one = host.index(1);
  Value tilesM = host.ceilDiv(rows, tile.rows()), tilesN = host.ceilDiv(columns, tile.columns());
  Value tiles = host.mul(tilesM, tilesN);
  auto atLeastOne = [&](Value v) -> Value { return arith::MaxUIOp::create(host, v, one); };
  Value wanted = atLeastOne(host.div(host.index(kBlocks * gpu.multiprocessors), atLeastOne(tiles)));
  Value most = atLeastOne(host.div(depth, host.index(kLeastDepth)));
  Value share = host.ceilDiv(depth, arith::MinUIOp::create(host, wanted, most));
  share = host.mul(atLeastOne(host.ceilDiv(share, kDepth)), host.index(kDepth));
  Value splits = atLeastOne(host.ceilDiv(depth, share));
  Value split = host.cmp(CmpIPredicate::ugt, splits, one);

  // One part is c itself.
  auto whole = MemRefType::get({ShapedType::kDynamic, host.staticDim(product.c, 1)}, host.getF32Type());
  Value partRows = host.select(split, host.mul(splits, rows), host.index(0));
  SmallVector<Value> sizes = {partRows, columns};
  Value parts = host.heap(whole.getShape(), host.getF32Type(), ArrayRef(sizes).take_front(whole.getNumDynamicDims()));
  Value to = host.select(split, parts, memref::CastOp::create(host, whole, product.c));
  emitLaunch(host, host.mul(tiles, splits), kThreads, [&](BlockBuilder &b, Value block) {
    Value part = b.div(block, tiles), inPart = b.rem(block, tiles);
    TileJob job;
    job.row = b.mul(b.div(inPart, tilesN), b.index(tile.rows()));
    job.column = b.mul(b.rem(inPart, tilesN), b.index(tile.columns()));
    job.begin = b.mul(part, share);
    job.end = arith::MinUIOp::create(b, b.add(job.begin, share), depth);
    MatmulKernel(b, product, tile).emit(job, to, b.mul(part, rows));
  });
  host.ifThen(split, [&] { emitSumOfParts(host, product, parts, splits); });
  host.free(parts);
}
