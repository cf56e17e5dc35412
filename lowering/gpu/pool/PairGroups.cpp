//===- PairGroups.cpp - few pairs grouped by expert ----------------------===//
//
// A hash table in shared memory brings the pairs of an expert together: integer atomics find the first pair of each expert
// and count the others. Who wins a slot depends on which warp was faster, but the first pair and the count do not, and nothing
// else is read from the table: the places that follow from them are the same on every run.
//
// A pair goes to the start of its segment plus the number of pairs before it in the segment, its rank. Ranks must not come
// from the atomics, whose order is a race, and comparing the pairs of a segment with each other would be quadratic where few
// experts have all pairs. So the pairs are cut into chunks; within one, warps and their items count in pair order in
// cells, one for each segment and chunk, and the cells of the chunks before are added. A segment of one pair needs
// no cell, and of the others no two begin within two places, so that half a segment's start numbers its cell: cells are half as
// many as pairs, and those of all chunks fit into the memory of the table, which nobody reads any more.
//
//===----------------------------------------------------------------------===//

#include "PairGroups.h"
#include "lowering/gpu/block/LaneList.h"
#include "lowering/gpu/block/Scan.h"
#include "lowering/gpu/block/SharedPlan.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;
using namespace peer;
using namespace peer::device;
using arith::CmpIPredicate;

/// Threads of the block: as many as have two pairs each, within these limits.
static constexpr int64_t kLeastThreads = 128, kMostThreads = 512;
static constexpr int64_t kLeastItems = 2;
static constexpr int64_t kMostChunks = 8;
/// Slots of the table per pair: at most every second one is taken, so probes find an end soon.
static constexpr int64_t kSlots = 2;
/// Multiples of 2^32 / golden ratio are spread over the upper bits, whatever regular steps the numbers make. Numbers made
/// to collide cost probes, nothing else.
static constexpr int64_t kHashFactor = 0x9E3779B1;
/// The bit of a start that says that its segment has several pairs.
static constexpr int64_t kSeveral = 1 << 15;

namespace {
/// What a lane knows of one of its pairs. Where lanes of the warp have pairs of one expert, the lowest speaks for all.
struct Item {
  Value exists;  // i1, the same in the warp: whether the warp has this item at all
  Value pair;    // i32, as what follows
  Value expert;  // negative where there is no pair
  Value peers;   // the lanes with the same expert; 0 where there is no pair
  Value slot;    // of the table; negative where another lane speaks or there is no pair
  Value first;   // the first pair of the segment; negative as above
  Value start;   // of the segment, with kSeveral
  Value earlier; // pairs of the segment before this item's in the chunk
};

class Grouping {
public:
  Grouping(BlockBuilder &b, Value idx, Value pairs, Value rounds, int64_t experts, int64_t items);
  void emit(Value order, Value starts, Value count);

private:
  int64_t capacity() const { return b.threads() * int64_t(items.size()); }
  int64_t chunks() const { return std::min(b.warps(), kMostChunks); }
  int64_t rowWords() const { return capacity() / 4; } // of the cells of a chunk
  Value ifOr(Value condition, Value otherwise, llvm::function_ref<Value()> then);
  SharedWords words(int64_t count);
  void fill(const SharedWords &memory, int64_t count, int64_t value);
  Value atomic(LLVM::AtomicBinOp kind, Value pointer, Value v);
  Value half(const SharedWords &memory, Value position);
  Value loadHalf(const SharedWords &memory, Value position);
  Value probe(Value expert, Value pair);
  void insert(Item &item);
  void countPairs(Item &item);
  void emitStarts(Value starts, Value count);
  Value cell(const Item &item);
  Value atCell(const Item &item, llvm::function_ref<Value(Value cell)> body);
  void countEarlier();
  void addChunks();
  void store(const Item &item, Value order);

  BlockBuilder &b;
  Value idx;
  int64_t experts, slots;
  bool direct; // each expert has a slot of its own
  Value laneBit, chunk, zero, one, none;
  SmallVector<Item> items;
  SharedWords table; // by slot: a pair of its expert, in the end the first; then cells, two in a word
  SharedWords
      segments; // by pair, two in a word: 0 where it is no first one, else the count, then the start and kSeveral
};
} // namespace

static Value shiftRight(BlockBuilder &b, Value v, int64_t bits) { return arith::ShRUIOp::create(b, v, b.i32(bits)); }
static Value shiftLeft(BlockBuilder &b, Value v, int64_t bits) { return arith::ShLIOp::create(b, v, b.i32(bits)); }
static Value lowBits(BlockBuilder &b, Value v, int64_t mask) { return arith::AndIOp::create(b, v, b.i32(mask)); }

