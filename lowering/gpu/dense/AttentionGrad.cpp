//===- AttentionGrad.cpp - the gradient of attention ---------------------===//
//
// Nothing was saved of the forward pass. With P = softmax(S), S = scale Q K^T:
//
//   dV = P^T dO,  dP = dO V^T,  dS = P (dP - d),  d_i = sum over j of P_ij dP_ij,  dQ = scale dS K,  dK = scale dS^T Q
//
// A block of the first launch has query rows: once over the keys for each row's maximum, sum and d, once more for dQ. A
// block of the second has key rows and goes over the queries that see them, of all heads that the keys serve, for dK and dV.
// Every sum has one owner.
//
//===----------------------------------------------------------------------===//

#include "Attention.h"

#include "lowering/emit/RoutingBuilder.h"

#include <cmath>

using namespace mlir;
using namespace peer;
using namespace peer::device;
using arith::CmpIPredicate;

static constexpr double kLowest = -3.0e38;

namespace {
/// What fits into shared memory: 16 rows of two matrices per warp, and tiles of two others. In registers the compiler would
/// keep both halves of every split row for the whole loop.
struct GradShape {
  HeadWidth head;

  int64_t warps() const { return head.padded() <= 64 ? 4 : 2; }
  int64_t rows() const { return 16 * warps(); }
  int64_t tileRows() const { return head.padded() <= 64 ? 16 : 8; }
  int64_t stages() const {
    int64_t floats = 2 * rows() * head.stride() + 4 * tileSize();
    return 4 * floats <= kStaticShared ? 2 : 1;
  }
  int64_t tileSize() const { return tileRows() * head.stride(); }
  /// At once on a multiprocessor: what shared memory has room for, or nearly. Rows of odd width are copied element by element, and
  /// the addresses take registers.
  int64_t blocks() const { return head.padded() <= 32 ? 5 : head.padded() <= 64 && head.width % 4 != 0 ? 3 : 4; }
  int64_t fragments() const { return tileRows() / 8; }
};

/// Of a row of scores.
struct RowStats {
  Value maximum, inverseSum, d;
};

class GradBlock {
public:
  GradBlock(BlockBuilder &b, AttentionGradOp op, GradShape shape, SequenceBlocks::Place place, Value stats)
      : b(b), op(op), shape(shape), head(shape.head), flash(b, shape.head), place(place), stats(stats),
        firsts(b, shape.stages() * shape.tileSize()), seconds(b, shape.stages() * shape.tileSize()) {
    group = groupOf(op.getQuery(), op.getKey());
    sequenceEnd = b.add(place.sequenceRow, b.index(int64_t(op.getContextLength())));
    start = b.mul(place.part, b.index(shape.rows()));
    scale = b.f32(1 / std::sqrt(double(head.width)));
  }

  void emitQueryGrad();
  void emitKeyGrad();

private:
  /// Of a head, which is one of the query's or of the keys', as the buffer is.
  Window window(Value buffer, Value row, Value number) {
    Value column = b.mul(number, b.index(head.width));
    return {buffer, row, sequenceEnd, column, b.add(column, b.index(head.width)), head.width};
  }
  /// The warp's rows of two matrices, the same rows of each.
  std::pair<RowsOfWarp, RowsOfWarp> takeRows(Value a, Value c);
  /// Over tiles of two matrices, of a head of theirs.
  SmallVector<Value> forTilePairs(Value from, Value end, Value a, Value c, Value number, ValueRange init,
                                  llvm::function_ref<SmallVector<Value>(Value tileRow, Value offset, ValueRange)> body);
  SmallVector<Value> addQueries(const RowsOfWarp &keys, const RowsOfWarp &values, Value number, ValueRange sums);
  Value statsRow(Value number, int64_t which) { return b.add(b.mul(number, b.index(3)), b.index(which)); }

