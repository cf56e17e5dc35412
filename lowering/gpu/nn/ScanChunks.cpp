//===- ScanChunks.cpp - scans whose sequences are cut into chunks --------===//

#include "ScanChunks.h"

#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;
using namespace peer;
using namespace peer::device;

/// Rows of a chunk: on the way back a warp has their states in shared memory.
static constexpr int64_t kChunkRows = 32;
/// Chunks from which it pays that all are walked through twice.
static constexpr int64_t kLeastChunks = 4;
/// Warps of a multiprocessor from which each sequence is left to one thread for each channel: one for each of its schedulers.
static constexpr int64_t kWarpsOfMultiprocessor = 4;

void device::launchChannels(LoopBuilder &host, Value x, Value rows,
                            llvm::function_ref<void(BlockBuilder &b, Value row, Value channel)> body) {
  Value width = host.dim(x, 1);
  launchForEach(host, host.mul(rows, width), [&](BlockBuilder &b, Value element) {
    Value columns = b.index(b.staticDim(x, 1));
    body(b, b.div(element, columns), b.rem(element, columns));
  });
}

void device::chooseScan(LoopBuilder &host, Value rows, Value sequences, int64_t width, const GpuInfo &gpu,
                        llvm::function_ref<void(Value)> chunked, llvm::function_ref<void()> whole) {
  int64_t most = gpu.multiprocessors * kWarpsOfMultiprocessor * kWarpSize / std::max<int64_t>(width, 1);
  Value wanted;
  for (auto [predicate, value, limit] : {std::tuple(arith::CmpIPredicate::uge, rows, kLeastChunks * kChunkRows),
                                         std::tuple(arith::CmpIPredicate::ule, sequences, most)}) {
    if (auto known = getConstantIntValue(value)) {
      if (!arith::applyCmpPredicate(predicate, APInt(64, *known), APInt(64, limit)))
        return whole();
      continue;
    }
    Value holds = host.cmp(predicate, value, host.index(limit));
    wanted = wanted ? arith::AndIOp::create(host, wanted, holds).getResult() : holds;
  }
  if (!wanted)
    return chunked(sequences);
  Value taken = host.select(wanted, sequences, host.index(0));
  host.ifThen(wanted, [&] { chunked(taken); }, whole);
}

ScanGroup::ScanGroup(BlockBuilder &b, Value number, int64_t channels) : number(number), b(b) {
  Value column = b.lane();
  if (channels < kWarpSize) {
    has = b.cmp(arith::CmpIPredicate::ult, column, b.index(channels));
    column = b.min(column, b.index(channels - 1));
  }
  channel = b.add(b.mul(number, b.index(channels)), column);
}

void ScanGroup::putSum(Value share, Value buffer, ValueRange at) const {
  Value total = b.warpSum(has ? b.select(has, share, b.f32(0)) : share);
  b.ifThen(b.cmp(arith::CmpIPredicate::eq, b.lane(), b.index(0)), [&] { b.store(total, buffer, at); });
}

ScanChunks::ScanChunks(LoopBuilder &host, nn::ScanInputs in, Value rows, Value sequences)
    : host(host), in(in), rows(rows), sequences(sequences), chunks(host.ceilDiv(rows, kChunkRows)),
      slots(host.mul(sequences, chunks)), states(host.staticDim(in.a, 0)), width(host.staticDim(in.a, 1)) {}

Value ScanChunks::allocateStates() {
  return host.heap({ShapedType::kDynamic, states, width}, host.getF32Type(), slots);
}

ScanChunks::Chunk ScanChunks::chunkOf(LoopBuilder &b, Value slot) const {
  Chunk chunk{b.div(slot, chunks), b.rem(slot, chunks), {}, {}};
  Value inSequence = b.mul(chunk.number, b.index(kChunkRows));
  chunk.first = b.add(b.mul(chunk.sequence, rows), inSequence);
  chunk.count = b.min(b.sub(rows, inSequence), b.index(kChunkRows));
  return chunk;
}

nn::ScanStrip ScanChunks::stripOf(LoopBuilder &b, const Chunk &chunk, Value channel, int64_t from,
                                  int64_t count) const {
  nn::ScanInputs own = in;
  own.first = chunk.first;
  return nn::ScanStrip(b, own, channel, 1, from, count);
}

SmallVector<Value> ScanChunks::load(LoopBuilder &b, Value buffer, Value slot, Value channel, int64_t from,
                                    int64_t count) const {
  SmallVector<Value> values;
  for (int64_t i = 0; i < count; ++i)
    values.push_back(b.load(buffer, {slot, b.index(from + i), channel}));
  return values;
}

void ScanChunks::store(LoopBuilder &b, ValueRange values, Value buffer, Value slot, Value channel, int64_t from) const {
  for (auto [i, value] : llvm::enumerate(values))
    b.store(value, buffer, {slot, b.index(from + i), channel});
}

void ScanChunks::launchStates(llvm::function_ref<void(BlockBuilder &b, Value sequence, Value n, Value channel)> body) {
  launchForEach(host, host.mul(sequences, host.index(states * width)), [&](BlockBuilder &b, Value element) {
    Value sequence = b.div(element, b.index(states * width)), inState = b.rem(element, b.index(states * width));
    Value n = b.div(inState, b.index(width)), channel = b.rem(inState, b.index(width));
    body(b, sequence, n, channel);
  });
}

