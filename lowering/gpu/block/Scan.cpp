//===- Scan.cpp - counting and summing across a block of threads ---------===//

#include "Scan.h"
#include "LaneList.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace peer;
using namespace peer::device;
using arith::CmpIPredicate;

Value device::emitMatch(BlockBuilder &b, Value key) {
  return NVVM::MatchSyncOp::create(b, b.getI32Type(), b.i32(-1), key, NVVM::MatchSyncKind::any);
}

Value device::emitPopCount(BlockBuilder &b, Value bits) { return LLVM::CtPopOp::create(b, bits); }

Value device::emitRankIn(BlockBuilder &b, Value bits) {
  Value below = b.sub(arith::ShLIOp::create(b, b.i32(1), b.toI32(b.lane())), b.i32(1));
  return emitPopCount(b, arith::AndIOp::create(b, bits, below));
}

/// The sum of this lane's value and those of the lanes before it, for the first `lanes` lanes.
static Value emitWarpScan(BlockBuilder &b, Value v, int64_t lanes) {
  for (int64_t distance = 1; distance < lanes; distance *= 2) {
    auto from = gpu::ShuffleOp::create(b, v, b.i32(distance), b.i32(kWarpSize), gpu::ShuffleMode::UP);
    v = b.add(v, b.select(from.getValid(), from.getShuffleResult(), b.i32(0)));
  }
  return v;
}

BlockScan device::emitBlockScan(BlockBuilder &b, Value v) {
  Value lane = b.toI32(b.lane()), warp = b.warp(), last = b.i32(b.warps() - 1);
  Value inclusive = emitWarpScan(b, v, kWarpSize);
  Value ofWarps = b.shared({b.warps()}, b.getI32Type());
  b.onEachThread([&] {
    b.ifThen(b.cmp(CmpIPredicate::eq, lane, b.i32(kWarpSize - 1)), [&] { b.store(inclusive, ofWarps, {warp}); });
  });
  b.barrier();
  // Lanes beyond the warps repeat the last one's sum, which no lane before them sees.
  Value ofWarp = b.load(ofWarps, {b.toIndex(b.min(lane, last))});
  Value sums = emitWarpScan(b, ofWarp, b.warps());
  Value mine = b.toI32(warp);
  Value before = b.add(b.sub(b.shuffle(b.sub(sums, ofWarp), mine), v), inclusive);
  Value total = b.shuffle(sums, last);
  // The sums may be written again by the next scan.
  b.barrier();
  return {before, total};
}

Value device::emitBlockSum64(BlockBuilder &b, Value slots) {
  b.barrier();
  for (int64_t half = b.threads() / 2; half > 0; half /= 2) {
    b.onEachThread([&] {
      Value t = b.thread();
      b.ifThen(b.cmp(CmpIPredicate::ult, t, b.index(half)),
               [&] { b.store(b.add(b.load(slots, {t}), b.load(slots, {b.add(t, b.index(half))})), slots, {t}); });
    });
    b.barrier();
  }
  return b.load(slots, {b.index(0)});
}

Value device::loadBelow(BlockBuilder &b, Value buffer, Value position, Value limit, Value otherwise) {
  Value inside = b.cmp(CmpIPredicate::ult, position, limit);
  return emitIf(
      b, inside, [&] { return Values{b.load(buffer, {b.toIndex(position)})}; }, [&] { return Values{otherwise}; })[0];
}

void device::storeIf(BlockBuilder &b, Value condition, Value v, Value buffer, Value position) {
  b.onEachThread([&] { b.ifThen(condition, [&] { b.store(v, buffer, {b.toIndex(position)}); }); });
}

void device::forGrid(BlockBuilder &b, Value block, Value blocks, Value count, llvm::function_ref<void(Value)> body) {
  Value threads = b.index(b.threads());
  Value first = b.add(b.mul(block, threads), b.thread());
  auto loop = scf::ForOp::create(b, first, count, b.mul(blocks, threads));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  b.onEachThread([&] { body(loop.getInductionVar()); });
}

Value device::sizeOf(LoopBuilder &b, Value buffer) {
  auto type = cast<MemRefType>(buffer.getType());
  if (type.hasStaticShape())
    return b.index(type.getNumElements());
  Value size = b.index(1);
  for (int64_t i = 0; i < type.getRank(); ++i)
    size = b.mul(size, b.dim(buffer, i));
  return size;
}

bool device::isAligned(Value buffer) { return cast<MemRefType>(buffer.getType()).getLayout().isIdentity(); }
