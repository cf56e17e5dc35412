//===- Rotary.cpp - rotary positions -------------------------------------===//
//
// A thread stays with one component of the heads and walks over rows; sine and cosine of a position serve all heads.
//
//===----------------------------------------------------------------------===//

#include "Reject.h"

#include "lowering/emit/RoutingBuilder.h"
#include "lowering/nn/Emit.h"

#include <cmath>
#include <numbers>

using namespace mlir;
using namespace peer;
using namespace peer::device;

/// Elements that a block turns, about.
static constexpr int64_t kBlockElements = 8192;

/// base^(-c / half) / (2 pi), in f64, for a component c (index) below `half`: the product of the powers for its bits.
static Value emitTurns(BlockBuilder &b, Value c, double base, int64_t half) {
  auto constant = [&](double v) -> Value { return arith::ConstantOp::create(b, b.getF64FloatAttr(v)); };
  Value turns = constant(1 / (2 * std::numbers::pi)), bits = b.toI32(c), one = constant(1);
  for (int64_t bit = 1; bit < half; bit *= 2) {
    Value set = b.cmp(arith::CmpIPredicate::ne, arith::AndIOp::create(b, bits, b.i32(bit)), b.i32(0));
    turns = b.mul(turns, b.select(set, constant(std::pow(base, -double(bit) / half)), one));
  }
  return turns;
}

/// Turns the rows of x into y; `positionOf` says a row's position (index).
static void launch(LoopBuilder &host, Value x, Value y, int64_t heads, double base, bool inverse,
                   llvm::function_ref<Value(BlockBuilder &, Value row)> positionOf) {
  int64_t width = host.staticDim(x, 1), half = width / heads / 2;
  int64_t tile = std::clamp<int64_t>(kBlockElements / width, 1, 64);
  Value rows = host.dim(x, 0), blocks = host.ceilDiv(rows, tile);
  emitLaunch(host, blocks, kThreads, [&](BlockBuilder &b, Value block) {
    Value low = b.mul(block, b.index(tile)), high = b.min(b.add(low, b.index(tile)), rows);
    // As many rows side by side as there are threads for their components.
    int64_t across = std::min(half, b.threads()), groups = b.threads() / across;
    Value group = b.div(b.thread(), b.index(across)), first = b.rem(b.thread(), b.index(across));
    auto emitComponent = [&](Value c) {
      Value turns = emitTurns(b, c, base, half);
      b.loop(
          b.add(low, group), high,
          [&](Value row) {
            auto [sine, cosine] = nn::emitRotation(b, turns, nn::emitPosition(b, positionOf(b, row)));
            if (inverse)
              sine = b.neg(sine);
            b.loop(heads, [&, sine = sine, cosine = cosine](Value head) {
              Value left = b.add(b.mul(head, b.index(2 * half)), c), right = b.add(left, b.index(half));
              Value u = b.load(x, {row, left}), v = b.load(x, {row, right});
              b.store(b.sub(b.mul(u, cosine), b.mul(v, sine)), y, {row, left});
              b.store(b.fma(u, sine, b.mul(v, cosine)), y, {row, right});
            });
          },
          groups);
    };
    b.onEachThread([&] {
      b.ifThen(b.cmp(arith::CmpIPredicate::ult, group, b.index(groups)), [&] {
        if (half <= across)
          emitComponent(first);
        else
          b.loop(first, b.index(half), emitComponent, across);
      });
    });
  });
}

static void launchRotary(RotaryOp op, LoopBuilder &host) {
  Value context = host.index(op.getContextLength());
  launch(host, op.getX(), op.getY(), op.getHeads(), op.getBase().convertToFloat(), op.getInverse(),
         [&](BlockBuilder &b, Value row) { return b.rem(row, context); });
}

static void launchRotaryAt(RotaryAtOp op, LoopBuilder &host) {
  launch(host, op.getX(), op.getY(), op.getHeads(), op.getBase().convertToFloat(), /*inverse=*/false,
         [&](BlockBuilder &b, Value row) { return b.add(b.toIndex(b.load(op.getPosition(), {})), row); });
}

void device::addRotary(Emitters &emitters) {
  emitters.grid<RotaryOp>({.emit = launchRotary});
  emitters.grid<RotaryAtOp>({.emit = launchRotaryAt});
}
