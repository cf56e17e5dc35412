//===- MixPass.cpp - passes over the pool rows that tokens select --------===//
//
// A warp holds the token's x, its sums and several rows in registers: every row is read once, by 16-byte accesses that
// bypass the coherent cache, and all of a group are under way at once. The dots of a group are summed together, so that
// each activation is computed once, by the lanes that own it, not once per lane. Rows too wide for one warp are shared by
// the warps of a block, which exchange their parts of the dots through shared memory.
//
//===----------------------------------------------------------------------===//

#include "MixPass.h"
#include "lowering/gpu/block/Scan.h"

using namespace mlir;
using namespace peer;
using namespace peer::device;
using arith::CmpIPredicate;

/// The widest rows: their warps have to fit into a block with 128 registers per thread.
static constexpr int64_t kWidest = 8192;
/// Registers of a lane for what lives through the pass, and for rows under way. Together with addresses and temporaries
/// they leave room for twelve warps per multiprocessor or more.
static constexpr int64_t kStandingRegisters = 64, kRowRegisters = 64;
/// Registers for addresses, loops and temporaries, and for each number that is kept.
static constexpr int64_t kOtherRegisters = 40, kKeptRegisters = 4;
/// Elements of a row per lane at most: a block's warps add their sums up in 48 KiB of shared memory.
static constexpr int64_t kMostPerLane = 32;
/// Rows under way at once at most: more hide no more latency beside the other warps.
static constexpr int64_t kMostRows = 4;

const char *device::rejectMixPass(Value pool, Value idx, Value weights, ArrayRef<Value> rows) {
  auto type = cast<MemRefType>(pool.getType());
  if (type.getDimSize(2) > kWidest)
    return "rows are wider than 8192";
  if (type.getDimSize(0) > std::numeric_limits<int32_t>::max())
    return "row numbers do not fit in 32 bits";
  if (!isDense(idx, 1) || !isDense(weights, 1))
    return "indices or weights of a token are not dense";
  return isPlain(pool) && llvm::all_of(rows, isPlain) ? nullptr : "rows may lie at odd addresses";
}

namespace {
/// How a pass is spread, by the number of tokens.
struct Regimes {
  explicit Regimes(const GpuInfo &gpu)
      : warps(16 * gpu.multiprocessors), warpPerToken(llvm::bit_floor(uint64_t(warps))),
        blockPerToken(llvm::bit_floor(uint64_t(gpu.multiprocessors / 2))) {}

  /// A multiprocessor has 16 warps, or 12 of wide rows.
  int64_t warps;
  /// From so many tokens on they fill a GPU with a warp each, in blocks of four warps, which waste the fewest registers.
  int64_t warpPerToken, tokensPerBlock = 4;
  /// ... with a block each. Just short of one block of eight warps on half of the multiprocessors, each of which then reads
  /// at the rate of its own connection to L2. Below, several blocks share a token.
  int64_t blockPerToken, warpsPerBlock = 8;
  /// Those should give `warps` altogether, but have no fewer rows per warp.
  int64_t warpsPerPart = 4, rowsPerWarp = 2;
};

/// How one launch spreads a pass.
struct Spread {
  int64_t tokens = 1; // of a block, a warp each
  int64_t warps = 1;  // that share the rows of a token; one of this and `tokens` is 1
  Value parts;        // blocks that share the rows of a token; null: one
};

/// The layout of rows and how many of them are under way at once.
struct PassShape {
  PassShape(const MixPass &pass, const GpuInfo &gpu) : gpu(gpu) {
    auto type = cast<MemRefType>(pass.pool.table.getType());
    Type element = type.getElementType();
    llvm::SmallPtrSet<Value, 2> standing;
    for (Value factor : pass.factors)
      if (factor)
        standing.insert(factor);
    int64_t most = std::min(kStandingRegisters / int64_t(standing.size() + 1), kMostPerLane);
    layout = RowLayout::choose(type.getDimSize(2), element, most, pass.pool.packed);
    int64_t registers = 0;
    for (size_t f = 0; f < pass.factors.size(); ++f) {
      // What is used twice stays widened in between.
      bool widened = pass.factors[f] && pass.added[f];
      int64_t bits = layout.vector * (widened ? 32 : element.getIntOrFloatBitWidth());
      registers += layout.chunks * (llvm::divideCeil(bits, 32) + (pass.pool.isGrouped ? 1 : 0));
    }
    int64_t forRows = kRowRegisters - kKeptRegisters * pass.keptCount;
    rowsAtOnce = std::clamp<int64_t>(llvm::bit_floor(uint64_t(forRows / registers)), 1, kMostRows);
    expected = layout.perLane() * int64_t(standing.size() + 1) + registers * rowsAtOnce + kOtherRegisters +
               kKeptRegisters * pass.keptCount;
  }

