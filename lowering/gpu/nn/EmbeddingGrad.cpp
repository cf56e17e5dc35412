//===- EmbeddingGrad.cpp - the gradient of an embedding's table ----------===//
//
// A block owns some rows of the table and a strip of columns. It scans the tokens, keeps those that name one of its
// rows in a list in shared memory, in order, and each warp adds up the rows of the list that are its own: no atomics, the same
// sums on every run. Small tables, whose blocks would be few, are done for several ranges of tokens side by side.
//
//===----------------------------------------------------------------------===//

#include "Reject.h"
#include "lowering/gpu/block/Alignment.h"
#include "lowering/gpu/block/Columns.h"
#include "lowering/gpu/block/LaneRows.h"
#include "lowering/gpu/block/Scan.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace peer;
using namespace peer::device;
using arith::CmpIPredicate;

/// Tokens that a block looks at between two barriers: as many as its list holds.
static constexpr int64_t kScan = 1024;
/// Blocks at once that leave registers for a thread's part of the list.
static constexpr int64_t kListBlocks = 5;
/// Rows of dy that a warp waits for at the same time.
static constexpr int64_t kInFlight = 4;
/// Up to this many table rows there are blocks for few rows each.
static constexpr int64_t kSmallTable = 4096;
/// A table of up to so many bytes is worth copies for ranges of tokens.
static constexpr int64_t kCopiedTableBytes = 4 << 20;
static constexpr int64_t kMostRanges = 32;

namespace {
class TableGrad {
public:
  TableGrad(EmbeddingGradOp op, LoopBuilder &host)
      : op(op), rows(host.staticDim(op.getDtable(), 0)), columns(host.staticDim(op.getDtable(), 1)),
        lanes(alignedLanes(op, columns)), blockRows(rows <= kSmallTable ? kWarpSize : 8 * kWarpSize),
        tokens(host.dim(op.getDy(), 0)) {}
  void launch(LoopBuilder &host);

private:
  /// One launch; each range of tokens has its sums in `out`, at ranges x (rows * columns), or in the result if that is null.
  void launchRanges(LoopBuilder &host, Value rangeTokens, Value ranges, Value out);
  Value scan(BlockBuilder &b, const ColumnTile &tile, Value base, Value high);
  void addRow(BlockBuilder &b, Value row, Value listed, Value at, llvm::function_ref<void(Value sum)> add);
  Value gatherAll(BlockBuilder &b, Value mask, Value base, Value at, Value sum);
  std::pair<Value, Value> gather(BlockBuilder &b, Value mask, Value base, Value at, Value sum);

  EmbeddingGradOp op;
  int64_t rows, columns, lanes, blockRows;
  Value tokens;
  Value listTokens, listRows, counts; // shared
};
} // namespace

