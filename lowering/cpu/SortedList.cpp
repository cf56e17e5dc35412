//===- SortedList.cpp - a sorted list in vector registers ----------------===//

#include "SortedList.h"

using namespace mlir;
using namespace peer;
using namespace peer::cpu;
using arith::CmpFPredicate;
using arith::CmpIPredicate;

int64_t cpu::listLanes(int64_t k, int64_t width) {
  return std::max<int64_t>(llvm::PowerOf2Ceil(k), std::min<int64_t>(width, 4));
}

Value cpu::emitIota(LoopBuilder &b, int64_t lanes) {
  SmallVector<int32_t> numbers = llvm::to_vector(llvm::seq<int32_t>(0, lanes));
  return arith::ConstantOp::create(b,
                                   DenseElementsAttr::get(VectorType::get({lanes}, b.getI32Type()), ArrayRef(numbers)));
}

Value cpu::emitLane(LoopBuilder &b, Value vector, int64_t lane) { return vector::ExtractOp::create(b, vector, lane); }

Value cpu::emitLanes(LoopBuilder &b, Value vector, int64_t from, int64_t count) {
  if (from == 0 && count == cast<VectorType>(vector.getType()).getDimSize(0))
    return vector;
  return vector::ExtractStridedSliceOp::create(b, vector, ArrayRef<int64_t>{from}, ArrayRef<int64_t>{count},
                                               ArrayRef<int64_t>{1});
}

Value cpu::emitConditions(LoopBuilder &b, ArrayRef<bool> conditions) {
  auto type = VectorType::get({int64_t(conditions.size())}, b.getI1Type());
  return arith::ConstantOp::create(b, DenseElementsAttr::get(type, conditions));
}

Value cpu::emitBits(LoopBuilder &b, Value conditions) {
  int64_t lanes = cast<VectorType>(conditions.getType()).getDimSize(0);
  Type word = b.getIntegerType(lanes);
  Value packed = vector::BitCastOp::create(b, VectorType::get({1}, word), conditions);
  Value bits = emitLane(b, packed, 0);
  return lanes == 64 ? bits : Value(arith::ExtUIOp::create(b, b.getI64Type(), bits));
}

Value cpu::emitShiftLeft(LoopBuilder &b, Value bits, int64_t by) { return arith::ShLIOp::create(b, bits, b.i64(by)); }

Value cpu::emitPopulation(LoopBuilder &b, Value bits) { return math::CtPopOp::create(b, bits); }

Values cpu::forEachBit(LoopBuilder &b, Value bits, ValueRange carried,
                       llvm::function_ref<Values(Value, ValueRange)> body) {
  Values init{bits};
  llvm::append_range(init, carried);
  Value count = arith::IndexCastOp::create(b, b.getIndexType(), emitPopulation(b, bits));
  Values results = b.loop(b.index(0), count, init, [&](Value, ValueRange now) {
    Value position = arith::IndexCastOp::create(b, b.getIndexType(), math::CountTrailingZerosOp::create(b, now[0]));
    Values next{both(b, now[0], b.sub(now[0], b.i64(1)))};
    llvm::append_range(next, body(position, now.drop_front()));
    return next;
  });
  return Values(ArrayRef<Value>(results).drop_front());
}

/// The vector moved up by one lane; `first` moves in.
static Value shiftUp(LoopBuilder &b, Value vector, Value first) {
  int64_t lanes = cast<VectorType>(vector.getType()).getDimSize(0);
  SmallVector<int64_t> mask{lanes};
  llvm::append_range(mask, llvm::seq<int64_t>(0, lanes - 1));
  return vector::ShuffleOp::create(b, vector, b.splat(first, vector.getType()), mask);
}

/// Lanes in `stays` keep their entry, the next one takes the new entry, later ones move up: `movedStays` is `stays` moved up
/// by one lane, true in the first.
static Value emitInsert(LoopBuilder &b, Value old, Value moved, Value entry, Value stays, Value movedStays) {
  return b.select(stays, old, b.select(movedStays, b.splat(entry, old.getType()), moved));
}

