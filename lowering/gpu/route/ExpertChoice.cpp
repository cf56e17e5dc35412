//===- ExpertChoice.cpp - experts that choose tokens ---------------------===//
//
// A block writes its expert's scores side by side, as bits that can be compared, and counts them as often as they have bits: they
// come from L2, and nothing is sorted.
//
//===----------------------------------------------------------------------===//

#include "ExpertChoice.h"

#include "lowering/emit/ExpertChoice.h"
#include "lowering/emit/RoutingBuilder.h"
#include "lowering/gpu/block/Scan.h"

using namespace mlir;
using namespace peer;
using namespace peer::device;
using arith::CmpIPredicate;

static constexpr double kInfinity = std::numeric_limits<double>::infinity();

namespace {
/// What a block knows of its expert; `bits` has a row for each expert of each head.
struct Expert {
  BlockBuilder &b;
  Value logits, bits, tokens, head, number, row;

  Value score(Value t) const { return emitScore(b, b.load(logits, {t, head, b.index(0), number})); }
  Value at(Value t) const { return b.add(row, t); }

  /// Over all tokens, in every thread.
  Value count(CmpIPredicate predicate, Value bound) const {
    auto add = [&](Value t, ValueRange counted) {
      Value counts = b.cmp(predicate, b.load(bits, {at(t)}), bound);
      return Values{b.add(counted[0], b.select(counts, b.i32(1), b.i32(0)))};
    };
    return b.blockSum(b.loop(b.thread(), tokens, {b.i32(0)}, add, b.threads())[0]);
  }
};
} // namespace

/// Tokens above the last score, and the first of those that have it.
static void emitTaken(const Expert &expert, SelectOp op, Value last, Value room) {
  BlockBuilder &b = expert.b;
  auto take = [&](Value first, ValueRange left) {
    Value mine = b.add(first, b.thread()), present = b.cmp(CmpIPredicate::ult, mine, expert.tokens);
    Value t = b.select(present, mine, first), bits = b.load(expert.bits, {expert.at(t)});
    Value ties = both(b, present, b.cmp(CmpIPredicate::eq, bits, last));
    BlockScan tied = emitBlockScan(b, b.select(ties, b.i32(1), b.i32(0)));
    Value fits = both(b, ties, b.cmp(CmpIPredicate::slt, tied.before, left[0]));
    Value taken = either(b, b.cmp(CmpIPredicate::ugt, bits, last), fits);
    b.onEachThread([&] {
      b.ifThen(present, [&] {
        Values slot{t, expert.head, expert.number};
        b.store(b.select(taken, b.toI32(expert.number), b.i32(-1)), op.getIdx(), slot);
        b.store(b.select(taken, expert.score(t), b.f32(-kInfinity)), op.getVal(), slot);
      });
    });
    return Values{b.sub(left[0], tied.total)};
  };
  b.loop(b.index(0), expert.tokens, {room}, take, b.threads());
}

void device::launchExpertChoice(SelectOp op, LoopBuilder &host) {
  Value logits = op.getLogits(), tokens = host.dim(logits, 0);
  int64_t n = op.getNumKeys(), rows = host.staticDim(logits, 1) * n;
  Value most = host.toI32(emitTokensPerExpert(host, op));
  Value bits = host.heap({ShapedType::kDynamic}, host.getI32Type(), {host.mul(tokens, host.index(rows))});
  emitLaunch(host, host.index(rows), kThreads, [&](BlockBuilder &b, Value block) {
    Expert expert{b, logits, bits, tokens, b.div(block, b.index(n)), b.rem(block, b.index(n)), b.mul(block, tokens)};
    b.forThreads(tokens, [&](Value t) { b.store(emitOrderedBits(b, expert.score(t)), bits, {expert.at(t)}); });
    b.barrier();
    auto countFrom = [&](Value bound) { return expert.count(CmpIPredicate::uge, bound); };
    Value last = emitLastTaken(b, most, b.getF32Type(), countFrom);
    emitTaken(expert, op, last, b.sub(most, expert.count(CmpIPredicate::ugt, last)));
  });
  host.free(bits);
}