/// Lists the tokens in [base, base + kScan) and below `high` (i32) that name one of the tile's rows; returns how many (i32).
Value TableGrad::scan(BlockBuilder &b, const ColumnTile &tile, Value base, Value high) {
  int64_t rounds = kScan / b.threads();
  Value lane = b.toI32(b.lane()), zero = b.i32(0), one = b.i32(1), ofWarp = zero;
  Value start = b.add(b.add(base, b.toI32(b.mul(b.warp(), b.index(rounds * kWarpSize)))), lane);
  Values tokens, masks;
  for (int64_t round = 0; round < rounds; ++round) {
    Value t = b.add(start, b.i32(round * kWarpSize));
    Value exists = b.cmp(CmpIPredicate::slt, t, high);
    // Past the end any token serves: it is not counted.
    Value token = b.load(op.getTokens(), b.toIndex(b.select(exists, t, base))), row = b.toIndex(token);
    Value owned = both(b, b.cmp(CmpIPredicate::sge, row, tile.low), b.cmp(CmpIPredicate::slt, row, tile.high));
    tokens.push_back(token);
    masks.push_back(b.ballot(both(b, exists, owned)));
    ofWarp = b.add(ofWarp, emitPopCount(b, masks.back()));
  }
  b.onEachThread([&] { b.ifThen(b.cmp(CmpIPredicate::eq, lane, zero), [&] { b.store(ofWarp, counts, b.warp()); }); });
  b.barrier();
  b.noteBlocks(kListBlocks);
  Value total = zero, mine = zero;
  for (int64_t w = 0; w < b.warps(); ++w) {
    Value count = b.load(counts, b.index(w));
    Value before = b.cmp(CmpIPredicate::ult, b.index(w), b.warp());
    mine = b.add(mine, b.select(before, count, zero));
    total = b.add(total, count);
  }
  Value bit = arith::ShLIOp::create(b, one, lane), below = b.sub(bit, one);
  b.onEachThread([&] {
    for (auto [round, mask] : llvm::enumerate(masks)) {
      Value position = b.toIndex(b.add(mine, emitPopCount(b, arith::AndIOp::create(b, mask, below))));
      b.ifThen(b.cmp(CmpIPredicate::ne, arith::AndIOp::create(b, mask, bit), zero), [&] {
        b.store(b.add(start, b.i32(round * kWarpSize)), listTokens, position);
        b.store(tokens[round], listRows, position);
      });
      mine = b.add(mine, emitPopCount(b, mask));
    }
  });
  // The list ends with a whole warp's entries: the others name no row.
  b.onEachThread([&] {
    Value rest = b.add(total, lane);
    b.ifThen(both(b, b.cmp(CmpIPredicate::eq, b.warp(), b.index(0)), b.cmp(CmpIPredicate::slt, rest, b.i32(kScan))),
             [&] { b.store(b.i32(-1), listRows, b.toIndex(rest)); });
  });
  b.barrier();
  return total;
}

/// Adds dy of the list's entries base + i for the lowest bits i of the mask; returns the other bits, and the sum.
std::pair<Value, Value> TableGrad::gather(BlockBuilder &b, Value mask, Value base, Value at, Value sum) {
  Value zero = b.i32(0), nothing = b.f32(0, b.floats(lanes)), t;
  Values loaded;
  for (int64_t i = 0; i < kInFlight; ++i) {
    Value left = b.cmp(CmpIPredicate::ne, mask, zero);
    Value bit = LLVM::CountTrailingZerosOp::create(b, b.getI32Type(), mask, /*is_zero_poison=*/false);
    // No bit left: the row before is loaded again, from the cache, and not added.
    Value listed = b.load(listTokens, b.toIndex(b.add(base, t ? b.select(left, bit, zero) : bit)));
    t = t ? b.select(left, listed, t) : listed;
    Value row = b.load(op.getDy(), {b.toIndex(t), at}, lanes);
    loaded.push_back(b.select(left, row, nothing));
    mask = arith::AndIOp::create(b, mask, b.sub(mask, b.i32(1)));
  }
  for (Value row : loaded)
    sum = b.add(sum, row);
  return {mask, sum};
}

/// The same for all bits of the mask.
Value TableGrad::gatherAll(BlockBuilder &b, Value mask, Value base, Value at, Value sum) {
  auto loop = scf::WhileOp::create(
      b, TypeRange{mask.getType(), sum.getType()}, ValueRange{mask, sum},
      [&](OpBuilder &, Location, ValueRange state) {
        scf::ConditionOp::create(b, b.cmp(CmpIPredicate::ne, state[0], b.i32(0)), state);
      },
      [&](OpBuilder &, Location, ValueRange state) {
        auto [rest, more] = gather(b, state[0], base, at, state[1]);
        scf::YieldOp::create(b, ValueRange{rest, more});
      });
  return loop.getResult(1);
}

/// Calls `add` with the sum of the listed gradients of one table row (i32), if there are any.
void TableGrad::addRow(BlockBuilder &b, Value row, Value listed, Value at, llvm::function_ref<void(Value)> add) {
  Value zero = b.i32(0);
  Values init{b.f32(0, b.floats(lanes)), zero};
  Values result = loop32(
      b, zero, listed, init,
      [&](Value base, ValueRange carried) {
        Value position = b.add(base, b.toI32(b.lane()));
        Value mask = b.ballot(b.cmp(CmpIPredicate::eq, b.load(listRows, b.toIndex(position)), row));
        Value sum = gatherAll(b, mask, base, at, carried[0]);
        return Values{sum, arith::OrIOp::create(b, carried[1], mask)};
      },
      kWarpSize);
  b.ifThen(b.cmp(CmpIPredicate::ne, result[1], zero), [&] { add(result[0]); });
}

