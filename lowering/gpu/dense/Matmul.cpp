//===- Matmul.cpp - dense f32 products on the tensor cores ---------------===//

#include "TileProduct.h"

using namespace mlir;
using namespace peer;
using namespace peer::device;
using arith::CmpIPredicate;

/// Blocks that each multiprocessor should have.
static constexpr int64_t kBlocks = 2;
/// Blocks at once that add parts up: a thread has many of them under way.
static constexpr int64_t kBlocksOfSums = 2;
/// A block's share of the depth, at least: less does not pay for the second launch.
static constexpr int64_t kLeastDepth = 128;

/// Writes to rows from `firstRow` of `to`.
static void emitTile(BlockBuilder &b, const Product &product, const MatmulTile &tile, const TileJob &job, Value to,
                     Value firstRow) {
  // What is stored is f32 in shared memory, as a is.
  ProductOperand right(b, product.scales ? product.a : product.b, product.transposeB, tile.columns());
  if (product.scales)
    right.readStored(product.stored());
  TileProduct kernel(b, tile, {b, product.a, !product.transposeA, tile.rows()}, right);
  if (product.bf16)
    kernel.roundToBf16();
  SmallVector<Value> sums = kernel.emit(job);
  bool pairs = accessWidth(product.c, 4) == 4;
  auto below = [&](Value v, Value end) { return b.cmp(CmpIPredicate::ult, v, end); };
  kernel.forEachRow(job, sums, [&](Value row, llvm::function_ref<void(TileProduct::UsePair)> forEachPair) {
    Value target = b.add(firstRow, row);
    forEachPair([&](Value column, ArrayRef<Value> pair) {
      if (pairs) {
        Value two = vector::FromElementsOp::create(b, VectorType::get({2}, b.getF32Type()), pair);
        return b.ifThen(below(column, job.columnEnd), [&] { b.store(two, to, {target, column}); });
      }
      for (int64_t i = 0; i < 2; ++i) {
        Value single = b.add(column, b.index(i));
        b.ifThen(below(single, job.columnEnd), [&] { b.store(pair[i], to, {target, single}); });
      }
    });
  });
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
  share = host.mul(atLeastOne(host.ceilDiv(share, kProductDepth)), host.index(kProductDepth));
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
    job.rowEnd = product.rows(b);
    job.columnEnd = product.columns(b);
    emitTile(b, product, tile, job, to, b.mul(part, rows));
  });
  host.ifThen(split, [&] { emitSumOfParts(host, product, parts, splits); });
  host.free(parts);
}