  /// Blocks per multiprocessor that leave each lane the registers it needs.
  int64_t blocks(int64_t threads) const { return gpu.blocksThatFit(threads, expected); }

  GpuInfo gpu;
  RowLayout layout{};
  int64_t rowsAtOnce, expected;
};

/// The code of one warp.
class WarpPass {
public:
  /// `warpOfRow` (index): which of the warps that share a row, null for the only one.
  WarpPass(BlockBuilder &b, const MixPass &pass, const PassShape &shape, Value warpOfRow)
      : b(b), pass(pass), shape(shape), warpOfRow(warpOfRow), row(b, shape.layout, warpOfRow) {
    int64_t dots = llvm::count_if(pass.factors, [](Value factor) { return bool(factor); });
    if (shape.layout.warps > 1 && dots > 0)
      exchange = b.shared({2, dots, shape.rowsAtOnce, shape.layout.warps}, b.getF32Type());
  }

  /// The sums over the token's rows numbered [first, end), i32.
  Values emit(Value token, Value first, Value end);
  const LaneRow &laneRow() const { return row; }

private:
  Values emitList(Value first, Value end, ValueRange carried);
  void listScales();
  Values emitRows(ArrayRef<Value> positions, ValueRange carried);
  void exchangeDots(MutableArrayRef<Value> dots, int64_t rows, Value parity);
  Values keep(ArrayRef<Value> positions, ValueRange old, ValueRange fresh);

  BlockBuilder &b;
  const MixPass &pass;
  const PassShape &shape;
  Value warpOfRow;
  LaneRow row;
  Value exchange;
  // Of the token at hand.
  Value token, idx, weights;
  SmallVector<Values> factors;
  // Of up to 32 rows, one per lane: pool row (i32), weight of the pair and scales of the vectors with a dot.
  Value listedRow, listedWeight;
  Values listedScales;
};
} // namespace

Values WarpPass::emit(Value ofToken, Value first, Value end) {
  token = ofToken;
  idx = flatSlice(b, pass.idx, {token});
  weights = flatSlice(b, pass.weights, {token});
  llvm::DenseMap<Value, Values> loaded;
  for (Value factor : pass.factors) {
    if (factor && !loaded.count(factor))
      loaded[factor] = row.loadFloats(factor, {token});
    factors.push_back(factor ? loaded[factor] : Values{});
  }
  Values init = row.zeros();
  if (exchange)
    init.push_back(b.index(0));
  Values sums =
      loop32(b, first, end, init, [&](Value at, ValueRange carried) { return emitList(at, end, carried); }, kWarpSize);
  sums.resize(shape.layout.runs * shape.layout.chunks);
  return sums;
}