void TableGrad::launchRanges(LoopBuilder &host, Value rangeTokens, Value ranges, Value out) {
  // Table rows are the chunks of a grid whose strips are columns; ranges come last.
  ColumnGrid grid(columns, lanes, host.index(rows));
  grid.cut(host, host.index(blockRows));
  Value tableBlocks = grid.blocks(host);
  emitLaunch(host, host.mul(tableBlocks, ranges), kThreads, [&](BlockBuilder &b, Value block) {
    listTokens = b.shared({kScan}, b.getI32Type());
    listRows = b.shared({kScan}, b.getI32Type());
    counts = b.shared({b.warps()}, b.getI32Type());
    Value range = b.div(block, tableBlocks);
    ColumnTile tile(b, grid, b.rem(block, tableBlocks));
    auto placeOf = [&](Value row) {
      if (!out)
        return std::pair(op.getDtable(), Values{row, tile.at});
      return std::pair(out, Values{b.index(0), range, b.add(b.mul(row, b.index(columns)), tile.at)});
    };
    auto addTo = [&](Value row, Value sum) {
      auto emit = [&] {
        auto [buffer, at] = placeOf(row);
        b.onEachThread([&, buffer = buffer, at = at] { b.store(b.add(b.load(buffer, at, lanes), sum), buffer, at); });
      };
      if (tile.inside)
        b.ifThen(tile.inside, emit);
      else
        emit();
    };
    emitColumnRows(b, tile, [&](Value row) {
      auto [buffer, at] = placeOf(row);
      b.store(b.f32(0, b.floats(lanes)), buffer, at);
    });
    Value low = b.mul(range, rangeTokens), high = b.min(b.add(low, rangeTokens), tokens);
    Value end = b.toI32(high);
    loop32(
        b, b.toI32(low), end, {},
        [&](Value base, ValueRange) {
          Value listed = scan(b, tile, base, end);
          // The same rows for a warp as above: what a thread adds to it has written itself.
          Value first = b.toI32(b.add(tile.low, b.warp()));
          loop32(
              b, first, b.toI32(tile.high), {},
              [&](Value row, ValueRange) {
                addRow(b, row, listed, tile.at, [&](Value sum) { addTo(b.toIndex(row), sum); });
                return Values();
              },
              b.warps());
          b.barrier();
          return Values();
        },
        kScan);
  });
}

void TableGrad::launch(LoopBuilder &host) {
  if (rows * columns * 4 > kCopiedTableBytes)
    return launchRanges(host, host.max(tokens, host.index(1)), host.index(1), {});
  // Ranges are whole scans; without tokens there is none, and the sums over none are zero.
  Value scans = host.ceilDiv(tokens, kMostRanges * kScan);
  Value rangeTokens = host.mul(host.max(scans, host.index(1)), host.index(kScan));
  Value ranges = host.ceilDiv(tokens, rangeTokens);
  Value partial = host.heap({1, ShapedType::kDynamic, rows * columns}, host.getF32Type(), ranges);
  launchRanges(host, rangeTokens, ranges, partial);
  launchPartialSums(host, partial, lanes, [&](BlockBuilder &b, Value element, ValueRange sums) {
    Value width = b.index(columns);
    b.store(sums[0], op.getDtable(), {b.div(element, width), b.rem(element, width)});
  });
  host.free(partial);
}

static void launchEmbeddingGrad(EmbeddingGradOp op, LoopBuilder &host) { TableGrad(op, host).launch(host); }

void device::addEmbeddingGrad(Emitters &emitters) { emitters.grid<EmbeddingGradOp>({.emit = launchEmbeddingGrad}); }