  BlockBuilder &b;
  AttentionGradOp op;
  GradShape shape;
  HeadWidth head;
  FlashBuilder flash;
  /// Its head is one of the query's in the first launch, one of the keys' in the second.
  SequenceBlocks::Place place;
  int64_t group;                 // heads of the query for each head of the keys
  Value stats;                   // 3 heads x T: per head a row of maxima, of 1 / sum and of d
  SharedNumbers firsts, seconds; // tiles
  Value sequenceEnd;
  Value start; // the block's first row within the sequence
  Value scale;
};
} // namespace

std::pair<RowsOfWarp, RowsOfWarp> GradBlock::takeRows(Value a, Value c) {
  Value row = b.add(place.sequenceRow, start);
  auto share = [&](Value buffer) {
    SharedNumbers rows(b, shape.rows() * head.stride());
    copyAsync(b, window(buffer, row, place.head), shape.rows(), head.padded(), rows, b.index(0), head.stride());
    return flash.sharedRows({rows, b.index(0)});
  };
  std::pair<RowsOfWarp, RowsOfWarp> rows = {share(a), share(c)};
  commitCopies(b);
  awaitCopies(b, 0);
  b.barrier();
  b.noteBlocks(shape.blocks());
  return rows;
}

SmallVector<Value> GradBlock::forTilePairs(Value from, Value end, Value a, Value c, Value number, ValueRange init,
                                           llvm::function_ref<SmallVector<Value>(Value, Value, ValueRange)> body) {
  Value size = b.index(shape.tileRows());
  auto offsetOf = [&](Value stage) { return b.mul(stage, b.index(shape.tileSize())); };
  auto copy = [&](Value tile, Value stage) {
    Value row = b.add(place.sequenceRow, b.mul(tile, size));
    copyAsync(b, window(a, row, number), shape.tileRows(), head.padded(), firsts, offsetOf(stage), head.stride());
    copyAsync(b, window(c, row, number), shape.tileRows(), head.padded(), seconds, offsetOf(stage), head.stride());
  };
  Value tiles = b.ceilDiv(end, shape.tileRows());
  return forTiles(
      b, b.div(from, size), tiles, shape.stages(), init, copy,
      [&](Value tile, Value stage, ValueRange carried) { return body(b.mul(tile, size), offsetOf(stage), carried); });
}