/// Up to 32 rows: each lane reads one index and weight. What is kept of a row stays in its lane until all are done.
Values WarpPass::emitList(Value first, Value end, ValueRange carried) {
  Value number = b.add(first, b.toI32(b.lane())), rows = b.i32(pass.rowsPerExpert);
  Value inside = b.cmp(CmpIPredicate::slt, number, end);
  Value safe = b.select(inside, number, first);
  Value pair = pass.rowsPerExpert == 1 ? safe : b.div(safe, rows);
  Value expert = b.load(idx, {b.toIndex(pair)});
  listedWeight = b.load(weights, {b.toIndex(pair)});
  listedRow = expert;
  if (pass.rowsPerExpert > 1)
    listedRow = b.add(b.mul(expert, rows), b.rem(safe, rows));
  listScales();
  Value mask = b.ballot(both(b, inside, b.cmp(CmpIPredicate::sge, expert, b.i32(0))));
  b.noteBlocks(shape.blocks(b.threads()));
  Values init(carried);
  init.append(pass.keptCount, b.f32(0));
  Values next = forSetBits(b, mask, shape.rowsAtOnce, init,
                           [&](ArrayRef<Value> positions, ValueRange values) { return emitRows(positions, values); });
  Values kept(ArrayRef(next).take_back(pass.keptCount));
  next.resize(carried.size());
  if (pass.keptCount == 0)
    return next;
  Value mine = inside;
  if (warpOfRow)
    mine = both(b, mine, b.cmp(CmpIPredicate::eq, warpOfRow, b.index(0)));
  b.onEachThread([&] { b.ifThen(mine, [&] { pass.keep(b, token, b.toIndex(number), kept); }); });
  return next;
}

/// Each lane reads the scales of its row: one access for 32 rows, and no wait beside the rows themselves.
void WarpPass::listScales() {
  listedScales.clear();
  if (!pass.pool.hasVectorScales())
    return;
  Value some = b.toIndex(b.max(listedRow, b.i32(0)));
  auto load = [&](int64_t f) { return b.loadWide(pass.pool.scales, {some, b.index(f)}, 1, /*readOnly=*/true); };
  int64_t last = pass.factors.size() - 1;
  for (int64_t f = 0; f < last; ++f)
    listedScales.push_back(load(f));
  listedWeight = b.mul(listedWeight, load(last));
}

Values WarpPass::emitRows(ArrayRef<Value> positions, ValueRange carried) {
  int64_t rows = positions.size(), vectors = pass.factors.size(), chunks = shape.layout.runs * shape.layout.chunks;
  // All loads first: none waits for another.
  SmallVector<SmallVector<Values>> loaded(vectors);
  for (Value position : positions) {
    Value poolRow = b.toIndex(b.shuffle(listedRow, position));
    for (int64_t f = 0; f < vectors; ++f)
      loaded[f].push_back(row.load(pass.pool, {poolRow, b.index(f)}));
  }
  Values dots(vectors);
  for (int64_t f = 0; f < vectors; ++f)
    if (pass.factors[f])
      dots[f] =
          sumOwn(b, llvm::map_to_vector(loaded[f], [&](const Values &vector) { return row.dot(vector, factors[f]); }));
  if (exchange)
    exchangeDots(dots, rows, carried[chunks]);
  Value own = pickOwn(b, positions), weight = b.shuffle(listedWeight, own);
  for (auto [f, scale] : llvm::enumerate(listedScales))
    dots[f] = b.mul(dots[f], b.shuffle(scale, own));
  MixPass::Coefficients results = pass.coefficients(b, dots, weight);
  Values sums(carried.take_front(chunks));
  for (int64_t f = 0; f < vectors; ++f)
    for (int64_t i = 0; pass.added[f] && i < rows; ++i) {
      Value scale = rows == 1 ? results.scales[f] : b.shuffle(results.scales[f], b.i32(leaderLane(i, rows)));
      sums = row.addScaled(sums, scale, loaded[f][i]);
    }
  if (exchange)
    sums.push_back(b.sub(b.index(1), carried[chunks]));
  sums.append(keep(positions, carried.take_back(pass.keptCount), results.kept));
  return sums;
}

