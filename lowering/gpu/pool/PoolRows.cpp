//===- PoolRows.cpp - the rows of a pool's sparse gradient ---------------===//

#include "PoolRows.h"
#include "lowering/gpu/block/LaneList.h"
#include "lowering/gpu/block/LaneRows.h"

using namespace mlir;
using namespace peer;
using namespace peer::device;
using arith::CmpIPredicate;

/// Accesses of a warp per vector of a row, one where there are three vectors: with 4 elements each, what fits in registers beside
/// an optimizer's states.
static constexpr int64_t kAccesses = 2;
/// Registers of a lane for what a warp loads of pairs at once, and at most so many pairs.
static constexpr int64_t kLoadRegisters = 16, kMostPairs = 4;
/// Registers for addresses, loops and temporaries: of rows, for each table of theirs, of shares of segments.
static constexpr int64_t kRowRegisters = 40, kTableRegisters = 4, kShareRegisters = 32;
/// Blocks that a multiprocessor has room for however wide the rows are: their warps would be too few otherwise.
static constexpr int64_t kLeastBlocks = 2;
/// Segments up to this long are never cut.
static constexpr int64_t kLeastChunk = 128;
static constexpr int64_t kMostChunks = 1024;
/// Memory for the shares of cut segments, two per chunk.
static constexpr int64_t kShareBytes = int64_t(32) << 20;
/// Rows whose expert a warp looks up at once: more hide more latency, fewer spread better.
static constexpr int64_t kMostBatch = 8;

void device::ifInside(BlockBuilder &b, Value inside, llvm::function_ref<void()> body) {
  if (inside)
    b.ifThen(inside, body);
  else
    body();
}

RowPass::RowPass(LoopBuilder &host, Operands operands, ValueRange tables, int64_t experts, const GpuInfo &gpu)
    : in(operands), gpu(gpu) {
  perToken = host.staticDim(in.idx, 1) * host.staticDim(in.idx, 2);
  rowsPerExpert = host.staticDim(in.coef, 3);
  vectors = host.staticDim(in.coef, 4);
  width = host.staticDim(in.x, 1);
  in.idx = flatten(host, in.idx);
  in.coef = flatten(host, in.coef);
  bool aligned = isAligned(in.x) && isAligned(in.dy) && llvm::all_of(tables, isAligned);
  lanes = 1;
  while (aligned && lanes < 4 && width % (2 * lanes) == 0 && width > kWarpSize * lanes)
    lanes *= 2;
  int64_t all = llvm::divideCeil(width, kWarpSize * lanes);
  accesses = std::min(all, vectors > 2 ? 1 : kAccesses);
  slices = llvm::divideCeil(all, accesses);
  whole = width == slices * accesses * kWarpSize * lanes;
  // Of x and dy, for one pair.
  int64_t loads = lanes * accesses * std::min<int64_t>(vectors, 2), elements = lanes * accesses * vectors;
  unroll = std::clamp<int64_t>(llvm::bit_floor(uint64_t(kLoadRegisters / loads)), 1, kMostPairs);
  // With several rows per expert, their numbers take registers, too.
  if (whole && elements > 8 && rowsPerExpert == 1)
    unroll = 2;
  rowRegisters = kRowRegisters + elements + unroll * loads + int64_t(tables.size()) * (elements + kTableRegisters);
  shareRegisters = kShareRegisters + elements + std::min(2 * unroll * loads, 2 * kLoadRegisters);
  mostChunks = std::clamp<int64_t>(kShareBytes / (2 * 4 * rowsPerExpert * vectors * width), 1, kMostChunks);

  allPairs = sizeOf(host, in.idx);
  chunk = host.max(host.index(kLeastChunk), host.ceilDiv(allPairs, mostChunks));
  chunks = host.min(host.index(mostChunks), host.ceilDiv(allPairs, kLeastChunk));
  Value touched = experts ? host.min(allPairs, host.index(experts)) : allPairs;
  mostRows = host.mul(touched, host.index(rowsPerExpert));
  // A warp takes several rows where there are more than keep the GPU busy.
  Value perWarp = host.div(host.mul(mostRows, host.index(slices)), host.index(gpu.busyWarps()));
  batch = host.min(host.max(perWarp, host.index(1)), host.index(kMostBatch));
}

