//===- VectorMatrix.cpp - products of one row ----------------------------===//
//
// Decoding multiplies one row with each weight of a model, so all that counts is to read the weights at full speed: 16 bytes
// per load, several loads under way per thread, enough blocks for the whole GPU.
//
//===----------------------------------------------------------------------===//

#include "Matmul.h"

#include "lowering/gpu/block/SharedTile.h"
#include "lowering/gpu/block/StoredWords.h"

using namespace mlir;
using namespace peer;
using namespace peer::device;
using arith::CmpIPredicate;

/// Loads of a thread that do not wait for each other.
static constexpr int64_t kUnroll = 4;

/// sum over i = first, first + step, ... below size of term(i): a float vector or scalar of this type.
static Value emitStridedSum(BlockBuilder &b, Value first, Value size, int64_t step, Type type,
                            llvm::function_ref<Value(Value)> term) {
  int64_t wide = kUnroll * step;
  // What whole rounds of all threads cover.
  Value whole = b.mul(b.div(size, b.index(wide)), b.index(wide));
  SmallVector<Value> init(kUnroll, b.f32(0, type));
  auto sums = b.loop(
      first, whole, init,
      [&](Value i, ValueRange carried) {
        SmallVector<Value> next;
        for (int64_t u = 0; u < kUnroll; ++u)
          next.push_back(b.add(carried[u], term(b.add(i, b.index(u * step)))));
        return next;
      },
      wide);
  Value sum = b.add(b.add(sums[0], sums[1]), b.add(sums[2], sums[3]));
  return b.loop(
      b.add(whole, first), size, sum,
      [&](Value i, ValueRange carried) { return SmallVector<Value>{b.add(carried[0], term(i))}; }, step)[0];
}

/// What is multiplied of what was loaded.
static Value factor(BlockBuilder &b, const Product &product, Value loaded) {
  return product.bf16 ? b.roundToBf16(loaded) : loaded;
}

/// x[i..], the only row of a.
static Value loadX(BlockBuilder &b, const Product &product, Value i, int64_t width) {
  Value zero = b.index(0);
  SmallVector<Value> at = {zero, i};
  if (product.transposeA)
    at = {i, zero};
  return factor(b, product, b.loadWide(product.a, at, width, /*readOnly=*/true));
}

/// b is n x k: a warp for each of its rows.
static void emitDots(LoopBuilder &host, const Product &product) {
  Value columns = product.columns(host), depth = product.depth(host);
  int64_t width = accessWidth(product.b, 4);
  if (product.transposeA || accessWidth(product.a, 4) != 4)
    width = 1;
  constexpr int64_t warps = kThreads / kWarpSize;
  Value blocks = host.ceilDiv(columns, warps);
  emitLaunch(host, blocks, kThreads, [&](BlockBuilder &b, Value block) {
    Value j = b.add(b.mul(block, b.index(warps)), b.warp());
    b.ifThen(b.cmp(CmpIPredicate::ult, j, columns), [&] {
      Value first = b.mul(b.lane(), b.index(width));
      Value sum = emitStridedSum(b, first, depth, kWarpSize * width, b.floats(width), [&](Value i) {
        Value weights = factor(b, product, b.loadWide(product.b, {j, i}, width, /*readOnly=*/true));
        return b.mul(loadX(b, product, i, width), weights);
      });
      Value total = b.warpSum(b.sumLanes(sum));
      b.onEachThread([&] {
        b.ifThen(b.cmp(CmpIPredicate::eq, b.lane(), b.index(0)), [&] { b.store(total, product.c, {b.index(0), j}); });
      });
    });
  });
}

