//===- SaturateConversions.cpp - floats that no integer is get the nearest -===//

#include "Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"

namespace peer {
#define GEN_PASS_DEF_SATURATECONVERSIONS
#include "LoweringPasses.h.inc"
} // namespace peer

using namespace mlir;

/// Bounds the operand of a conversion by what the integers hold. Of a NaN and a number, minnum and maxnum take the number.
static void saturate(Operation *op, bool isSigned) {
  auto type = cast<FloatType>(op->getOperand(0).getType());
  unsigned width = op->getResult(0).getType().getIntOrFloatBitWidth();
  OpBuilder b(op);
  auto bound = [&](const llvm::APInt &value) -> Value {
    llvm::APFloat nearest(type.getFloatSemantics());
    nearest.convertFromAPInt(value, isSigned, llvm::APFloat::rmTowardZero);
    return arith::ConstantOp::create(b, op->getLoc(), FloatAttr::get(type, nearest));
  };
  Value low = bound(isSigned ? llvm::APInt::getSignedMinValue(width) : llvm::APInt::getZero(width));
  Value high = bound(isSigned ? llvm::APInt::getSignedMaxValue(width) : llvm::APInt::getMaxValue(width));
  Value above = arith::MaxNumFOp::create(b, op->getLoc(), op->getOperand(0), low);
  op->setOperand(0, arith::MinNumFOp::create(b, op->getLoc(), above, high));
}

namespace {
struct SaturateConversions : peer::impl::SaturateConversionsBase<SaturateConversions> {
  void runOnOperation() override {
    getOperation()->walk([](linalg::LinalgOp body) {
      body->walk([](Operation *op) {
        if (isa<arith::FPToSIOp, arith::FPToUIOp>(op) && isa<FloatType>(op->getOperand(0).getType()))
          saturate(op, isa<arith::FPToSIOp>(op));
      });
    });
  }
};
} // namespace
