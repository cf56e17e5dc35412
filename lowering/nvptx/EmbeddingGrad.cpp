//===- EmbeddingGrad.cpp - the gradient of an embedding's table ----------===//
//
// A block owns some rows of the table and a strip of columns. It scans the tokens, keeps those that name one of its
// rows in a list in shared memory, in order, and each warp adds up the rows of the list that are its own: no atomics, the same
// sums on every run. Small tables, whose blocks would be few, are done for several ranges of tokens side by side.
//
//===----------------------------------------------------------------------===//

#include "Alignment.h"
#include "Columns.h"
#include "NN.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace peer;
using namespace peer::nvptx;
using arith::CmpIPredicate;

/// Tokens that a block looks at between two barriers: as many as its list holds.
static constexpr int64_t kScan = 1024;
/// Up to this many table rows there are blocks for few rows each.
static constexpr int64_t kSmallTable = 4096;
/// A table of up to so many bytes is worth copies for ranges of tokens.
static constexpr int64_t kCopiedTableBytes = 4 << 20;
static constexpr int64_t kMostRanges = 32;

namespace {
class TableGrad {
public:
  TableGrad(EmbeddingGradOp op, LoopBuilder &host)
      : op(op), rows(host.staticDim(op.getOuts()[0], 0)), columns(host.staticDim(op.getOuts()[0], 1)),
        lanes(alignedLanes(op, columns)), blockRows(rows <= kSmallTable ? kWarpSize : 8 * kWarpSize),
        tokens(host.dim(op.getDy(), 0)) {}
  void launch(LoopBuilder &host);

private:
  /// One launch; each range of tokens has its sums in `out`, at ranges x (rows * columns), or in the result if that is null.
  void launchRanges(LoopBuilder &host, Value rangeTokens, Value ranges, Value out);
  Value scan(BlockBuilder &b, Value base, Value high, Value first);
  void addRow(BlockBuilder &b, Value row, Value listed, Value at, llvm::function_ref<void(Value sum)> add);
  std::pair<Value, Value> gather(BlockBuilder &b, Value mask, Value base, Value at, Value sum);

  EmbeddingGradOp op;
  int64_t rows, columns, lanes, blockRows;
  Value tokens;
  Value listTokens, listRows, counts; // shared
};
} // namespace

static Value popcount(BlockBuilder &b, Value mask) { return LLVM::CtPopOp::create(b, b.getI32Type(), mask); }

/// Lists the tokens in [base, base + kScan) and below `high` that name a row from `first` on; returns how many (index).
Value TableGrad::scan(BlockBuilder &b, Value base, Value high, Value first) {
  int64_t rounds = kScan / b.threads();
  Value start = b.add(b.add(base, b.mul(b.warp(), b.index(rounds * kWarpSize))), b.lane());
  Value zero = b.i32(0), ofWarp = zero, below = b.sub(arith::ShLIOp::create(b, b.i32(1), b.toI32(b.lane())), b.i32(1));
  Values relatives, listed, masks;
  for (int64_t round = 0; round < rounds; ++round) {
    Value t = b.add(start, b.index(round * kWarpSize));
    Value exists = b.cmp(CmpIPredicate::slt, t, high);
    // Past the end any token serves: it is not counted.
    Value token = b.load(op.getTokens(), b.select(exists, t, base));
    Value relative = b.sub(token, b.toI32(first));
    Value named = both(b, exists, b.cmp(CmpIPredicate::ult, relative, b.i32(blockRows)));
    Value mask = b.ballot(named);
    relatives.push_back(relative);
    listed.push_back(named);
    masks.push_back(mask);
    ofWarp = b.add(ofWarp, popcount(b, mask));
  }
  b.onEachThread(
      [&] { b.ifThen(b.cmp(CmpIPredicate::eq, b.lane(), b.index(0)), [&] { b.store(ofWarp, counts, b.warp()); }); });
  b.barrier();
  Value total = zero, mine = zero;
  for (int64_t w = 0; w < b.warps(); ++w) {
    Value count = b.load(counts, b.index(w));
    Value before = b.cmp(CmpIPredicate::ult, b.index(w), b.warp());
    mine = b.add(mine, b.select(before, count, zero));
    total = b.add(total, count);
  }
  b.onEachThread([&] {
    for (int64_t round = 0; round < rounds; ++round) {
      Value position = b.add(mine, popcount(b, arith::AndIOp::create(b, masks[round], below)));
      b.ifThen(listed[round], [&] {
        b.store(b.add(b.toI32(start), b.i32(round * kWarpSize)), listTokens, b.toIndex(position));
        b.store(relatives[round], listRows, b.toIndex(position));
      });
      mine = b.add(mine, popcount(b, masks[round]));
    }
  });
  b.barrier();
  return b.toIndex(total);
}