/// b is stored in fewer bits, n x k: a warp for each of its rows, whose lanes read up to 16 of its bytes at a time.
static void emitStoredDots(LoopBuilder &host, const Product &product) {
  StoredTable table = product.stored();
  int64_t width = StoredWords::width(table, 16), perByte = table.packed ? 2 : 1;
  int64_t xWidth = std::min(width, accessWidth(product.a, 4));
  Value columns = product.columns(host);
  constexpr int64_t warps = kThreads / kWarpSize;
  emitLaunch(host, host.ceilDiv(columns, warps), kThreads, [&](BlockBuilder &b, Value block) {
    Value j = b.add(b.mul(block, b.index(warps)), b.warp());
    b.ifThen(b.cmp(CmpIPredicate::ult, j, columns), [&] {
      // Elements of the first half of a lane's bytes; those of the other, if there is one, follow.
      Value first = b.mul(b.lane(), b.index(width * perByte));
      Type type = b.floats(xWidth);
      Value sum = emitStridedSum(b, first, b.index(table.width), kWarpSize * width * perByte, type, [&](Value at) {
        StoredWords words(b, table, j, at, width);
        Value part = b.f32(0, type);
        for (int64_t half = 0; half < perByte; ++half) {
          Value from = half ? b.add(at, b.index(kStoredBlock / 2)) : at, elements = words.half(half);
          for (int64_t e = 0; e < width; e += xWidth) {
            Value x = loadX(b, product, b.add(from, b.index(e)), xWidth), weights = elements;
            if (width > xWidth) {
              SmallVector<Value> some;
              for (int64_t i = e; i < e + xWidth; ++i)
                some.push_back(vector::ExtractOp::create(b, elements, i));
              weights = xWidth == 1 ? some[0] : vector::FromElementsOp::create(b, cast<VectorType>(type), some);
            }
            part = b.fma(x, weights, part);
          }
        }
        return table.isGrouped ? b.mul(part, b.splat(words.scale(), type)) : part;
      });
      Value total = b.warpSum(b.sumLanes(sum));
      if (table.hasVectorScales())
        total = b.mul(total, b.loadWide(table.scales, {j}, 1, /*readOnly=*/true));
      b.onEachThread([&] {
        b.ifThen(b.cmp(CmpIPredicate::eq, b.lane(), b.index(0)), [&] { b.store(total, product.c, {b.index(0), j}); });
      });
    });
  });
}

/// b is k x n: a block takes a few columns, its threads share the depth.
static void emitColumns(LoopBuilder &host, const Product &product) {
  Value columns = product.columns(host), depth = product.depth(host);
  int64_t width = accessWidth(product.b, 4), known = host.staticDim(product.c, 1);
  // Lanes side by side in a row: 32 bytes at least, more where there are blocks enough.
  int64_t across = kWarpSize;
  if (width == 4)
    across = known >= 8192 ? 8 : known >= 4096 ? 4 : 2;
  int64_t perBlock = across * width, warps = kThreads / kWarpSize;
  Value blocks = host.ceilDiv(columns, perBlock);
  emitLaunch(host, blocks, kThreads, [&](BlockBuilder &b, Value block) {
    Value inRow = b.rem(b.thread(), b.index(across)), first = b.div(b.thread(), b.index(across));
    Value column = b.add(b.mul(block, b.index(perBlock)), b.mul(inRow, b.index(width)));
    Value inside = b.cmp(CmpIPredicate::ult, column, columns), safe = b.select(inside, column, b.index(0));
    Type type = b.floats(width);
    Value sum = emitStridedSum(b, first, depth, kThreads / across, type, [&](Value i) {
      Value weights = factor(b, product, b.loadWide(product.b, {i, safe}, width, /*readOnly=*/true));
      return b.mul(b.splat(loadX(b, product, i, 1), type), weights);
    });
    Value parts = b.shared({warps, perBlock}, b.getF32Type());
    b.onEachThread([&] {
      for (int64_t e = 0; e < width; ++e) {
        Value single = width == 1 ? sum : Value(vector::ExtractOp::create(b, sum, e));
        for (int64_t mask = across; mask < kWarpSize; mask *= 2)
          single = b.add(single, b.shuffleXor(single, mask));
        b.ifThen(b.cmp(CmpIPredicate::ult, b.lane(), b.index(across)),
                 [&] { b.store(single, parts, {b.warp(), b.add(b.mul(inRow, b.index(width)), b.index(e))}); });
      }
    });
    b.barrier();
    b.forThreads(b.index(perBlock), [&](Value j) {
      Value total = b.load(parts, {b.index(0), j});
      for (int64_t w = 1; w < warps; ++w)
        total = b.add(total, b.load(parts, {b.index(w), j}));
      Value at = b.add(b.mul(block, b.index(perBlock)), j);
      b.ifThen(b.cmp(CmpIPredicate::ult, at, columns), [&] { b.store(total, product.c, {b.index(0), at}); });
    });
  });
}

void device::emitVectorMatrix(LoopBuilder &host, const Product &product) {
  if (product.scales)
    emitStoredDots(host, product);
  else if (product.transposeB)
    emitDots(host, product);
  else
    emitColumns(host, product);
}
