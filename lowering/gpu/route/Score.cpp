//===- Score.cpp - score and gate apart ----------------------------------===//

#include "ExpertChoice.h"
#include "Route.h"
#include "ScoreTile.h"
#include "Select.h"
#include "lowering/gpu/block/Alignment.h"
#include "lowering/gpu/block/Scan.h"

#include "dialect/ops/Check.h"
#include "lowering/emit/ExpertMath.h"
#include "lowering/emit/RoutingBuilder.h"

#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace peer;
using namespace peer::device;
using arith::CmpIPredicate;

//===----------------------------------------------------------------------===//
// Scores of a tile
//===----------------------------------------------------------------------===//

/// Tokens of a block that writes its scores to memory, or 0.
static int64_t scoreRows(ScoreOp op, const GpuInfo &gpu) {
  int64_t tokens = cast<ShapedType>(op.getQuery().getType()).getDimSize(0), most = 64;
  if (!ShapedType::isDynamic(tokens))
    most = std::clamp<int64_t>(llvm::PowerOf2Ceil(tokens), 16, most);
  for (int64_t rows = most; rows >= 16; rows /= 2)
    if (ScoreShape::of(op.getQuery(), op.getKeys(), rows).bytes() <= gpu.sharedOfBlock)
      return rows;
  return 0;
}

static const char *rejectTile(ScoreOp op, const GpuInfo &gpu) {
  return scoreRows(op, gpu) ? nullptr : "the queries of 16 tokens do not fit";
}

/// Writes the scores of a tile's tokens from `first` on with the keys `from` .. `to - 1` of a head and half.
static void emitScores(ScoreOp op, BlockBuilder &b, ScoreTile &scores, int64_t rows, Value first, Value head,
                       Value half, Value from, Value to) {
  Value logits = op.getLogits(), tokens = b.dim(logits, 0), chunk = b.index(kKeyChunk);
  scores.loadQueries(first, head, half);
  b.loop(
      from, to,
      [&](Value key) {
        scores.multiply(head, half, key);
        b.forThreads(b.index(rows * kKeyChunk), [&](Value flat) {
          Value row = b.div(flat, chunk), column = b.rem(flat, chunk);
          Value token = b.add(first, row), number = b.add(key, column);
          Value present = both(b, b.cmp(CmpIPredicate::ult, token, tokens), b.cmp(CmpIPredicate::ult, number, to));
          b.ifThen(present, [&] { b.store(scores.score(row, column), logits, {token, head, half, number}); });
        });
      },
      kKeyChunk);
}

static void emitTile(ScoreOp op, BlockBuilder &b, const GpuInfo &gpu) {
  int64_t rows = scoreRows(op, gpu);
  SharedPlan shared(b);
  ScoreTile scores(b, op.getQuery(), op.getKeys(), rows, shared);
  Value logits = op.getLogits();
  b.loop(
      b.index(0), b.dim(logits, 0),
      [&](Value first) {
        nest(b, {b.dim(logits, 1), b.dim(logits, 2)}, [&](ArrayRef<Value> at) {
          b.barrier();
          emitScores(op, b, scores, rows, first, at[0], at[1], b.index(0), b.dim(logits, 3));
        });
      },
      rows);
}

//===----------------------------------------------------------------------===//
// Scores left whole
//===----------------------------------------------------------------------===//

/// Keys of a block: with fewer it would read queries as often as keys.
static constexpr int64_t kKeysOfRange = 256;

/// A block per tile of tokens, head, half and range of keys: nobody waits for all scores of a token.
static void emitRanges(ScoreOp op, LoopBuilder &host, const GpuInfo &gpu) {
  int64_t rows = scoreRows(op, gpu), heads = host.staticDim(op.getQuery(), 1),
          halves = host.staticDim(op.getQuery(), 2);
  int64_t n = host.staticDim(op.getKeys(), 2), ranges = llvm::divideCeil(n, kKeysOfRange);
  Value tiles = host.ceilDiv(host.dim(op.getQuery(), 0), rows);
  emitLaunch(host, host.mul(tiles, host.index(heads * halves * ranges)), kThreads, [&](BlockBuilder &b, Value block) {
    SharedPlan shared(b);
    ScoreTile scores(b, op.getQuery(), op.getKeys(), rows, shared);
    Value rest = block;
    auto next = [&](int64_t count) {
      Value number = b.rem(rest, b.index(count));
      rest = b.div(rest, b.index(count));
      return number;
    };
    Value from = b.mul(next(ranges), b.index(kKeysOfRange)), half = next(halves), head = next(heads);
    Value to = b.min(b.add(from, b.index(kKeysOfRange)), b.index(n));
    emitScores(op, b, scores, rows, b.mul(rest, b.index(rows)), head, half, from, to);
  });
}