/// Adds dy of the list's entries base + i for each bit i of the mask, lowest first. Four rows are on their way at a time.
std::pair<Value, Value> TableGrad::gather(BlockBuilder &b, Value mask, Value base, Value at, Value sum) {
  Value zero = b.i32(0), nothing = b.f32(0, b.floats(lanes)), t;
  Values loaded;
  for (int64_t i = 0; i < 4; ++i) {
    Value left = b.cmp(CmpIPredicate::ne, mask, zero);
    Value bit = LLVM::CountTrailingZerosOp::create(b, b.getI32Type(), mask, /*is_zero_poison=*/false);
    // No bit left: the row before is loaded again, from the cache, and not added.
    Value position = b.add(base, b.toIndex(t ? b.select(left, bit, zero) : bit));
    Value listed = b.load(listTokens, position);
    t = t ? b.select(left, listed, t) : listed;
    Value row = b.load(op.getDy(), {b.toIndex(t), at}, lanes);
    loaded.push_back(b.select(left, row, nothing));
    mask = arith::AndIOp::create(b, mask, b.sub(mask, b.i32(1)));
  }
  for (Value row : loaded)
    sum = b.add(sum, row);
  return {mask, sum};
}

/// Calls `add` with the sum of the listed gradients of one table row, if there are any.
void TableGrad::addRow(BlockBuilder &b, Value row, Value listed, Value at, llvm::function_ref<void(Value)> add) {
  Value zero = b.i32(0), key = b.toI32(row);
  Values result = b.loop(
      b.index(0), listed, {b.f32(0, b.floats(lanes)), zero},
      [&](Value base, ValueRange carried) {
        Value position = b.add(base, b.lane());
        Value exists = b.cmp(CmpIPredicate::slt, position, listed);
        Value named = b.load(listRows, b.select(exists, position, base));
        Value mask = b.ballot(both(b, exists, b.cmp(CmpIPredicate::eq, named, key)));
        Value quads = b.div(b.add(b.toIndex(popcount(b, mask)), b.index(3)), b.index(4));
        Values inner = b.loop(b.index(0), quads, {mask, carried[0]}, [&](Value, ValueRange state) {
          auto [rest, sum] = gather(b, state[0], base, at, state[1]);
          return Values{rest, sum};
        });
        return Values{inner[1], arith::OrIOp::create(b, carried[1], mask)};
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
        return std::pair(op.getOuts()[0], Values{row, tile.at});
      return std::pair(out, Values{b.index(0), range, b.add(b.mul(row, b.index(columns)), tile.at)});
    };
    auto store = [&](Value sum, Value row) {
      auto [buffer, at] = placeOf(row);
      auto emit = [&, buffer = buffer, at = at] { b.onEachThread([&] { b.store(sum, buffer, at); }); };
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
    b.loop(
        low, high,
        [&](Value base) {
          Value listed = scan(b, base, high, tile.low);
          // The same rows for a warp as above: what a thread adds to it has written itself.
          b.forWarps(b.sub(tile.high, tile.low), [&](Value row) {
            addRow(b, row, listed, tile.at, [&](Value sum) {
              Value whole = b.add(tile.low, row);
              auto [buffer, at] = placeOf(whole);
              store(b.add(b.load(buffer, at, lanes), sum), whole);
            });
          });
          b.barrier();
        },
        kScan);
  });
}

void TableGrad::launch(LoopBuilder &host) {
  if (rows * columns * 4 > kCopiedTableBytes)
    return launchRanges(host, host.max(tokens, host.index(1)), host.index(1), {});
  // Ranges are whole scans; without tokens there is none, and the sums over none are zero.
  Value scans = host.div(host.add(tokens, host.index(kMostRanges * kScan - 1)), host.index(kMostRanges * kScan));
  Value rangeTokens = host.mul(host.max(scans, host.index(1)), host.index(kScan));
  Value ranges = host.div(host.add(tokens, host.sub(rangeTokens, host.index(1))), rangeTokens);
  Value partial = host.heap({1, ShapedType::kDynamic, rows * columns}, host.getF32Type(), ranges);
  launchRanges(host, rangeTokens, ranges, partial);
  launchPartialSums(host, partial, lanes, [&](BlockBuilder &b, Value element, ValueRange sums) {
    Value width = b.index(columns);
    b.store(sums[0], op.getOuts()[0], {b.div(element, width), b.rem(element, width)});
  });
  host.free(partial);
}

void nvptx::launchEmbeddingGrad(EmbeddingGradOp op, LoopBuilder &host) { TableGrad(op, host).launch(host); }
