//===- Attention.cpp - attention -----------------------------------------===//

#include "Attention.h"

#include "lowering/emit/RoutingBuilder.h"

#include "lowering/gpu/Emitters.h"

#include <cmath>

using namespace mlir;
using namespace peer;
using namespace peer::device;
using arith::CmpIPredicate;

/// Keys of a tile: what the registers hold beside a wide head's queries and outputs.
static int64_t tileKeys(HeadWidth head) { return head.padded() <= 64 ? 32 : 16; }
/// Blocks at once where rows of heads are copied element by element: the addresses take registers, too.
static constexpr int64_t kUnalignedBlocks = 3;
/// Below every score, and yet finite: differences stay numbers.
static constexpr double kLowest = -3.0e38;

Value SequenceBlocks::count(LoopBuilder &host, Value tokens) const {
  return host.mul(host.div(tokens, host.index(context)), host.index(head.heads * parts()));
}

SequenceBlocks::Place SequenceBlocks::place(BlockBuilder &b, Value block, Value tokens) const {
  Value perPart = b.mul(b.div(tokens, b.index(context)), b.index(head.heads));
  Value inPart = b.rem(block, perPart), sequence = b.div(inPart, b.index(head.heads));
  return {b.mul(sequence, b.index(context)), b.rem(inPart, b.index(head.heads)), b.div(block, perPart)};
}

Value device::firstOfWindow(LoopBuilder &b, Value position, std::optional<int64_t> window) {
  return window ? b.max(b.sub(position, b.index(*window - 1)), b.index(0)) : b.index(0);
}

device::SeenKeys::SeenKeys(LoopBuilder &b, std::array<Value, 2> last, std::optional<int64_t> window)
    : b(b), last(last) {
  if (window)
    before = {b.sub(last[0], b.i32(*window)), b.sub(last[1], b.i32(*window))};
}

Value device::SeenKeys::operator()(Value key, int64_t half) const {
  Value seen = b.cmp(CmpIPredicate::sle, key, last[half]);
  return before[half] ? both(b, seen, b.cmp(CmpIPredicate::sgt, key, before[half])) : seen;
}

