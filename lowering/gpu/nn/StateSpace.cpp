//===- StateSpace.cpp - causal convolutions and selective scans ----------===//
//
// A thread has a channel of a sequence and walks over its rows: neighbouring threads read neighbouring channels, and what is the
// same for all channels comes from one line of the cache. The gradients of b and c sum over channels: there a warp has a group.
//
//===----------------------------------------------------------------------===//

#include "lowering/gpu/Emitters.h"
#include "lowering/nn/CausalConv.h"
#include "lowering/nn/SelectiveScan.h"

using namespace mlir;
using namespace peer;
using namespace peer::device;

/// A thread for each channel of each row, or of each sequence, of `x`; `body` gets the number of the row or sequence.
static void launchChannels(LoopBuilder &host, Value x, Value rows,
                           llvm::function_ref<void(BlockBuilder &b, Value row, Value channel)> body) {
  Value width = host.dim(x, 1);
  launchForEach(host, host.mul(rows, width), [&](BlockBuilder &b, Value element) {
    Value columns = b.index(b.staticDim(x, 1));
    body(b, b.div(element, columns), b.rem(element, columns));
  });
}

static Value countSequences(LoopBuilder &host, Value x, int64_t context) {
  return host.div(host.dim(x, 0), host.index(context));
}

//===----------------------------------------------------------------------===//
// Convolutions
//===----------------------------------------------------------------------===//

static void launchConv(CausalConvOp op, LoopBuilder &host) {
  Value x = op.getX();
  launchChannels(host, x, host.dim(x, 0), [&](BlockBuilder &b, Value row, Value channel) {
    Value t = b.rem(row, b.index(op.getContextLength()));
    nn::ConvStrip strip(b, op.getWeight(), channel, 1);
    b.store(strip.emitRow(x, b.sub(row, t), t), op.getY(), {row, channel});
  });
}

static void launchConvGrad(CausalConvGradOp op, LoopBuilder &host) {
  Value x = op.getX(), dy = op.getDy();
  int64_t context = op.getContextLength();
  launchChannels(host, x, host.dim(x, 0), [&](BlockBuilder &b, Value row, Value channel) {
    Value size = b.index(context), t = b.rem(row, size);
    nn::ConvStrip strip(b, op.getWeight(), channel, 1);
    b.store(strip.emitRowGrad(dy, b.sub(row, t), t, size), op.getDx(), {row, channel});
  });
  launchChannels(host, x, countSequences(host, x, context), [&](BlockBuilder &b, Value sequence, Value channel) {
    Value size = b.index(context);
    nn::ConvStrip strip(b, op.getWeight(), channel, 1);
    for (auto [k, sum] : llvm::enumerate(strip.emitWeightGrad(x, dy, b.mul(sequence, size), size)))
      b.store(sum, op.getDweight(), {sequence, b.index(k), channel});
  });
}

static void launchCachedConv(CachedCausalConvOp op, LoopBuilder &host) {
  Value x = op.getX();
  launchChannels(host, x, host.index(1), [&](BlockBuilder &b, Value, Value channel) {
    Value start = b.toIndex(b.load(op.getPosition(), {}));
    nn::ConvStrip strip(b, op.getWeight(), channel, 1);
    b.loop(b.dim(x, 0), [&](Value t) { strip.emitCached(x, op.getCache(), start, t, op.getY()); });
  });
}

//===----------------------------------------------------------------------===//
// Scans
//===----------------------------------------------------------------------===//

static void launchScan(SelectiveScanOp op, LoopBuilder &host) {
  Value x = op.getX(), a = op.getA();
  int64_t context = op.getContextLength(), states = host.staticDim(a, 0);
  launchChannels(host, x, countSequences(host, x, context), [&](BlockBuilder &b, Value sequence, Value channel) {
    Value size = b.index(context);
    nn::ScanInputs in{x, op.getDelta(), a, op.getB(), op.getC(), b.mul(sequence, size)};
    nn::forStateParts(states, [&](int64_t from, int64_t count) {
      nn::ScanStrip(b, in, channel, 1, from, count).emitSequence(size, op.getY());
    });
  });
}