static Value blocksOf(LoopBuilder &host, Value warps) { return host.ceilDiv(warps, kThreads / kWarpSize); }

Value RowPass::blocks(LoopBuilder &host) const {
  return blocksOf(host, host.mul(host.ceilDiv(mostRows, batch), host.index(slices)));
}
Value RowPass::mostBlocks(LoopBuilder &host) const { return blocksOf(host, host.mul(mostRows, host.index(slices))); }

//===----------------------------------------------------------------------===//
// Sums of pairs
//===----------------------------------------------------------------------===//

void RowPass::noteRegisters(BlockBuilder &b, int64_t registers) const {
  b.noteBlocks(std::max(kLeastBlocks, gpu.blocksThatFit(b.threads(), registers)));
}

/// buffer[at] of a buffer that nothing writes while the kernel runs, as it is stored.
static Value read(BlockBuilder &b, Value buffer, Value at) {
  return b.loadWide(buffer, {b.toIndex(at)}, 1, /*readOnly=*/true);
}

RowPass::Part RowPass::emitPart(BlockBuilder &b, Value slice) const {
  Part part;
  Value base = b.add(b.mul(slice, b.index(accesses * kWarpSize * lanes)), b.mul(b.lane(), b.index(lanes)));
  for (int64_t i = 0; i < accesses; ++i) {
    Value at = b.add(base, b.index(i * kWarpSize * lanes));
    part.inside.push_back(whole ? Value() : b.cmp(CmpIPredicate::ult, at, b.index(width)));
    part.at.push_back(whole ? at : b.min(at, b.index(width - lanes)));
  }
  return part;
}

Value RowPass::emitToken(BlockBuilder &b, Value pair) const { return b.div(pair, b.i32(perToken)); }

Values RowPass::emitCoefs(BlockBuilder &b, Value pair, Value j) const {
  Value row = b.mul(b.add(b.mul(b.toIndex(pair), b.index(rowsPerExpert)), j), b.index(vectors));
  Values coefs;
  for (int64_t f = 0; f < vectors; ++f)
    coefs.push_back(read(b, in.coef, b.add(row, b.index(f))));
  return coefs;
}

Values RowPass::load(BlockBuilder &b, Value source, Value token, const Part &part) const {
  return llvm::map_to_vector(
      part.at, [&](Value at) { return b.loadWide(source, {b.toIndex(token), at}, lanes, /*readOnly=*/true); });
}

Values RowPass::addPair(BlockBuilder &b, ValueRange sums, ValueRange coefs, Value token, const Part &part) const {
  Values x = vectors > 1 ? load(b, in.x, token, part) : Values(), dy = load(b, in.dy, token, part), next;
  for (int64_t f = 0; f < vectors; ++f)
    for (int64_t i = 0; i < accesses; ++i) {
      Value sum = sums[f * accesses + i];
      next.push_back(b.fma(b.splat(coefs[f], sum.getType()), (f + 1 < vectors ? x : dy)[i], sum));
    }
  return next;
}