void GradBlock::emitQueryGrad() {
  auto [queries, dys] = takeRows(op.getQuery(), op.getDy());
  Value context = b.index(int64_t(op.getContextLength()));
  Value end = b.min(b.add(start, b.index(shape.rows())), context);
  SeenKeys isSeen(b, {b.toI32(b.add(start, flash.row(0))), b.toI32(b.add(start, flash.row(1)))}, op.getWindow());
  Value first = firstOfWindow(b, start, op.getWindow());
  Value keyHead = group == 1 ? place.head : b.div(place.head, b.index(group));
  int64_t count = shape.fragments();
  auto seen = [&](Value tileRow, int64_t n, int64_t e) {
    return isSeen(b.add(b.toI32(tileRow), b.toI32(flash.column(n, e))), e / 2);
  };
  auto scoresOf = [&, &queries = queries](Value offset) {
    Fragments scores = flash.timesTransposed(queries, {firsts, offset}, count);
    for (FragmentC &fragment : scores)
      for (Value &score : fragment)
        score = b.mul(score, scale);
    return scores;
  };

  // Maximum, sum and sum of p dp for the lane's two rows; the sums are the lane's part.
  SmallVector<Value> init(6, b.f32(0));
  init[0] = init[1] = b.f32(kLowest);
  SmallVector<Value> sums =
      forTilePairs(first, end, op.getKey(), op.getValue(), keyHead, init,
                   [&, &dys = dys](Value tileRow, Value offset, ValueRange carried) {
                     Fragments scores = scoresOf(offset), dp = flash.timesTransposed(dys, {seconds, offset}, count);
                     SmallVector<Value> next(carried);
                     for (int64_t n = 0; n < count; ++n)
                       for (int64_t e = 0; e < 4; ++e) {
                         scores[n][e] = b.select(seen(tileRow, n, e), scores[n][e], b.f32(kLowest));
                         next[e / 2] = b.max(next[e / 2], scores[n][e]);
                       }
                     for (int64_t half = 0; half < 2; ++half) {
                       next[half] = flash.rowMax(next[half]);
                       Value shrink = b.exp(b.sub(carried[half], next[half]));
                       next[2 + half] = b.mul(next[2 + half], shrink);
                       next[4 + half] = b.mul(next[4 + half], shrink);
                     }
                     for (int64_t n = 0; n < count; ++n)
                       for (int64_t e = 0; e < 4; ++e) {
                         int64_t half = e / 2;
                         Value p = b.select(seen(tileRow, n, e), b.exp(b.sub(scores[n][e], next[half])), b.f32(0));
                         next[2 + half] = b.add(next[2 + half], p);
                         next[4 + half] = b.fma(p, dp[n][e], next[4 + half]);
                       }
                     return next;
                   });
  std::array<RowStats, 2> rows;
  for (int64_t half = 0; half < 2; ++half) {
    Value inverse = b.div(b.f32(1), flash.rowSum(sums[2 + half]));
    rows[half] = {sums[half], inverse, b.mul(flash.rowSum(sums[4 + half]), inverse)};
    Value row = b.add(start, flash.row(half));
    b.onEachThread([&] {
      Value inside = b.cmp(CmpIPredicate::ult, row, context);
      Value one = b.cmp(CmpIPredicate::eq, b.rem(b.lane(), b.index(4)), b.index(0));
      b.ifThen(arith::AndIOp::create(b, inside, one), [&] {
        Value at = b.add(place.sequenceRow, row);
        b.store(rows[half].maximum, stats, {statsRow(place.head, 0), at});
        b.store(rows[half].inverseSum, stats, {statsRow(place.head, 1), at});
        b.store(rows[half].d, stats, {statsRow(place.head, 2), at});
      });
    });
  }

  SmallVector<Value> none;
  append(none, zeroFragments(b, head.steps()));
  SmallVector<Value> result =
      forTilePairs(first, end, op.getKey(), op.getValue(), keyHead, none,
                   [&, &dys = dys](Value tileRow, Value offset, ValueRange carried) {
                     Fragments scores = scoresOf(offset), dp = flash.timesTransposed(dys, {seconds, offset}, count);
                     for (int64_t n = 0; n < count; ++n)
                       for (int64_t e = 0; e < 4; ++e) {
                         const RowStats &row = rows[e / 2];
                         Value p = b.mul(b.exp(b.sub(scores[n][e], row.maximum)), row.inverseSum);
                         Value ds = b.mul(p, b.sub(dp[n][e], row.d));
                         scores[n][e] = b.select(seen(tileRow, n, e), ds, b.f32(0));
                       }
                     SmallVector<Value> next;
                     append(next, flash.addTimes(takeFragments(carried, 0, head.steps()), scores, {firsts, offset}));
                     return next;
                   });
  for (Value &v : result)
    v = b.mul(v, scale);
  flash.storeRows(takeFragments(result, 0, head.steps()),
                  window(op.getDquery(), b.add(place.sequenceRow, start), place.head));
}