Grouping::Grouping(BlockBuilder &b, Value idx, Value pairs, Value rounds, int64_t experts, int64_t perThread)
    : b(b), idx(idx), experts(experts), zero(b.i32(0)), one(b.i32(1)), none(b.i32(-1)), items(perThread) {
  slots = kSlots * capacity();
  direct = experts <= slots;
  laneBit = arith::ShLIOp::create(b, one, b.toI32(b.lane()));
  int64_t warpsOfChunk = b.warps() / chunks();
  chunk = b.toI32(b.div(b.warp(), b.index(warpsOfChunk)));
  // Only so many items of each thread exist, so that few pairs are spread over all warps.
  Value limit = b.toI32(pairs), lane = b.toI32(b.lane());
  rounds = b.toI32(rounds);
  Value base = b.add(b.mul(b.mul(b.toI32(b.warp()), rounds), b.i32(kWarpSize)), lane);
  for (auto [i, item] : llvm::enumerate(items)) {
    item.exists = b.cmp(CmpIPredicate::slt, b.i32(i), rounds);
    item.pair = b.add(base, b.i32(i * kWarpSize));
    item.expert = ifOr(item.exists, none, [&] { return loadBelow(b, idx, item.pair, limit, none); });
    item.earlier = zero;
  }
  table = words(slots);
  segments = words(capacity() / 2);
}

/// then() where the condition holds.
Value Grouping::ifOr(Value condition, Value otherwise, llvm::function_ref<Value()> then) {
  return emitIf(b, condition, [&] { return Values{then()}; }, [&] { return Values{otherwise}; })[0];
}

//===----------------------------------------------------------------------===//
// Shared memory
//===----------------------------------------------------------------------===//

// An array of vectors, because an array of i32 would only be aligned to 4 bytes.
SharedWords Grouping::words(int64_t count) {
  Value buffer = b.shared({count / 4}, VectorType::get({4}, b.getI32Type()));
  Value address = memref::ExtractAlignedPointerAsIndexOp::create(b, buffer);
  Value bits = arith::IndexCastOp::create(b, b.getI64Type(), address);
  auto type = LLVM::LLVMPointerType::get(b.getContext(), unsigned(NVVM::NVVMMemorySpace::Shared));
  return {LLVM::IntToPtrOp::create(b, type, bits)};
}

void Grouping::fill(const SharedWords &memory, int64_t count, int64_t value) {
  auto type = VectorType::get({4}, b.getI32Type());
  Value v = arith::ConstantOp::create(b, DenseElementsAttr::get(type, b.getI32IntegerAttr(value).getValue()));
  b.forThreads(b.index(count / 4), [&](Value i) { memory.store(b, v, b.mul(i, b.index(4))); });
}

/// On a word of the block's shared memory; nothing is ordered by it, that is what barriers are for.
Value Grouping::atomic(LLVM::AtomicBinOp kind, Value pointer, Value v) {
  return LLVM::AtomicRMWOp::create(b, kind, pointer, v, LLVM::AtomicOrdering::monotonic, "block");
}

/// The pointer to 16 bits.
Value Grouping::half(const SharedWords &memory, Value position) {
  Value at = arith::ExtUIOp::create(b, b.getI64Type(), position);
  return LLVM::GEPOp::create(b, memory.base.getType(), b.getI16Type(), memory.base, ArrayRef<LLVM::GEPArg>{at});
}

Value Grouping::loadHalf(const SharedWords &memory, Value position) {
  Value loaded = LLVM::LoadOp::create(b, b.getI16Type(), half(memory, position), /*alignment=*/2);
  return arith::ExtUIOp::create(b, b.getI32Type(), loaded);
}

//===----------------------------------------------------------------------===//
// Segments
//===----------------------------------------------------------------------===//

