//===- Capacity.cpp - capacity by counting sorts -------------------------===//
//
// Pairs are put in the order of their priority by counting sorts of few bits each, the least significant first, and then
// taken one after the other until their experts are full: work that is linear in pairs, whoever selects whom.
//
//===----------------------------------------------------------------------===//

#include "Kernels.h"

#include "lowering/emit/Capacity.h"
#include "lowering/emit/RoutingBuilder.h"

using namespace mlir;
using namespace peer;
using arith::CmpIPredicate;

namespace {
/// Bits of a weight that a pass sorts by.
constexpr int64_t kBits = 11, kBins = 1 << kBits;

struct Pairs {
  LoopBuilder &b;
  Value idx, weights, count, heads, ranks, bins;

  Values place(Value pair) const { return emitPairPlace(b, pair, heads, ranks); }
  /// Larger weights have smaller keys; a NaN has that of -inf.
  Value weightKey(Value pair) const {
    // What is added makes both zeros one.
    Value weight = b.add(emitScore(b, b.load(weights, place(pair))), b.f32(0));
    Value bits = arith::BitcastOp::create(b, b.getI32Type(), weight);
    Value negative = b.cmp(CmpIPredicate::slt, bits, b.i32(0));
    Value positiveKey = arith::XOrIOp::create(b, bits, b.i32(std::numeric_limits<int32_t>::max()));
    return b.select(negative, bits, positiveKey);
  }
  /// A stable pass from `source` (null: pairs in their order) to `target`.
  void sort(Value source, Value target, int64_t used, llvm::function_ref<Value(Value pair)> digit) const {
    auto pairAt = [&](Value i) { return source ? b.toIndex(b.load(source, {i})) : i; };
    emitFill(b, bins, b.index(used), 0);
    b.loop(count, [&](Value i) { emitIncrement(b, bins, {digit(pairAt(i))}); });
    b.loop(b.index(0), b.index(used), {b.i32(0)}, [&](Value i, ValueRange before) {
      Value here = b.load(bins, {i});
      b.store(before[0], bins, {i});
      return Values{b.add(before[0], here)};
    });
    b.loop(count, [&](Value i) {
      Value pair = pairAt(i), to = emitIncrement(b, bins, {digit(pair)});
      b.store(b.toI32(pair), target, {b.toIndex(to)});
    });
  }
};
} // namespace

/// The order in which pairs are taken, in one of two buffers; null where it is their own.
static Value emitOrder(const Pairs &pairs, Priority priority, ArrayRef<Value> buffers) {
  LoopBuilder &b = pairs.b;
  Value order;
  int64_t pass = 0;
  auto sort = [&](int64_t used, llvm::function_ref<Value(Value)> digit) {
    Value target = buffers[pass++ % 2];
    pairs.sort(order, target, used, digit);
    order = target;
  };
  if (priority == Priority::Token)
    return order;
  for (int64_t shift = 0; shift < 32; shift += kBits)
    sort(kBins, [&](Value pair) {
      Value moved = arith::ShRUIOp::create(b, pairs.weightKey(pair), b.i32(shift));
      return b.toIndex(arith::AndIOp::create(b, moved, b.i32(kBins - 1)));
    });
  if (priority == Priority::Rank)
    sort(b.staticDim(pairs.idx, 2), [&](Value pair) { return pairs.place(pair)[2]; });
  return order;
}

static void emitCapacityOp(CapacityOp op, LoopBuilder &b, const VectorOptions &) {
  Value idx = op.getIdx(), weights = op.getWeights(), kept = op.getKept(), keptWeights = getOutputAt(op, 1);
  Priority priority = op.getPriority();
  Type i32 = b.getI32Type();
  Values sizes = dims(b, idx, 3);
  Value capacity = b.toI32(emitCapacity(b, op)), count = b.mul(sizes[0], b.mul(sizes[1], sizes[2]));
  Value taken = b.heap({int64_t(op.getExperts())}, i32);
  emitFill(b, taken, b.index(op.getExperts()), 0);
  Values scratch;
  Pairs pairs{b, idx, weights, count, sizes[1], sizes[2], {}};
  if (priority != Priority::Token) {
    scratch = {b.heap({ShapedType::kDynamic}, i32, {count}), b.heap({ShapedType::kDynamic}, i32, {count}),
               b.heap({std::max(kBins, b.staticDim(idx, 2))}, i32)};
    pairs.bins = scratch[2];
  }
  Value order = emitOrder(pairs, priority, scratch);
  b.loop(count, [&](Value i) {
    Values at = pairs.place(order ? b.toIndex(b.load(order, {i})) : i);
    Value expert = b.load(idx, at);
    b.store(b.i32(-1), kept, at);
    b.store(b.f32(0), keptWeights, at);
    b.ifThen(b.cmp(CmpIPredicate::sge, expert, b.i32(0)), [&] {
      Value before = emitIncrement(b, taken, {b.toIndex(expert)});
      b.ifThen(b.cmp(CmpIPredicate::slt, before, capacity), [&] {
        b.store(expert, kept, at);
        b.store(b.load(weights, at), keptWeights, at);
      });
    });
  });
  for (Value buffer : scratch)
    b.free(buffer);
  b.free(taken);
}

void cpu::addCapacity(LoopEmitters &emitters) { emitters.vectors<CapacityOp>({.emit = emitCapacityOp}); }
