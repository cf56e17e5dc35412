//===- TileProduct.cpp - a block's tile of a product on tensor cores ------===//

#include "TileProduct.h"

#include "lowering/gpu/block/StoredWords.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace peer;
using namespace peer::device;
using arith::CmpIPredicate;

/// Columns of a and rows of b that a stage of the pipeline holds.
static constexpr int64_t kDepth = kProductDepth;
/// Tiles in shared memory: one is computed with, the others are on their way.
static constexpr int64_t kStages = 3;

static Type elementOf(Value buffer) { return cast<MemRefType>(buffer.getType()).getElementType(); }

/// Elements from one row of a tile to the next: rows are whole pieces of 16 bytes, and the lanes of a fragment load from different banks, or
/// the same word.
static int64_t strideOf(Type element, bool depthInner, int64_t extent) {
  int64_t bytes = element.getIntOrFloatBitWidth() / 8;
  if (depthInner)
    return bytes == 4 ? kDepth + 4 : 48 / bytes;
  return bytes == 4 ? extent + 8 : extent + 16 / bytes;
}

ProductOperand::ProductOperand(BlockBuilder &b, Value buffer, bool depthInner, int64_t extent,
                               std::function<Value(Value)> rowAt)
    : buffer(buffer), depthInner(depthInner), extent(extent), stride(strideOf(elementOf(buffer), depthInner, extent)),
      stageSize(stride * (depthInner ? extent : kDepth)), tiles(b, kStages * stageSize, elementOf(buffer)),
      rowAt(std::move(rowAt)) {}

void ProductOperand::copy(BlockBuilder &b, Value first, Value end, Value depth, Value depthEnd, Value stage) const {
  Value offset = b.mul(stage, b.index(stageSize));
  if (stored)
    copyStored(b, first, end, depth, depthEnd, offset);
  else if (depthInner)
    copyAsync(b, {buffer, first, end, depth, depthEnd, kDepth, rowAt}, extent, kDepth, tiles, offset, stride);
  else
    copyAsync(b, {buffer, depth, depthEnd, first, end, kDepth, rowAt}, kDepth, extent, tiles, offset, stride);
}

/// Not asynchronous, as registers lie on the way; the barrier that others' copies want serves these, too.
void ProductOperand::copyStored(BlockBuilder &b, Value first, Value end, Value depth, Value depthEnd,
                                Value offset) const {
  int64_t width = StoredWords::width(*stored, 4), perRow = kDepth / width, pieces = extent * perRow;
  b.onEachThread([&] {
    for (int64_t round = 0; round < pieces; round += b.threads()) {
      Value piece = b.add(b.thread(), b.index(round));
      Value r = b.div(piece, b.index(perRow)), c = b.mul(b.rem(piece, b.index(perRow)), b.index(width));
      Value row = b.add(first, r), column = b.add(depth, c), zero = b.index(0);
      Value inside =
          arith::AndIOp::create(b, b.cmp(CmpIPredicate::ult, row, end), b.cmp(CmpIPredicate::ult, column, depthEnd));
      row = b.select(inside, row, zero);
      column = b.select(inside, column, zero);
      Value values = StoredWords(b, *stored, row, column, width).scaled();
      values = b.select(inside, values, b.f32(0, values.getType()));
      Value target = tiles.pointer(b, b.add(offset, b.add(b.mul(r, b.index(stride)), c)));
      auto write = [&] { LLVM::StoreOp::create(b, values, target, unsigned(4 * width)); };
      if (round + b.threads() <= pieces)
        write();
      else
        b.ifThen(b.cmp(CmpIPredicate::ult, piece, b.index(pieces)), write);
    }
  });
}

TileProduct::TileProduct(BlockBuilder &b, const MatmulTile &tile, ProductOperand left, ProductOperand right)
    : b(b), tile(tile), lane(b), left(std::move(left)), right(std::move(right)) {
  Value warp = b.warp();
  warpRow = b.mul(b.div(warp, b.index(tile.warpsN)), b.index(16 * tile.fragmentsM));
  warpColumn = b.mul(b.rem(warp, b.index(tile.warpsN)), b.index(8 * tile.fragmentsN));
}

void TileProduct::copy(const TileJob &job, Value step, Value stage) {
  Value depth = b.add(job.begin, b.mul(step, b.index(kDepth)));
  // Past the end nothing is copied: the group is empty.
  b.ifThen(b.cmp(CmpIPredicate::ult, depth, job.end), [&] {
    left.copy(b, job.row, job.rowEnd, depth, job.end, stage);
    right.copy(b, job.column, job.columnEnd, depth, job.end, stage);
  });
  commitCopies(b);
}