/// Adds the pairs of `order` in [low, high) (i32). The lanes look up 32 of them at a time, the warp then loads for `atOnce` of them
/// at once: as many as registers allow.
Values RowPass::addPairs(BlockBuilder &b, ValueRange sums, Value low, Value high, Value j, const Part &part,
                         int64_t atOnce) const {
  auto round = [&](Value first, ValueRange carried) {
    Value last = b.sub(high, b.i32(1));
    Value pair = read(b, in.order, b.min(b.add(first, b.toI32(b.lane())), last)), token = emitToken(b, pair);
    Values coefs = emitCoefs(b, pair, j);
    Value count = b.min(b.i32(kWarpSize), b.sub(high, first)), whole = b.sub(count, b.rem(count, b.i32(atOnce)));
    auto add = [&](Value source, ValueRange before) {
      Values own = llvm::map_to_vector(coefs, [&](Value coef) { return b.shuffle(coef, source); });
      return addPair(b, before, own, b.shuffle(token, source), part);
    };
    auto addSome = [&](Value k, ValueRange before) {
      Values after(before);
      for (int64_t i = 0; i < atOnce; ++i)
        after = add(b.add(k, b.i32(i)), after);
      return after;
    };
    Values next = loop32(b, b.i32(0), whole, carried, addSome, atOnce);
    keepRolled(next.front());
    next = loop32(b, whole, count, next, add);
    keepRolled(next.front());
    return next;
  };
  Values all = loop32(b, low, high, sums, round, kWarpSize);
  keepRolled(all.front());
  return all;
}

//===----------------------------------------------------------------------===//
// Shares of long segments
//===----------------------------------------------------------------------===//

Value RowPass::emitEnd(BlockBuilder &b, Value segment, Value segments, Value pairs) const {
  Value next = b.add(segment, b.i32(1)), isLast = b.cmp(CmpIPredicate::sge, next, segments);
  return b.select(isLast, pairs, read(b, in.starts, b.select(isLast, segment, next)));
}

/// The segment of an entry of `order`: each round the lanes cut what is left into 32.
Value RowPass::findSegment(BlockBuilder &b, Value entry, Value segments) const {
  Type i32 = b.getI32Type();
  auto loop = scf::WhileOp::create(
      b, TypeRange{i32, i32}, ValueRange{b.i32(0), segments},
      [&](OpBuilder &, Location, ValueRange carried) {
        scf::ConditionOp::create(b, b.cmp(CmpIPredicate::sgt, b.sub(carried[1], carried[0]), b.i32(1)), carried);
      },
      [&](OpBuilder &, Location, ValueRange carried) {
        Value low = carried[0], high = carried[1];
        Value step = b.div(b.add(b.sub(high, low), b.i32(kWarpSize - 1)), b.i32(kWarpSize));
        Value probe = b.add(low, b.mul(b.toI32(b.lane()), step)), last = b.sub(high, b.i32(1));
        Value start = read(b, in.starts, b.min(probe, last));
        Value before = both(b, b.cmp(CmpIPredicate::sle, start, entry), b.cmp(CmpIPredicate::sle, probe, last));
        Value mask = b.ballot(before), chosen = b.sub(emitPopCount(b, mask), b.i32(1));
        noteRegisters(b, shareRegisters);
        Value next = b.add(low, b.mul(chosen, step));
        scf::YieldOp::create(b, ValueRange{next, b.min(b.add(next, step), high)});
      });
  return loop.getResult(0);
}

/// What one warp does for a slice, row, chunk and side: a segment longer than a chunk may come into the chunk (side 0),
/// another begin in it and lead out (side 1); none fits between.
void RowPass::emitShare(BlockBuilder &b, Value unit, Value shares) const {
  Value segments = read(b, in.count, b.index(0)), pairs = read(b, in.count, b.index(1));
  Value two = b.i32(2), rows = b.i32(rowsPerExpert), length = b.toI32(chunk), columns = b.toI32(chunks);
  Value side = b.rem(unit, two), rest = b.div(unit, two), number = b.rem(rest, columns);
  rest = b.div(rest, columns);
  Value j = b.rem(rest, rows), slice = b.toIndex(b.div(rest, rows)), first = b.mul(number, length);
  Value share = b.add(b.mul(b.add(b.mul(number, two), side), rows), j);
  b.ifThen(b.cmp(CmpIPredicate::ult, first, pairs), [&] {
    Value isRight = b.cmp(CmpIPredicate::eq, side, b.i32(1)), end = b.min(b.add(first, length), pairs);
    Value segment = findSegment(b, b.select(isRight, b.sub(end, b.i32(1)), first), segments);
    Value start = read(b, in.starts, segment), stop = emitEnd(b, segment, segments, pairs);
    Value isLong = b.cmp(CmpIPredicate::sgt, b.sub(stop, start), length);
    // What begins where the chunk does is its left side's.
    Value leadsOut = b.cmp(CmpIPredicate::sgt, start, first);
    b.ifThen(both(b, isLong, b.cmp(CmpIPredicate::eq, leadsOut, isRight)), [&] {
      Part part = emitPart(b, slice);
      Values zeros(vectors * accesses, b.f32(0, b.floats(lanes)));
      Values sums = addPairs(b, zeros, b.max(start, first), b.min(stop, end), b.toIndex(j), part, 2 * unroll);
      for (int64_t f = 0; f < vectors; ++f)
        for (int64_t i = 0; i < accesses; ++i)
          ifInside(b, part.inside[i],
                   [&] { b.store(sums[f * accesses + i], shares, {b.toIndex(share), b.index(f), part.at[i]}); });
    });
  });
}