/// The slot of an expert. Its pair, or one of the same expert that was faster, is in it afterwards; the smallest is kept.
Value Grouping::probe(Value expert, Value pair) {
  auto pointer = [&](Value slot) { return table.pointer(b, b.toIndex(slot), 0); };
  if (direct) {
    atomic(LLVM::AtomicBinOp::umin, pointer(expert), pair);
    return expert;
  }
  Type i32 = b.getI32Type();
  Value home = shiftRight(b, b.mul(expert, b.i32(kHashFactor)), 32 - llvm::Log2_64(slots));
  auto loop = scf::WhileOp::create(
      b, TypeRange{i32, i32}, ValueRange{home},
      [&](OpBuilder &, Location, ValueRange carried) {
        auto ordering = LLVM::AtomicOrdering::monotonic;
        Value tried = LLVM::AtomicCmpXchgOp::create(b, pointer(carried[0]), none, pair, ordering, ordering, "block");
        Value old = LLVM::ExtractValueOp::create(b, tried, 0);
        Value holder =
            ifOr(b.cmp(CmpIPredicate::sge, old, zero), expert, [&] { return b.load(idx, {b.toIndex(old)}); });
        scf::ConditionOp::create(b, b.cmp(CmpIPredicate::ne, holder, expert), ValueRange{carried[0], old});
      },
      [&](OpBuilder &, Location, ValueRange carried) {
        scf::YieldOp::create(b, lowBits(b, b.add(carried[0], one), slots - 1));
      });
  Value slot = loop.getResult(0);
  b.ifThen(b.cmp(CmpIPredicate::sgt, loop.getResult(1), pair),
           [&] { atomic(LLVM::AtomicBinOp::umin, pointer(slot), pair); });
  return slot;
}

void Grouping::insert(Item &item) {
  // There is no other block.
  b.noteBlocks(1);
  Values found = emitIf(
      b, item.exists,
      [&] {
        Value same = emitMatch(b, item.expert);
        Value peers = b.select(b.cmp(CmpIPredicate::sge, item.expert, zero), same, zero);
        // The lowest bit is this lane's.
        Value lowest = arith::AndIOp::create(b, peers, b.sub(zero, peers));
        Value slot =
            ifOr(b.cmp(CmpIPredicate::eq, lowest, laneBit), none, [&] { return probe(item.expert, item.pair); });
        return Values{peers, slot};
      },
      [&] { return Values{zero, none}; });
  item.peers = found[0], item.slot = found[1];
}

void Grouping::countPairs(Item &item) {
  item.first = ifOr(b.cmp(CmpIPredicate::sge, item.slot, zero), none, [&] {
    Value first = table.load(b, b.getI32Type(), b.toIndex(item.slot));
    // Two counts in a word: neither can run over into the other.
    Value shift = shiftLeft(b, lowBits(b, first, 1), 4), n = emitPopCount(b, item.peers);
    atomic(LLVM::AtomicBinOp::add, segments.pointer(b, b.toIndex(shiftRight(b, first, 1)), 0),
           arith::ShLIOp::create(b, n, shift));
    return first;
  });
}

/// Counts become starts. A thread has the words of neighbouring pairs, so what it adds up is in pair order.
void Grouping::emitStarts(Value starts, Value count) {
  int64_t perThread = capacity() / 2 / b.threads();
  auto type = VectorType::get({perThread}, b.getI32Type());
  Value at = b.mul(b.thread(), b.index(perThread)), loaded = segments.load(b, type, at);
  Values counts;
  for (int64_t i = 0; i < perThread; ++i) {
    Value word = vector::ExtractOp::create(b, loaded, i);
    counts.append({lowBits(b, word, 0xffff), shiftRight(b, word, 16)});
  }
  // Segments in the upper half, pairs in the lower one.
  auto sum = [&](Value before, Value n) {
    Value segment = b.select(b.cmp(CmpIPredicate::ne, n, zero), b.i32(1 << 16), zero);
    return b.add(b.add(before, segment), n);
  };
  Value ofThread = zero;
  for (Value n : counts)
    ofThread = sum(ofThread, n);
  BlockScan scan = emitBlockScan(b, ofThread);
  Value before = scan.before;
  Values entries;
  for (Value n : counts) {
    Value start = lowBits(b, before, 0xffff);
    storeIf(b, b.cmp(CmpIPredicate::ne, n, zero), start, starts, shiftRight(b, before, 16));
    Value several = b.select(b.cmp(CmpIPredicate::ugt, n, one), b.i32(kSeveral), zero);
    entries.push_back(arith::OrIOp::create(b, start, several));
    before = sum(before, n);
  }
  Value stored = arith::ConstantOp::create(b, b.getZeroAttr(type));
  for (int64_t i = 0; i < perThread; ++i) {
    Value word = arith::OrIOp::create(b, entries[2 * i], shiftLeft(b, entries[2 * i + 1], 16));
    stored = vector::InsertOp::create(b, word, stored, i);
  }
  segments.store(b, stored, at);
  b.onOneThread([&] {
    b.store(shiftRight(b, scan.total, 16), count, {b.index(0)});
    b.store(lowBits(b, scan.total, 0xffff), count, {b.index(1)});
  });
}