static const char *rejectRanges(ScoreOp op, const GpuInfo &gpu) {
  return isFewTokens(op.getQuery()) ? "few tokens: no tensor cores" : rejectTile(op, gpu);
}

//===----------------------------------------------------------------------===//
// Scores of few tokens
//===----------------------------------------------------------------------===//

/// Keys of a block.
static constexpr int64_t kKeysPerBlock = 64;

/// Bound by reading the keys: each is read once, by the lanes of a warp side by side, and multiplied with all tokens.
void device::emitFewScores(Value query, Value keys, Value logits, LoopBuilder &host) {
  int64_t tokens = host.staticDim(query, 0), heads = host.staticDim(query, 1), halves = host.staticDim(query, 2);
  int64_t n = host.staticDim(keys, 2), d = host.staticDim(keys, 3), chunks = llvm::divideCeil(n, kKeysPerBlock);
  int64_t width = d % (4 * kWarpSize) == 0 && hasAlignedRows(keys, 4) && hasAlignedRows(query, 4) ? 4 : 1;
  // Keys of a warp at a time: as many as sums fit in registers.
  int64_t keysAtATime = std::clamp<int64_t>(8 / std::max<int64_t>(tokens, 1), 1, 4);
  if (tokens == 0)
    return;
  emitLaunch(host, host.index(chunks * heads * halves), kThreads, [&](BlockBuilder &b, Value block) {
    Value chunk = b.rem(block, b.index(chunks)), rest = b.div(block, b.index(chunks));
    Value half = b.rem(rest, b.index(halves)), head = b.div(rest, b.index(halves));
    Value keyHead = b.staticDim(keys, 0) == 1 ? b.index(0) : head;
    Value first = b.mul(chunk, b.index(kKeysPerBlock)), last = b.index(n - 1);
    b.loop(
        b.mul(b.warp(), b.index(keysAtATime)), b.index(kKeysPerBlock),
        [&](Value from) {
          Values numbers, own;
          for (int64_t i = 0; i < keysAtATime; ++i) {
            numbers.push_back(b.add(first, b.add(from, b.index(i))));
            own.push_back(b.min(numbers.back(), last));
          }
          // Sums of all keys and tokens at once: many loads are under way.
          Type wide = b.floats(width);
          Values zeros(keysAtATime * tokens, b.f32(0, wide));
          Values sums = b.loop(
              b.mul(b.lane(), b.index(width)), b.index(d), zeros,
              [&](Value c, ValueRange carried) {
                Values next, parts;
                for (Value key : own) {
                  Value part = b.loadWide(keys, {keyHead, half, key, c}, width, /*readOnly=*/true);
                  parts.push_back(part.getType() == wide ? part : Value(arith::ExtFOp::create(b, wide, part)));
                }
                for (int64_t t = 0; t < tokens; ++t) {
                  Value q = b.load(query, {b.index(t), head, half, c}, width);
                  for (auto [i, part] : llvm::enumerate(parts))
                    next.push_back(b.fma(q, part, carried[t * keysAtATime + i]));
                }
                return next;
              },
              kWarpSize * width);
          for (int64_t t = 0; t < tokens; ++t)
            for (auto [i, number] : llvm::enumerate(numbers)) {
              Value total = b.warpSum(b.sumLanes(sums[t * keysAtATime + i]));
              b.onOneLane([&] {
                b.ifThen(b.cmp(CmpIPredicate::ule, number, last),
                         [&] { b.store(total, logits, {b.index(t), head, half, number}); });
              });
            }
        },
        kThreads / kWarpSize * keysAtATime);
  });
}

static void emitFewTokens(ScoreOp op, LoopBuilder &host) {
  emitFewScores(op.getQuery(), op.getKeys(), op.getLogits(), host);
}