void device::emitAttend(BlockBuilder &b, HeadWidth head, const AttendJob &job, Value query, Value key, Value value,
                        Value output) {
  FlashBuilder flash(b, head);
  double scale = 1 / std::sqrt(double(head.width));
  constexpr int64_t stages = 2;
  int64_t tileRows = tileKeys(head), tileSize = tileRows * head.stride();
  SharedNumbers keys(b, stages * tileSize), values(b, stages * tileSize);
  Value columnEnd = b.add(job.column, b.index(head.width));
  Value keyColumnEnd = job.keyColumn == job.column ? columnEnd : b.add(job.keyColumn, b.index(head.width));
  auto rowsOf = [&](Value buffer) {
    return Window{buffer, job.queryRow, job.queryEnd, job.column, columnEnd, head.width};
  };
  auto keysOf = [&](Value buffer, Value row) {
    return Window{buffer, row, job.keyEnd, job.keyColumn, keyColumnEnd, head.width};
  };
  RowsOfWarp queries = flash.loadRows(rowsOf(query));
  Value keyCount = b.sub(job.keyEnd, job.keyRow);
  auto lastOf = [&](int64_t half) {
    return b.toI32(b.min(b.add(job.position, flash.row(half)), b.sub(keyCount, b.index(1))));
  };
  SeenKeys isSeen(b, {lastOf(0), lastOf(1)}, job.window);
  Value rows = b.min(b.index(kForwardRows), b.sub(job.queryEnd, job.queryRow));
  Value visible = b.min(b.add(job.position, rows), keyCount);
  Value tiles = b.ceilDiv(visible, tileRows), firstTile = b.index(0);
  if (job.window)
    firstTile =
        b.div(firstOfWindow(b, b.min(job.position, b.sub(keyCount, b.index(1))), job.window), b.index(tileRows));
  if (head.padded() <= 32 && head.width % 4 != 0)
    b.noteBlocks(kUnalignedBlocks);

  // Per row of the lane: maximum so far, the lane's part of the sum; then the output's fragments.
  SmallVector<Value> init = {b.f32(kLowest), b.f32(kLowest), b.f32(0), b.f32(0)};
  append(init, zeroFragments(b, head.steps()));
  auto copy = [&](Value tile, Value stage) {
    Value row = b.add(job.keyRow, b.mul(tile, b.index(tileRows))), offset = b.mul(stage, b.index(tileSize));
    copyAsync(b, keysOf(key, row), tileRows, head.padded(), keys, offset, head.stride());
    copyAsync(b, keysOf(value, row), tileRows, head.padded(), values, offset, head.stride());
  };
  auto attend = [&](Value tile, Value stage, ValueRange carried) {
    Value offset = b.mul(stage, b.index(tileSize));
    Fragments p = flash.timesTransposed(queries, {keys, offset}, tileRows / 8);
    Value first = b.toI32(b.mul(tile, b.index(tileRows)));
    auto seen = [&](int64_t n, int64_t e) { return isSeen(b.add(first, b.toI32(flash.column(n, e))), e / 2); };
    std::array<Value, 2> highest = {carried[0], carried[1]}, sum, shrink;
    for (int64_t n = 0; n < tileRows / 8; ++n)
      for (int64_t e = 0; e < 4; ++e) {
        p[n][e] = b.select(seen(n, e), b.mul(p[n][e], b.f32(scale)), b.f32(kLowest));
        highest[e / 2] = b.max(highest[e / 2], p[n][e]);
      }
    for (int64_t half = 0; half < 2; ++half) {
      highest[half] = flash.rowMax(highest[half]);
      shrink[half] = b.exp(b.sub(carried[half], highest[half]));
      sum[half] = b.mul(carried[2 + half], shrink[half]);
    }
    for (int64_t n = 0; n < tileRows / 8; ++n)
      for (int64_t e = 0; e < 4; ++e) {
        p[n][e] = b.select(seen(n, e), b.exp(b.sub(p[n][e], highest[e / 2])), b.f32(0));
        sum[e / 2] = b.add(sum[e / 2], p[n][e]);
      }
    SmallVector<Value> next = {highest[0], highest[1], sum[0], sum[1]};
    append(next, flash.addTimes(takeFragments(carried, 4, head.steps()), p, {values, offset}, shrink));
    return next;
  };
  SmallVector<Value> result = forTiles(b, firstTile, tiles, stages, init, copy, attend);

  Fragments outputs = takeFragments(result, 4, head.steps());
  for (int64_t half = 0; half < 2; ++half) {
    Value inverse = b.div(b.f32(1), flash.rowSum(result[2 + half]));
    for (FragmentC &fragment : outputs)
      for (int64_t e = 2 * half; e < 2 * half + 2; ++e)
        fragment[e] = b.mul(fragment[e], inverse);
  }
  flash.storeRows(outputs, rowsOf(output));
}

static void emit(AttentionOp op, LoopBuilder &host) {
  int64_t heads = op.getHeads(), context = op.getContextLength(), group = groupOf(op.getQuery(), op.getKey());
  Value query = op.getQuery(), tokens = host.dim(query, 0);
  SequenceBlocks blocks{{heads, host.staticDim(query, 1) / heads}, context, kForwardRows};
  emitLaunch(host, blocks.count(host, tokens), kForwardWarps * kWarpSize, [&](BlockBuilder &b, Value block) {
    auto [sequenceRow, head, part] = blocks.place(b, block, tokens);
    AttendJob job;
    // The last rows see most: they start first.
    job.position = b.mul(b.sub(b.index(blocks.parts() - 1), part), b.index(kForwardRows));
    job.column = job.keyColumn = b.mul(head, b.index(blocks.head.width));
    if (group > 1)
      job.keyColumn = b.mul(b.div(head, b.index(group)), b.index(blocks.head.width));
    job.window = op.getWindow();
    job.queryRow = b.add(sequenceRow, job.position);
    job.keyRow = sequenceRow;
    job.queryEnd = job.keyEnd = b.add(sequenceRow, b.index(context));
    emitAttend(b, blocks.head, job, query, op.getKey(), op.getValue(), op.getY());
  });
}

const char *device::rejectWideHeads(Value query, int64_t heads) {
  return dimOf(query, 1) / heads > kWidestHead ? "the head does not fit the registers" : nullptr;
}

void device::addAttention(Emitters &emitters) {
  emitters.grid<AttentionOp>(
      {.emit = emit, .reject = rejectHeads<AttentionOp>, .tileSizes = wideHeadTiles<AttentionOp>});
}
