//===- LaneList.cpp - sorted lists spread over the lanes of a warp -------===//

#include "LaneList.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace peer;
using namespace peer::device;
using arith::CmpIPredicate;

LaneList::LaneList(BlockBuilder &b, int64_t least, Precedes precedes)
    : b(b), precedes(std::move(precedes)), entries(listSize(least)) {
  Value lane = b.lane(), width = b.index(lanes());
  groupIndex = b.div(lane, width);
  memberIndex = b.rem(lane, width);
  memberNumber = b.toI32(memberIndex);
  firstLane = b.toI32(b.sub(lane, memberIndex));
}

Value LaneList::number(int64_t r) const { return b.add(memberIndex, b.index(r * lanes())); }

/// One step of a bitonic network: entries whose numbers differ in `stride` are put in order, turned around where the number
/// has the bit `block`.
void LaneList::exchange(Entries &list, int64_t stride, int64_t block) const {
  auto isSet = [&](int64_t bit, int64_t r) -> Value {
    if (bit >= lanes())
      return arith::ConstantOp::create(b, b.getBoolAttr(bit < size() && (r * lanes() & bit)));
    return b.cmp(CmpIPredicate::ne, both(b, memberNumber, b.i32(bit)), b.i32(0));
  };
  Entries result;
  for (int64_t r = 0; r < registers(); ++r) {
    Entry other;
    if (stride >= lanes())
      other = list[r ^ (stride / lanes())];
    else
      for (Value v : list[r])
        other.push_back(b.shuffleXor(v, stride));
    // The second of a pair wants the later entry; equal entries may stay or go.
    Value later = arith::XOrIOp::create(b, isSet(stride, r), isSet(block, r));
    Value take = arith::XOrIOp::create(b, precedes(other, list[r]), later);
    Entry kept;
    for (auto [mine, theirs] : llvm::zip(list[r], other))
      kept.push_back(b.select(take, theirs, mine));
    result.push_back(kept);
  }
  list = std::move(result);
}

void LaneList::sort(Entries &list) const {
  for (int64_t block = 2; block <= size(); block *= 2)
    for (int64_t stride = block / 2; stride > 0; stride /= 2)
      exchange(list, stride, block);
}

void LaneList::merge(Entries &list, const Entries &other) const {
  // Entry i of one against entry size - 1 - i of the other: what remains rises and falls once.
  for (int64_t r = 0; r < registers(); ++r) {
    Entry reversed;
    for (Value v : other[registers() - 1 - r])
      reversed.push_back(b.shuffleXor(v, lanes() - 1));
    Value take = precedes(reversed, list[r]);
    for (auto [mine, theirs] : llvm::zip(list[r], reversed))
      mine = b.select(take, theirs, mine);
  }
  for (int64_t stride = size() / 2; stride > 0; stride /= 2)
    exchange(list, stride, size());
}

Entry LaneList::at(const Entries &list, int64_t number) const {
  Value source = b.add(firstLane, b.i32(number % lanes()));
  Entry result;
  for (Value v : list[number / lanes()])
    result.push_back(b.shuffle(v, source));
  return result;
}

Value LaneList::from(Value v, Value lane) const { return b.shuffle(v, b.add(firstLane, b.toI32(lane))); }

Value LaneList::bits(Value condition) const {
  Value all = b.ballot(condition);
  if (lanes() == kWarpSize)
    return all;
  return both(b, arith::ShRUIOp::create(b, all, firstLane), b.i32((int64_t(1) << lanes()) - 1));
}

Value LaneList::rank(Value bits) const {
  Value below = b.sub(arith::ShLIOp::create(b, b.i32(1), memberNumber), b.i32(1));
  return population(both(b, bits, below));
}

Value LaneList::population(Value bits) const { return LLVM::CtPopOp::create(b, b.getI32Type(), bits); }

Value LaneList::sum(Value v) const {
  for (int64_t mask = lanes() / 2; mask > 0; mask /= 2)
    v = b.add(v, b.shuffleXor(v, mask));
  return v;
}

Value device::emitAny(BlockBuilder &b, Value condition) {
  return b.cmp(CmpIPredicate::ne, b.ballot(condition), b.i32(0));
}

Values device::emitIf(LoopBuilder &b, Value condition, llvm::function_ref<Values()> then,
                      llvm::function_ref<Values()> otherwise) {
  auto build = [&](llvm::function_ref<Values()> body) {
    return [&b, body](OpBuilder &inner, Location loc) {
      OpBuilder::InsertionGuard guard(b);
      b.restoreInsertionPoint(inner.saveInsertionPoint());
      Values results = body();
      scf::YieldOp::create(b, results);
    };
  };
  return Values(scf::IfOp::create(b, condition, build(then), build(otherwise)).getResults());
}

Values device::toValues(const Entries &list) {
  Values values;
  for (const Entry &entry : list)
    llvm::append_range(values, entry);
  return values;
}

Entries device::toEntries(ValueRange values, int64_t width) {
  Entries list;
  for (size_t i = 0; i < values.size(); i += width)
    list.emplace_back(values.slice(i, width));
  return list;
}