Values cpu::insertScore(LoopBuilder &b, ValueRange list, Value score, Value index) {
  Value scores = list[0], wide = b.splat(score, scores.getType());
  Value moved = shiftUp(b, scores, b.f32(std::numeric_limits<double>::infinity()));
  // Comparing the moved scores again is cheaper than moving a mask.
  Value stays = b.cmp(CmpFPredicate::OGE, scores, wide), movedStays = b.cmp(CmpFPredicate::OGE, moved, wide);
  return {emitInsert(b, scores, moved, score, stays, movedStays),
          emitInsert(b, list[1], shiftUp(b, list[1], index), index, stays, movedStays)};
}

Values cpu::insertCandidate(LoopBuilder &b, ValueRange list, const Candidate &candidate) {
  Value infinity = b.f32(std::numeric_limits<double>::infinity());
  Candidate old{list[0], list[1], list[2]};
  // Nothing precedes this first entry.
  Candidate moved{shiftUp(b, old.sum, infinity), shiftUp(b, old.rest, infinity), shiftUp(b, old.expert, b.i32(-1))};
  Candidate wide{b.splat(candidate.sum, old.sum.getType()), b.splat(candidate.rest, old.rest.getType()),
                 b.splat(candidate.expert, old.expert.getType())};
  Value stays = emitPrecedes(b, old, wide), movedStays = emitPrecedes(b, moved, wide);
  return {emitInsert(b, old.sum, moved.sum, candidate.sum, stays, movedStays),
          emitInsert(b, old.rest, moved.rest, candidate.rest, stays, movedStays),
          emitInsert(b, old.expert, moved.expert, candidate.expert, stays, movedStays)};
}

static Candidate choose(LoopBuilder &b, Value condition, const Candidate &x, const Candidate &y) {
  return {b.select(condition, x.sum, y.sum), b.select(condition, x.rest, y.rest),
          b.select(condition, x.expert, y.expert)};
}

namespace {
/// A step of a sorting network: of each lane the one that it is compared with, and whether it keeps what comes first.
struct Step {
  Step(int64_t lanes, int64_t part, llvm::function_ref<bool(int64_t)> descends) {
    for (int64_t lane = 0; lane < lanes; ++lane) {
      partners.push_back(lane ^ part);
      first.push_back(((lane & part) == 0) == descends(lane));
    }
  }
  Value permute(LoopBuilder &b, Value v) const { return vector::ShuffleOp::create(b, v, v, partners); }

  SmallVector<int64_t> partners;
  SmallVector<bool> first;
};
} // namespace

Candidate cpu::sortBitonic(LoopBuilder &b, Candidate list, bool descending) {
  int64_t lanes = cast<VectorType>(list.sum.getType()).getDimSize(0);
  for (int64_t part = lanes / 2; part > 0; part /= 2) {
    Step step(lanes, part, [&](int64_t) { return descending; });
    Candidate other{step.permute(b, list.sum), step.permute(b, list.rest), step.permute(b, list.expert)};
    Value stays = b.cmp(CmpIPredicate::eq, emitPrecedes(b, list, other), emitConditions(b, step.first));
    list = choose(b, stays, list, other);
  }
  return list;
}

Candidate cpu::mergeCandidates(LoopBuilder &b, const Candidate &list, const Candidate &reversed) {
  return sortBitonic(b, choose(b, emitPrecedes(b, list, reversed), list, reversed), /*descending=*/true);
}

void cpu::sortLanes(LoopBuilder &b, MutableArrayRef<Value> vectors, bool areBitonic) {
  int64_t lanes = cast<VectorType>(vectors[0].getType()).getDimSize(0);
  for (int64_t size = areBitonic ? lanes : 2; size <= lanes; size *= 2)
    for (int64_t part = size / 2; part > 0; part /= 2) {
      Step step(lanes, part, [&](int64_t lane) { return (lane & size) == 0; });
      Value wantsLarger = emitConditions(b, step.first);
      for (Value &vector : vectors) {
        Value other = step.permute(b, vector);
        Value larger = b.select(b.cmp(CmpFPredicate::OGT, other, vector), other, vector);
        Value smaller = b.select(b.cmp(CmpFPredicate::OLT, other, vector), other, vector);
        vector = b.select(wantsLarger, larger, smaller);
      }
    }
}