void RowPass::launchShares(LoopBuilder &host, Value shares) const {
  Value units = host.mul(chunks, host.index(2 * rowsPerExpert * slices));
  Value isOne = host.cmp(CmpIPredicate::ule, allPairs, chunk);
  Value warps = host.select(isOne, host.index(0), units);
  emitLaunch(host, blocksOf(host, warps), kThreads, [&](BlockBuilder &b, Value block) {
    Value unit = b.add(b.mul(block, b.index(b.warps())), b.warp());
    b.onEachThread([&] {
      // There are not more units than shares have elements: 32 bits are enough.
      b.ifThen(b.cmp(CmpIPredicate::ult, unit, units), [&] { emitShare(b, b.toI32(unit), shares); });
    });
  });
}

/// The sum of the shares of the segment [low, high), in order.
Values RowPass::emitShares(BlockBuilder &b, Value low, Value high, Value j, const Part &part, Value shares) const {
  Value length = b.toI32(chunk), first = b.div(low, length), one = b.i32(1);
  Value leadsOut = b.cmp(CmpIPredicate::ne, low, b.mul(first, length));
  auto load = [&](Value share) {
    Value row = b.add(b.mul(b.toIndex(share), b.index(rowsPerExpert)), j);
    Values values;
    for (int64_t f = 0; f < vectors; ++f)
      for (Value at : part.at)
        values.push_back(b.loadWide(shares, {row, b.index(f), at}, lanes, /*readOnly=*/true));
    return values;
  };
  Value side = b.select(leadsOut, one, b.i32(0));
  Values total = loop32(b, b.add(first, one), b.add(b.div(b.sub(high, one), length), one),
                        load(b.add(b.mul(first, b.i32(2)), side)), [&](Value number, ValueRange sums) {
                          Values next;
                          for (auto [sum, share] : llvm::zip(sums, load(b.mul(number, b.i32(2)))))
                            next.push_back(b.add(sum, share));
                          return next;
                        });
  keepRolled(total.front());
  return total;
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

/// A warp's rows: the lanes look up one row each, then the warp goes through them.
void RowPass::emitRows(BlockBuilder &b, Value unit, Value shares, const RowUse &use) const {
  Value segments = read(b, in.count, b.index(0)), pairs = read(b, in.count, b.index(1));
  Value perExpert = b.index(rowsPerExpert), rows = b.mul(b.toIndex(segments), perExpert);
  Value batches = b.ceilDiv(rows, batch);
  b.ifThen(b.cmp(CmpIPredicate::ult, unit, b.mul(batches, b.index(slices))), [&] {
    Part part = emitPart(b, slices == 1 ? b.index(0) : b.div(unit, batches));
    Value first = b.mul(slices == 1 ? unit : b.rem(unit, batches), batch);
    // Lanes without a row look up the last one.
    Value item = b.min(b.add(first, b.lane()), b.sub(rows, b.index(1)));
    Value segment = b.toI32(b.div(item, perExpert)), ofLane = b.rem(item, perExpert);
    Value start = read(b, in.starts, segment), stop = emitEnd(b, segment, segments, pairs);
    Value pair = read(b, in.order, start), expert = read(b, in.idx, pair);
    Value row = b.toI32(b.add(b.mul(b.toIndex(expert), perExpert), ofLane));
    Values looked{start, stop, row, b.toI32(ofLane), emitToken(b, pair)};
    looked.append(emitCoefs(b, pair, ofLane));
    loop32(b, b.i32(0), b.toI32(b.min(batch, b.sub(rows, first))), {}, [&](Value source, ValueRange) {
      Values of = llvm::map_to_vector(looked, [&](Value v) { return b.shuffle(v, source); });
      noteRegisters(b, rowRegisters);
      Value low = of[0], high = of[1], j = rowsPerExpert == 1 ? b.index(0) : b.toIndex(of[3]);
      SmallVector<RowPlace> places;
      SmallVector<Values> prepared;
      for (int64_t f = 0; f < vectors; ++f)
        for (auto [at, inside] : llvm::zip(part.at, part.inside)) {
          places.push_back({b.toIndex(of[2]), b.index(f), at, lanes, inside});
          prepared.push_back(use.prepare ? use.prepare(b, places.back()) : Values());
        }
      auto direct = [&] {
        Values x = vectors > 1 ? load(b, in.x, of[4], part) : Values(), dy = load(b, in.dy, of[4], part), sums;
        for (int64_t f = 0; f < vectors; ++f)
          for (int64_t i = 0; i < accesses; ++i) {
            Value factor = (f + 1 < vectors ? x : dy)[i];
            sums.push_back(b.mul(b.splat(of[5 + f], factor.getType()), factor));
          }
        return addPairs(b, sums, b.add(low, b.i32(1)), high, j, part, unroll);
      };
      Values sums;
      if (!shares) {
        sums = direct();
      } else {
        Value isLong = b.cmp(CmpIPredicate::sgt, b.sub(high, low), b.toI32(chunk));
        sums = emitIf(b, isLong, [&] { return emitShares(b, low, high, j, part, shares); }, direct);
      }
      Values ofSlice;
      if (use.slice)
        ofSlice = use.slice(b, {b.toIndex(of[2]), b.add(first, b.toIndex(source)),
                                slices == 1 ? b.index(0) : b.div(unit, batches), places, sums});
      for (auto [place, loaded, sum] : llvm::zip(places, prepared, sums))
        if (use.use)
          use.use(b, place, loaded, sum, ofSlice);
      return Values();
    });
  });
}

void device::launchForTouchedRows(LoopBuilder &host, const SortedRows &rows,
                                  llvm::function_ref<void(BlockBuilder &, Value, Value)> body) {
  launchForEach(host, rows.most, [&](BlockBuilder &b, Value number) {
    Value perExpert = b.index(rows.perExpert), count = b.mul(b.toIndex(read(b, rows.count, b.index(0))), perExpert);
    b.ifThen(b.cmp(CmpIPredicate::ult, number, count), [&] {
      Value start = read(b, rows.starts, b.div(number, perExpert));
      Value expert = b.toIndex(read(b, rows.idx, read(b, rows.order, start)));
      body(b, number, b.add(b.mul(expert, perExpert), b.rem(number, perExpert)));
    });
  });
}

void RowPass::launch(LoopBuilder &host, llvm::function_ref<RowUse(BlockBuilder &, Value)> begin,
                     llvm::function_ref<void(BlockBuilder &, Value)> end) const {
  Value shares;
  if (mostChunks > 1) {
    shares = host.heap({ShapedType::kDynamic, vectors, width}, host.getF32Type(),
                       {host.mul(chunks, host.index(2 * rowsPerExpert))});
    launchShares(host, shares);
  }
  emitLaunch(host, blocks(host), kThreads, [&](BlockBuilder &b, Value block) {
    RowUse use = begin(b, block);
    Value unit = b.add(b.mul(block, b.index(b.warps())), b.warp());
    b.onEachThread([&] { emitRows(b, unit, shares, use); });
    if (end)
      end(b, block);
  });
  if (shares)
    host.free(shares);
}