static const char *rejectFewTokens(ScoreOp op) {
  return isFewTokens(op.getQuery()) ? nullptr : "many tokens share the keys: a block's tile";
}

//===----------------------------------------------------------------------===//
// Gate
//===----------------------------------------------------------------------===//

/// A warp per row, of any length and order.
static void emitGateRows(GateOp op, BlockBuilder &b) {
  Value val = op.getVal(), weights = op.getWeights(), heads = b.dim(val, 1), size = b.dim(val, 2);
  bool softmax = op.getKind() == GateKind::Softmax;
  b.forWarps(b.mul(b.dim(val, 0), heads), [&](Value row) {
    Value token = b.div(row, heads), head = b.rem(row, heads), highest, factor;
    auto score = [&](Value at) { return b.load(val, {token, head, at}); };
    auto term = [&](Value at, int64_t) {
      Value v = score(at);
      return emitGateTerm(b, op.getKind(), v, highest, emitIsNone(b, v));
    };
    if (softmax) {
      highest = b.maxStrips(size, 1, [&](Value at, int64_t) { return score(at); });
      factor = emitSoftmaxFactor(b, b.sumStrips(size, 1, term));
    }
    b.strips(size, 1, [&](Value at, int64_t lanes) {
      Value weight = term(at, lanes);
      b.store(softmax ? b.mul(weight, factor) : weight, weights, {token, head, at});
    });
  });
}

//===----------------------------------------------------------------------===//
// Select left whole
//===----------------------------------------------------------------------===//

/// A block per row, or per expert.
static void emitWholeSelect(SelectOp op, LoopBuilder &host) {
  if (op.getPolicy().choosesTokens())
    return launchExpertChoice(op, host);
  Value logits = op.getLogits(), heads = host.dim(logits, 1);
  emitLaunch(host, host.mul(host.dim(logits, 0), heads), kThreads, [&](BlockBuilder &b, Value block) {
    IRMapping mapping;
    OpFoldResult one = b.getIndexAttr(1), zero = b.getIndexAttr(0);
    for (Value buffer : {logits, op.getIdx(), op.getVal()}) {
      int64_t rank = cast<MemRefType>(buffer.getType()).getRank();
      SmallVector<OpFoldResult> offsets(rank, zero), sizes(rank, one), strides(rank, one);
      offsets[0] = b.div(block, heads);
      offsets[1] = b.rem(block, heads);
      for (int64_t i = 2; i < rank; ++i)
        sizes[i] = getAsOpFoldResult(b.dim(buffer, i));
      mapping.map(buffer, memref::SubViewOp::create(b, buffer, offsets, sizes, strides).getResult());
    }
    b.clone(*op, mapping);
  });
}

//===----------------------------------------------------------------------===//
// Tiles
//===----------------------------------------------------------------------===//

// Few tokens are left whole, and so are scores where their number is known: the emitters spread keys and rows over blocks.

static std::optional<TileSizes> scoreTiles(ScoreOp op, const GpuInfo &gpu) {
  if (isFewTokens(op.getQuery()) || (scoreRows(op, gpu) && !ShapedType::isDynamic(dimOf(op.getQuery(), 0))))
    return std::nullopt;
  return tile({{"t", 64}, {"h", 1}});
}

static std::optional<TileSizes> selectTiles(SelectOp op) {
  return op.getPolicy().choosesTokens() || isFewTokens(op.getLogits()) ? std::nullopt : tile({{"t", 16}, {"h", 1}});
}

static std::optional<TileSizes> gateTiles(GateOp op) {
  return isFewTokens(op.getVal()) ? std::nullopt : tile({{"t", 64}});
}

void device::addScore(Emitters &emitters) {
  emitters.block<ScoreOp>({.emit = emitTile, .reject = rejectTile, .tileSizes = scoreTiles});
  emitters.grid<ScoreOp>({.emit = emitFewTokens, .reject = rejectFewTokens});
  emitters.grid<ScoreOp>({.emit = emitRanges, .reject = rejectRanges});
  emitters.block<SelectOp>({.emit = emitSelect, .reject = rejectSelect, .tileSizes = selectTiles});
  emitters.grid<SelectOp>({.emit = emitWholeSelect});
  emitters.block<GateOp>({.emit = emitGateRows, .tileSizes = gateTiles});
}