/// Sums the dots' parts over the warps that share the row. Two places take turns, so that one barrier per group does.
void WarpPass::exchangeDots(MutableArrayRef<Value> dots, int64_t rows, Value parity) {
  Value group = b.index(kWarpSize / rows), own = b.div(b.lane(), group);
  auto forEach = [&](llvm::function_ref<void(Value &, Value)> body) {
    int64_t number = 0;
    for (Value &dot : dots)
      if (dot)
        body(dot, b.index(number++));
  };
  b.onEachThread([&] {
    b.ifThen(b.cmp(CmpIPredicate::eq, b.rem(b.lane(), group), b.index(0)), [&] {
      forEach([&](Value &dot, Value number) { b.store(dot, exchange, {parity, number, own, warpOfRow}); });
    });
  });
  b.barrier();
  forEach([&](Value &dot, Value number) {
    dot = b.load(exchange, {parity, number, own, b.index(0)});
    for (int64_t w = 1; w < shape.layout.warps; ++w)
      dot = b.add(dot, b.load(exchange, {parity, number, own, b.index(w)}));
  });
}

/// Brings what is to be kept of each row from the lanes that own it to the lane that lists it.
Values WarpPass::keep(ArrayRef<Value> positions, ValueRange old, ValueRange fresh) {
  if (old.empty())
    return {};
  Value lane = b.toI32(b.lane()), source = b.i32(0), mine;
  for (auto [i, position] : llvm::enumerate(positions)) {
    Value here = b.cmp(CmpIPredicate::eq, lane, position);
    source = b.select(here, b.i32(leaderLane(i, positions.size())), source);
    mine = mine ? either(b, mine, here) : here;
  }
  Values result;
  for (auto [before, now] : llvm::zip(old, fresh))
    result.push_back(b.select(mine, positions.size() == 1 ? now : b.shuffle(now, source), before));
  return result;
}

//===----------------------------------------------------------------------===//
// Launches
//===----------------------------------------------------------------------===//

static int64_t rowsOfToken(LoopBuilder &b, const MixPass &pass) {
  return b.staticDim(pass.idx, 1) * b.staticDim(pass.idx, 2) * pass.rowsPerExpert;
}

/// One block: a token per warp, or a token, or a part of one whose sums go to `partial` (blocks x D).
static void emitBlock(BlockBuilder &b, const MixPass &pass, const PassShape &shape, const Spread &spread, Value block,
                      Value partial) {
  bool shared = shape.layout.warps > 1;
  int64_t total = rowsOfToken(b, pass);
  WarpPass warp(b, pass, shape, shared ? b.warp() : Value());
  if (spread.warps == 1 && !spread.parts) {
    Value token = spread.tokens == 1 ? block : b.add(b.mul(block, b.index(spread.tokens)), b.warp());
    auto emit = [&] { warp.laneRow().store(warp.emit(token, b.i32(0), b.i32(total)), pass.sum, {token}); };
    if (spread.tokens == 1)
      emit();
    else
      b.ifThen(b.cmp(CmpIPredicate::slt, token, b.dim(pass.idx, 0)), emit);
    return;
  }
  Value token = spread.parts ? b.div(block, spread.parts) : block;
  Value worker = b.index(0), workers = b.index(spread.warps);
  if (spread.parts) {
    worker = b.mul(b.rem(block, spread.parts), workers);
    workers = b.mul(spread.parts, workers);
  }
  if (spread.warps > 1)
    worker = b.add(worker, b.warp());
  Value all = b.index(total), share = b.ceilDiv(all, workers), first = b.min(b.mul(worker, share), all);
  Values sums = warp.emit(token, b.toI32(first), b.toI32(b.min(b.add(first, share), all)));
  Value target = partial ? partial : pass.sum, at = partial ? block : token;
  if (spread.warps > 1)
    warp.laneRow().storeSumOfWarps(sums, warp.laneRow().sharedForWarps(spread.warps), target, {at});
  else
    warp.laneRow().store(sums, target, {at});
}