//===----------------------------------------------------------------------===//
// Ranks
//===----------------------------------------------------------------------===//

/// The number of this chunk's cell of a segment.
Value Grouping::cell(const Item &item) {
  Value ofSegment = lowBits(b, shiftRight(b, item.start, 1), 2 * rowWords() - 1);
  return b.add(b.mul(chunk, b.i32(2 * rowWords())), ofSegment);
}

/// `body` where the segment has a cell, 0 elsewhere.
Value Grouping::atCell(const Item &item, llvm::function_ref<Value(Value)> body) {
  return ifOr(b.cmp(CmpIPredicate::uge, item.start, b.i32(kSeveral)), zero, [&] { return body(cell(item)); });
}

/// The warps of a chunk take turns, each goes through its items in order.
void Grouping::countEarlier() {
  for (Item &item : items)
    item.start =
        ifOr(b.cmp(CmpIPredicate::sge, item.first, zero), zero, [&] { return loadHalf(segments, item.first); });
  int64_t turns = b.warps() / chunks();
  for (int64_t turn = 0; turn < turns; ++turn) {
    auto take = [&] {
      Values next;
      for (const Item &item : items) {
        next.push_back(atCell(item, [&](Value place) {
          Value before = loadHalf(table, place), after = b.add(before, emitPopCount(b, item.peers));
          Value narrow = arith::TruncIOp::create(b, b.getI16Type(), after);
          LLVM::StoreOp::create(b, narrow, half(table, place), /*alignment=*/2);
          return before;
        }));
        b.warpBarrier();
      }
      return next;
    };
    auto keep = [&] { return Values(llvm::map_range(items, [](const Item &item) { return item.earlier; })); };
    Value mine = b.cmp(CmpIPredicate::eq, b.rem(b.warp(), b.index(turns)), b.index(turn));
    Values next = turns == 1 ? take() : emitIf(b, mine, take, keep);
    for (auto [item, earlier] : llvm::zip(items, next))
      item.earlier = earlier;
    b.barrier();
  }
}

/// Cells become the sums of those of the chunks before, two at a time.
void Grouping::addChunks() {
  b.forThreads(b.index(rowWords()), [&](Value column) {
    Value sum = zero;
    for (int64_t i = 0; i < chunks(); ++i) {
      Value own = table.load(b, b.getI32Type(), column, i * rowWords());
      table.store(b, sum, column, i * rowWords());
      sum = b.add(sum, own);
    }
  });
  b.barrier();
}

void Grouping::store(const Item &item, Value order) {
  b.ifThen(item.exists, [&] {
    Value before = atCell(item, [&](Value place) { return b.add(item.earlier, loadHalf(table, place)); });
    Value place = b.add(lowBits(b, item.start, kSeveral - 1), before);
    Value speaker = LLVM::CountTrailingZerosOp::create(b, b.getI32Type(), item.peers, /*is_zero_poison=*/false);
    place = b.add(b.shuffle(place, speaker), emitRankIn(b, item.peers));
    storeIf(b, b.cmp(CmpIPredicate::ne, item.peers, zero), item.pair, order, place);
  });
}

void Grouping::emit(Value order, Value starts, Value count) {
  fill(table, direct ? llvm::alignTo(experts, 4) : slots, -1);
  fill(segments, capacity() / 2, 0);
  b.barrier();
  for (Item &item : items)
    insert(item);
  b.barrier();
  for (Item &item : items)
    countPairs(item);
  b.barrier();
  fill(table, chunks() * rowWords(), 0);
  emitStarts(starts, count);
  b.barrier();
  countEarlier();
  addChunks();
  for (const Item &item : items)
    store(item, order);
}

void device::emitGroupedPairs(LoopBuilder &host, Value idx, int64_t experts, Value order, Value starts, Value count) {
  Value pairs = sizeOf(host, idx);
  int64_t most = llvm::PowerOf2Ceil(getConstantIntValue(pairs).value_or(kMostGrouped));
  int64_t threads = std::clamp(most / kLeastItems, kLeastThreads, kMostThreads);
  Value rounds = host.ceilDiv(pairs, threads);
  emitLaunch(host, host.index(1), threads, [&](BlockBuilder &b, Value) {
    Grouping(b, idx, pairs, rounds, experts, std::max(most / threads, kLeastItems)).emit(order, starts, count);
  });
}