static void launchCachedScan(CachedSelectiveScanOp op, LoopBuilder &host) {
  Value x = op.getX(), a = op.getA();
  int64_t states = host.staticDim(a, 0);
  launchChannels(host, x, host.index(1), [&](BlockBuilder &b, Value, Value channel) {
    Value start = b.toIndex(b.load(op.getPosition(), {}));
    nn::ScanInputs in{x, op.getDelta(), a, op.getB(), op.getC(), b.index(0)};
    nn::forStateParts(states, [&](int64_t from, int64_t count) {
      nn::ScanStrip(b, in, channel, 1, from, count).emitCached(start, b.dim(x, 0), op.getState(), op.getY());
    });
  });
}

/// States that a lane has in registers on the way back: each has a gradient and a sum for a beside it.
static constexpr int64_t kGradStates = 8;

/// A warp per sequence and group: lane i has channel i of the group, and those beyond it the last one's numbers, which count
/// nowhere. Its states are in scratch memory that only it sees.
static void launchScanGrad(SelectiveScanGradOp op, LoopBuilder &host) {
  Value x = op.getX(), a = op.getA();
  int64_t context = op.getContextLength(), chunk = nn::chunkOf(context), channels = op.getChannels();
  int64_t states = host.staticDim(a, 0), held = std::min(states, kGradStates);
  int64_t groups = host.staticDim(op.getDb(), 1), chunks = llvm::divideCeil(context, chunk);
  Value blocks = host.mul(countSequences(host, x, context), host.index(groups));
  auto typeOf = [&](int64_t steps) { return MemRefType::get({steps, held, kWarpSize}, host.getF32Type()); };
  int64_t rowBytes = held * kWarpSize * sizeof(float);
  Scratch kept = Scratch::allocate(host, blocks, chunks * rowBytes);
  Scratch ofChunk = Scratch::allocate(host, blocks, chunk * rowBytes);
  emitLaunch(host, blocks, kWarpSize, [&](BlockBuilder &b, Value block) {
    Value sequence = b.div(block, b.index(groups)), group = b.rem(block, b.index(groups)), lane = b.lane();
    Value has = channels < kWarpSize ? b.cmp(arith::CmpIPredicate::ult, lane, b.index(channels)) : Value();
    Value column = has ? b.min(lane, b.index(channels - 1)) : lane;
    Value at = b.add(b.mul(group, b.index(channels)), column);
    nn::ScanInputs in{x, op.getDelta(), a, op.getB(), op.getC(), b.mul(sequence, b.index(context))};
    nn::ScanOutputs out{op.getDx(), op.getDdelta(), op.getDa(), op.getDb(), op.getDc(), sequence, group};
    nn::ScanStates held{kept.of(b, block, typeOf(chunks)), ofChunk.of(b, block, typeOf(chunk)), lane};
    b.onEachThread([&] {
      nn::forStateParts(
          states,
          [&](int64_t from, int64_t count) {
            nn::ScanStrip(b, in, at, 1, from, count)
                .emitGrad(
                    op.getDy(), out, held, context, chunk,
                    [&](Value share, Value buffer, ValueRange where) {
                      Value total = b.warpSum(has ? b.select(has, share, b.f32(0)) : share);
                      b.ifThen(b.cmp(arith::CmpIPredicate::eq, lane, b.index(0)),
                               [&] { b.store(total, buffer, where); });
                    },
                    [&](llvm::function_ref<void()> body) { has ? b.ifThen(has, body) : body(); });
          },
          kGradStates);
    });
  });
  host.free(ofChunk.buffer);
  host.free(kept.buffer);
}

/// Wider groups are plain loops.
static const char *rejectWideGroups(SelectiveScanGradOp op) {
  return int64_t(op.getChannels()) > kWarpSize ? "has groups of more channels than a warp has lanes" : nullptr;
}

void device::addStateSpace(Emitters &emitters) {
  emitters.grid<CausalConvOp>({.emit = launchConv});
  emitters.grid<CausalConvGradOp>({.emit = launchConvGrad});
  emitters.grid<CachedCausalConvOp>({.emit = launchCachedConv});
  emitters.grid<SelectiveScanOp>({.emit = launchScan});
  emitters.grid<SelectiveScanGradOp>(
      {.emit = launchScanGrad, .reject = rejectWideGroups, .tileSizes = [](SelectiveScanGradOp op) {
         return rejectWideGroups(op) ? tile({{"s", 1}, {"g", 1}}) : std::nullopt;
       }});
  emitters.grid<CachedSelectiveScanOp>({.emit = launchCachedScan});
}
