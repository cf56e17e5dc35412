//===- StateSpace.cpp - causal convolutions and selective scans ----------===//
//
// A thread has a channel of a sequence, or of a chunk of one, and walks over its rows: neighbouring threads read neighbouring
// channels, and what is the same for all channels comes from one line of the cache. The gradients of b and c sum over channels:
// there a warp has a group.
//
//===----------------------------------------------------------------------===//

#include "ScanChunks.h"

#include "lowering/gpu/Emitters.h"
#include "lowering/nn/CausalConv.h"

using namespace mlir;
using namespace peer;
using namespace peer::device;

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

static void launchScan(SelectiveScanOp op, LoopBuilder &host, const GpuInfo &gpu) {
  Value x = op.getX(), a = op.getA(), rows = host.index(op.getContextLength());
  int64_t states = host.staticDim(a, 0), width = host.staticDim(a, 1);
  nn::ScanInputs in{x, op.getDelta(), a, op.getB(), op.getC(), {}};
  Value sequences = countSequences(host, x, op.getContextLength());
  auto chunked = [&](Value taken) { ScanChunks(host, in, rows, taken).emit(op.getY()); };
  auto whole = [&] {
    launchChannels(host, x, sequences, [&](BlockBuilder &b, Value sequence, Value channel) {
      nn::ScanInputs own = in;
      own.first = b.mul(sequence, rows);
      nn::forStateParts(states, [&](int64_t from, int64_t count) {
        nn::ScanStrip(b, own, channel, 1, from, count).emitSequence(rows, op.getY());
      });
    });
  };
  chooseScan(host, rows, sequences, width, gpu, chunked, whole);
}

static void launchCachedScan(CachedSelectiveScanOp op, LoopBuilder &host, const GpuInfo &gpu) {
  Value x = op.getX(), a = op.getA(), rows = host.dim(x, 0), one = host.index(1);
  int64_t states = host.staticDim(a, 0), width = host.staticDim(a, 1);
  nn::ScanInputs in{x, op.getDelta(), a, op.getB(), op.getC(), host.index(0)};
  // Scratch is for rows, of which there may be few.
  auto chunked = [&](Value) { ScanChunks(host, in, rows, one).emit(op.getY(), op.getState(), op.getPosition()); };
  auto whole = [&] {
    launchChannels(host, x, one, [&](BlockBuilder &b, Value, Value channel) {
      Value start = b.toIndex(b.load(op.getPosition(), {}));
      nn::forStateParts(states, [&](int64_t from, int64_t count) {
        nn::ScanStrip(b, in, channel, 1, from, count).emitCached(start, rows, op.getState(), op.getY());
      });
    });
  };
  chooseScan(host, rows, one, width, gpu, chunked, whole);
}

/// A warp per sequence and group. Its states are in scratch memory that only it sees.
static void launchWholeGrad(SelectiveScanGradOp op, LoopBuilder &host, nn::ScanInputs in, nn::ScanOutputs out,
                            Value blocks) {
  int64_t context = op.getContextLength(), chunk = nn::chunkOf(context), chunks = llvm::divideCeil(context, chunk);
  int64_t states = host.staticDim(in.a, 0), held = std::min(states, kGradStates);
  int64_t groups = host.staticDim(out.db, 1);
  auto typeOf = [&](int64_t steps) { return MemRefType::get({steps, held, kWarpSize}, host.getF32Type()); };
  int64_t rowBytes = held * kWarpSize * sizeof(float);
  Scratch kept = Scratch::allocate(host, blocks, chunks * rowBytes);
  Scratch ofChunk = Scratch::allocate(host, blocks, chunk * rowBytes);
  emitLaunch(host, blocks, kWarpSize, [&](BlockBuilder &b, Value block) {
    ScanGroup group(b, b.rem(block, b.index(groups)), op.getChannels());
    nn::ScanInputs from = in;
    nn::ScanOutputs to = out;
    to.sequence = b.div(block, b.index(groups));
    to.group = group.number;
    from.first = b.mul(to.sequence, b.index(context));
    nn::ScanStates memory{kept.of(b, block, typeOf(chunks)), ofChunk.of(b, block, typeOf(chunk)), b.lane()};
    b.onEachThread([&] {
      nn::forStateParts(
          states,
          [&](int64_t first, int64_t count) {
            nn::ScanStrip(b, from, group.channel, 1, first, count)
                .emitGrad(
                    op.getDy(), to, memory, context, chunk,
                    [&](Value share, Value buffer, ValueRange at) { group.putSum(share, buffer, at); },
                    [&](llvm::function_ref<void()> body) { group.onChannels(body); });
          },
          kGradStates);
    });
  });
  host.free(ofChunk.buffer);
  host.free(kept.buffer);
}

static void launchScanGrad(SelectiveScanGradOp op, LoopBuilder &host, const GpuInfo &gpu) {
  int64_t context = op.getContextLength();
  nn::ScanInputs in{op.getX(), op.getDelta(), op.getA(), op.getB(), op.getC(), {}};
  nn::ScanOutputs out{op.getDx(), op.getDdelta(), op.getDa(), op.getDb(), op.getDc(), {}, {}};
  Value rows = host.index(context), sequences = countSequences(host, op.getX(), context);
  Value blocks = host.mul(sequences, host.index(host.staticDim(op.getDb(), 1)));
  chooseScan(
      host, rows, sequences, host.staticDim(op.getA(), 1), gpu,
      [&](Value taken) { ScanChunks(host, in, rows, taken).emitGrad(op.getDy(), out, op.getChannels()); },
      [&] { launchWholeGrad(op, host, in, out, blocks); });
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