static void launchPass(LoopBuilder &host, const MixPass &pass, const PassShape &shape, const Spread &spread) {
  Value tokens = host.dim(pass.idx, 0), blocks = tokens;
  if (spread.tokens > 1)
    blocks = host.ceilDiv(tokens, spread.tokens);
  int64_t warps = spread.tokens * spread.warps * shape.layout.warps;
  if (!spread.parts)
    return emitLaunch(host, blocks, warps * kWarpSize,
                      [&](BlockBuilder &b, Value block) { emitBlock(b, pass, shape, spread, block, {}); });
  // Several blocks per token: a second launch adds their sums up, in their order.
  blocks = host.mul(tokens, spread.parts);
  Value partial = host.heap({ShapedType::kDynamic, pass.pool.width}, host.getF32Type(), blocks);
  emitLaunch(host, blocks, warps * kWarpSize,
             [&](BlockBuilder &b, Value block) { emitBlock(b, pass, shape, spread, block, partial); });
  Value width = host.index(pass.pool.width), elements = host.mul(tokens, width);
  emitLaunch(host, host.ceilDiv(elements, kThreads), kThreads, [&](BlockBuilder &b, Value block) {
    Value flat = b.add(b.mul(block, b.index(kThreads)), b.thread());
    b.onEachThread([&] {
      b.ifThen(b.cmp(CmpIPredicate::slt, flat, elements), [&] {
        Value token = b.div(flat, width), column = b.rem(flat, width), first = b.mul(token, spread.parts);
        Value sum = b.loop(b.index(0), spread.parts, {b.f32(0)}, [&](Value part, ValueRange carried) {
          return Values{b.add(carried[0], b.load(partial, {b.add(first, part), column}))};
        })[0];
        b.store(sum, pass.sum, {token, column});
      });
    });
  });
  host.free(partial);
}

void device::emitMixPass(LoopBuilder &host, const MixPass &pass, const GpuInfo &gpu) {
  PassShape shape(pass, gpu);
  Regimes regimes(gpu);
  bool shared = shape.layout.warps > 1;
  Value tokens = host.dim(pass.idx, 0);
  auto launchMany = [&] { launchPass(host, pass, shape, {shared ? 1 : regimes.tokensPerBlock, 1, {}}); };
  auto launchSome = [&] { launchPass(host, pass, shape, {1, regimes.warpsPerBlock, {}}); };
  auto launchFew = [&] {
    int64_t warps = shared ? 1 : regimes.warpsPerPart;
    int64_t total = rowsOfToken(host, pass);
    // Twice as many parts, until there are enough warps or their shares would be too small. No division: what says how much
    // memory a call needs must be free of such that can fail.
    Value parts = host.index(1);
    for (int64_t p = 1; 2 * p * warps * regimes.rowsPerWarp <= total; p *= 2) {
      Value now = host.mul(tokens, host.index(p * warps * shape.layout.warps));
      parts = host.select(host.cmp(CmpIPredicate::slt, now, host.index(regimes.warps)), host.index(2 * p), parts);
    }
    launchPass(host, pass, shape, {1, warps, parts});
  };
  int64_t known = host.staticDim(pass.idx, 0);
  auto either = [&](int64_t least, llvm::function_ref<void()> from, llvm::function_ref<void()> below) {
    if (!ShapedType::isDynamic(known))
      return known >= least ? from() : below();
    host.ifThen(host.cmp(CmpIPredicate::sge, tokens, host.index(least)), from, below);
  };
  either(regimes.warpPerToken, launchMany, [&] {
    // Warps that share rows are a block already: fewer tokens mean more blocks per token.
    if (shared)
      return launchFew();
    either(regimes.blockPerToken, launchSome, launchFew);
  });
}