/// The sums of dK and dV with what the rows of one head of the query add.
SmallVector<Value> GradBlock::addQueries(const RowsOfWarp &keys, const RowsOfWarp &values, Value number,
                                         ValueRange sums) {
  Value context = b.index(int64_t(op.getContextLength())), end = context;
  // The last key is seen by one query less than the window has keys behind it.
  if (op.getWindow())
    end = b.min(context, b.add(start, b.index(shape.rows() + *op.getWindow() - 1)));
  int64_t count = shape.fragments();
  std::array<Value, 2> key = {b.add(start, flash.row(0)), b.add(start, flash.row(1))};
  return forTilePairs(
      start, end, op.getQuery(), op.getDy(), number, sums, [&](Value tileRow, Value offset, ValueRange carried) {
        // Rows are keys, columns are queries.
        Fragments scores = flash.timesTransposed(keys, {firsts, offset}, count);
        Fragments dp = flash.timesTransposed(values, {seconds, offset}, count), p = dp, ds = dp;
        for (int64_t n = 0; n < count; ++n)
          for (int64_t e = 0; e < 2; ++e) {
            Value query = b.add(tileRow, flash.column(n, e));
            Value inside = b.cmp(CmpIPredicate::ult, query, context);
            Value at = b.add(place.sequenceRow, b.select(inside, query, b.index(0)));
            std::array<Value, 3> row;
            for (int64_t i = 0; i < 3; ++i)
              row[i] = b.loadWide(stats, {statsRow(number, i), at}, 1, /*readOnly=*/true);
            for (int64_t half = 0; half < 2; ++half) {
              int64_t i = e + 2 * half;
              // Of a window both ends at once: a query before the key is far behind it, unsigned.
              Value seen = op.getWindow() ? b.cmp(CmpIPredicate::ult, b.sub(query, key[half]), b.index(*op.getWindow()))
                                          : b.cmp(CmpIPredicate::ule, key[half], query);
              seen = both(b, inside, seen);
              Value score = b.mul(scores[n][i], scale);
              p[n][i] = b.select(seen, b.mul(b.exp(b.sub(score, row[0])), row[1]), b.f32(0));
              ds[n][i] = b.select(seen, b.mul(p[n][i], b.sub(dp[n][i], row[2])), b.f32(0));
            }
          }
        SmallVector<Value> next;
        append(next, flash.addTimes(takeFragments(carried, 0, head.steps()), ds, {firsts, offset}));
        append(next, flash.addTimes(takeFragments(carried, 4 * head.steps(), head.steps()), p, {seconds, offset}));
        return next;
      });
}

void GradBlock::emitKeyGrad() {
  auto [keys, values] = takeRows(op.getKey(), op.getValue());
  SmallVector<Value> sums;
  append(sums, zeroFragments(b, 2 * head.steps()));
  if (group == 1) {
    sums = addQueries(keys, values, place.head, sums);
  } else {
    Value first = b.mul(place.head, b.index(group));
    sums = b.loop(b.index(0), b.index(group), sums, [&, &keys = keys, &values = values](Value i, ValueRange carried) {
      return addQueries(keys, values, b.add(first, i), carried);
    });
  }
  Value row = b.add(place.sequenceRow, start);
  Fragments dkey = takeFragments(sums, 0, head.steps());
  for (FragmentC &fragment : dkey)
    for (Value &v : fragment)
      v = b.mul(v, scale);
  flash.storeRows(dkey, window(op.getDkey(), row, place.head));
  flash.storeRows(takeFragments(sums, 4 * head.steps(), head.steps()), window(op.getDvalue(), row, place.head));
}

static void emitAttentionGrad(AttentionGradOp op, LoopBuilder &host) {
  int64_t heads = op.getHeads(), context = op.getContextLength();
  Value tokens = host.dim(op.getQuery(), 0);
  GradShape shape{{heads, host.staticDim(op.getQuery(), 1) / heads}};
  SequenceBlocks ofQueries{shape.head, context, shape.rows()}, ofKeys = ofQueries;
  ofKeys.head.heads /= groupOf(op.getQuery(), op.getKey());
  Value stats = host.heap({3 * heads, ShapedType::kDynamic}, host.getF32Type(), tokens);
  auto launch = [&](bool queries) {
    const SequenceBlocks &blocks = queries ? ofQueries : ofKeys;
    emitLaunch(host, blocks.count(host, tokens), shape.warps() * kWarpSize, [&](BlockBuilder &b, Value block) {
      SequenceBlocks::Place place = blocks.place(b, block, tokens);
      // The last queries see most keys, the first keys are seen by most queries: long parts start first.
      if (queries)
        place.part = b.sub(b.index(blocks.parts() - 1), place.part);
      GradBlock grad(b, op, shape, place, stats);
      queries ? grad.emitQueryGrad() : grad.emitKeyGrad();
    });
  };
  launch(/*queries=*/true);
  launch(/*queries=*/false);
  host.free(stats);
}

void device::addAttentionGrad(Emitters &emitters) {
  emitters.grid<AttentionGradOp>(
      {.emit = emitAttentionGrad, .reject = rejectHeads<AttentionGradOp>, .tileSizes = wideHeadTiles<AttentionGradOp>});
}