SmallVector<FragmentC> TileProduct::multiplyStage(Value stage) {
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
      std::array<Value, 2> loaded{load(0), load(4)};
      bool exact = !elementOf(right.buffer).isF32();
      SplitB v = exact ? SplitB() : splitB(b, loaded);
      for (int64_t m = 0; m < tile.fragmentsM; ++m) {
        FragmentC &sum = sums[m * tile.fragmentsN + n];
        sum = exact ? mmaExact(b, as[m], loaded, sum) : mmaSplit(b, as[m], v, sum);
      }
    }
  }
  return sums;
}

SmallVector<FragmentC> TileProduct::multiplyRounded(Value stage) {
  static_assert(kDepth == 16, "a stage is one product in depth");
  Value pair = b.mul(lane.member, b.index(2));
  Value leftLane = b.add(left.at(b, b.add(warpRow, lane.group), pair), b.mul(stage, b.index(left.stageSize)));
  Value rightLane = b.add(right.at(b, b.add(warpColumn, lane.group), pair), b.mul(stage, b.index(right.stageSize)));
  auto load = [&](const ProductOperand &operand, Value from, int64_t i, int64_t k) {
    auto element = [&](int64_t at) { return operand.tiles.load(b, from, operand.at(i, at)); };
    return packBf16(b, element(k), element(k + 1));
  };
  SmallVector<FragmentA> as;
  for (int64_t m = 0; m < 16 * tile.fragmentsM; m += 16)
    as.push_back({load(left, leftLane, m, 0), load(left, leftLane, m + 8, 0), load(left, leftLane, m, 8),
                  load(left, leftLane, m + 8, 8)});
  SmallVector<FragmentC> sums(count());
  for (int64_t n = 0; n < tile.fragmentsN; ++n) {
    FragmentB v{load(right, rightLane, 8 * n, 0), load(right, rightLane, 8 * n, 8)};
    for (int64_t m = 0; m < tile.fragmentsM; ++m)
      sums[m * tile.fragmentsN + n] = mmaBf16(b, as[m], v, zeroFragment(b));
  }
  return sums;
}

void TileProduct::forEachRow(const TileJob &job, ArrayRef<Value> sums,
                             llvm::function_ref<void(Value, llvm::function_ref<void(UsePair)>)> body) {
  Value row0 = b.add(b.add(job.row, warpRow), lane.group);
  Value column0 = b.add(b.add(job.column, warpColumn), b.mul(lane.member, b.index(2)));
  auto below = [&](Value v, Value end) { return b.cmp(CmpIPredicate::ult, v, end); };
  b.onEachThread([&] {
    for (int64_t m = 0; m < 2 * tile.fragmentsM; ++m) {
      Value row = b.add(row0, b.index(8 * m));
      auto forEachPair = [&](UsePair use) {
        for (int64_t n = 0; n < tile.fragmentsN; ++n) {
          Value column = b.add(column0, b.index(8 * n));
          use(column, sums.slice(4 * (m / 2 * tile.fragmentsN + n) + 2 * (m % 2), 2));
        }
      };
      b.ifThen(below(row, job.rowEnd), [&] { body(row, forEachPair); });
    }
  });
}

SmallVector<Value> TileProduct::sumRows(ArrayRef<Value> sums, llvm::function_ref<Value(Value)> term) {
  SmallVector<Value> totals;
  for (int64_t m = 0; m < 2 * tile.fragmentsM; ++m) {
    Value total;
    for (int64_t n = 0; n < tile.fragmentsN; ++n)
      for (Value sum : sums.slice(4 * (m / 2 * tile.fragmentsN + n) + 2 * (m % 2), 2))
        total = total ? b.add(total, term(sum)) : term(sum);
    for (int64_t mask : {1, 2})
      total = b.add(total, b.shuffleXor(total, mask));
    totals.push_back(total);
  }
  return totals;
}

SmallVector<Value> TileProduct::emit(const TileJob &job) {
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
    for (auto [f, sum] : llvm::enumerate(bf16 ? multiplyRounded(stage) : multiplyStage(stage)))
      for (size_t i = 0; i < 4; ++i)
        next.push_back(b.add(carried[4 * f + i], sum[i]));
    next.push_back(after(stage, 1));
    return next;
  });
  awaitCopies(b, 0);
  sums.pop_back();
  return sums;
}