void ScanChunks::carry(Value buffer, bool back, llvm::function_ref<Value(LoopBuilder &b, ValueRange at)> begin) {
  launchStates([&](BlockBuilder &b, Value sequence, Value n, Value channel) {
    Value a = b.load(in.a, {n, channel});
    b.loop(b.index(0), chunks, begin ? begin(b, {n, channel}) : b.f32(0), [&](Value step, ValueRange carried) {
      Value number = back ? b.sub(b.sub(chunks, step), b.index(1)) : step;
      Value slot = b.add(b.mul(sequence, chunks), number);
      Value own = b.load(buffer, {slot, n, channel});
      b.store(carried[0], buffer, {slot, n, channel});
      return SmallVector<Value>{b.fma(b.exp(b.mul(a, b.load(sums, {slot, channel}))), carried[0], own)};
    });
  });
}

void ScanChunks::emitStarts(Value state, Value position) {
  before = allocateStates();
  sums = host.heap({ShapedType::kDynamic, width}, host.getF32Type(), slots);
  launchChannels(host, in.x, slots, [&](BlockBuilder &b, Value slot, Value channel) {
    Chunk chunk = chunkOf(b, slot);
    nn::forStateParts(states, [&](int64_t from, int64_t count) {
      SmallVector<Value> ends = stripOf(b, chunk, channel, from, count).emitEnd(chunk.count);
      store(b, ArrayRef(ends).take_front(count), before, slot, channel, from);
      if (from == 0)
        b.store(ends[count], sums, {slot, channel});
    });
  });
  if (!state)
    return carry(before, /*back=*/false);
  carry(before, /*back=*/false, [&](LoopBuilder &b, ValueRange at) {
    Value begins = b.cmp(arith::CmpIPredicate::eq, b.toIndex(b.load(position, {})), b.index(0));
    return b.select(begins, b.f32(0), b.load(state, at));
  });
}

void ScanChunks::emit(Value y, Value state, Value position) {
  emitStarts(state, position);
  launchChannels(host, in.x, slots, [&](BlockBuilder &b, Value slot, Value channel) {
    Chunk chunk = chunkOf(b, slot);
    nn::forStateParts(states, [&](int64_t from, int64_t count) {
      SmallVector<Value> first = load(b, before, slot, channel, from, count);
      SmallVector<Value> last = stripOf(b, chunk, channel, from, count).emitRows(chunk.count, first, y);
      if (!state)
        return;
      Value isLast = b.cmp(arith::CmpIPredicate::eq, chunk.number, b.sub(chunks, b.index(1)));
      b.ifThen(isLast, [&] {
        for (int64_t i = 0; i < count; ++i)
          b.store(last[i], state, {b.index(from + i), channel});
      });
    });
  });
  host.free(sums);
  host.free(before);
}

void ScanChunks::emitGrad(Value dy, nn::ScanOutputs out, int64_t channels) {
  emitStarts({}, {});
  // The gradients of the states behind each chunk, and then its part of the sums for a.
  Value behind = allocateStates(), da = out.da;
  launchChannels(host, in.x, slots, [&](BlockBuilder &b, Value slot, Value channel) {
    Chunk chunk = chunkOf(b, slot);
    nn::forStateParts(states, [&](int64_t from, int64_t count) {
      store(b, stripOf(b, chunk, channel, from, count).emitGradEnd(dy, chunk.count), behind, slot, channel, from);
    });
  });
  carry(behind, /*back=*/true);

  int64_t groups = width / channels, held = std::min(states, kGradStates);
  out.da = behind;
  emitLaunch(host, host.mul(slots, host.index(groups)), kWarpSize, [&](BlockBuilder &b, Value block) {
    Value slot = b.div(block, b.index(groups));
    Chunk chunk = chunkOf(b, slot);
    ScanGroup group(b, b.rem(block, b.index(groups)), channels);
    nn::ScanOutputs own = out;
    own.sequence = slot;
    own.group = group.number;
    nn::ScanStates kept{{}, b.shared({kChunkRows, held, kWarpSize}, b.getF32Type()), b.lane()};
    b.onEachThread([&] {
      nn::forStateParts(
          states,
          [&](int64_t from, int64_t count) {
            nn::ScanStrip strip = stripOf(b, chunk, group.channel, from, count);
            SmallVector<Value> carried = load(b, behind, slot, group.channel, from, count);
            carried.append(strip.zeros());
            SmallVector<Value> last = strip.emitChunkGrad(
                dy, own, kept, b.index(0), chunk.count, load(b, before, slot, group.channel, from, count), carried,
                [&](Value share, Value buffer, ValueRange at) { group.putSum(share, buffer, at); },
                [&](llvm::function_ref<void()> body) { group.onChannels(body); });
            group.onChannels([&] { strip.putGradOfA(ArrayRef(last).drop_front(count), own); });
          },
          kGradStates);
    });
  });
  launchStates([&](BlockBuilder &b, Value sequence, Value n, Value channel) {
    Value sum = b.loop(b.index(0), chunks, b.f32(0), [&](Value number, ValueRange carried) {
      Value slot = b.add(b.mul(sequence, chunks), number);
      return SmallVector<Value>{b.add(carried[0], b.load(behind, {slot, n, channel}))};
    })[0];
    b.store(sum, da, {sequence, n, channel});
  });
  host.free(behind);
  host.free(sums);
  host.free(before);
}
