//===- DeviceMath.cpp - what is left of math to instructions of a GPU ----===//
//
// Upstream's conversion calls CUDA's device library, which a machine that compiles need not have. After
// --peer-expand-math only a few functions are left: those that are one instruction, and sine and cosine.
//
//===----------------------------------------------------------------------===//

#include "lowering/Passes.h"
#include "lowering/emit/LoopBuilder.h"

#include "mlir/IR/TypeUtilities.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace peer {
#define GEN_PASS_DEF_LOWERDEVICEMATH
#include "LoweringPasses.h.inc"
} // namespace peer

using namespace mlir;
using namespace peer;

/// f32, v4f32: how LLVM's intrinsics name a type.
static std::string mangled(Type type) {
  std::string name;
  llvm::raw_string_ostream stream(name);
  if (auto vector = dyn_cast<VectorType>(type))
    stream << "v" << vector.getNumElements();
  stream << getElementTypeOrSelf(type);
  return name;
}

namespace {
/// One op as one intrinsic of LLVM, which the back end has an instruction for.
template <typename OpTy>
struct ToIntrinsic : OpRewritePattern<OpTy> {
  ToIntrinsic(MLIRContext *context, StringRef name) : OpRewritePattern<OpTy>(context), name(name) {}

  LogicalResult matchAndRewrite(OpTy op, PatternRewriter &rewriter) const override {
    Type type = op.getType();
    auto vector = dyn_cast<VectorType>(type);
    if (vector && vector.getRank() != 1)
      return rewriter.notifyMatchFailure(op, "a vector of rank other than 1");
    std::string intrinsic = ("llvm." + name + "." + mangled(type)).str();
    rewriter.replaceOpWithNewOp<LLVM::CallIntrinsicOp>(op, type, rewriter.getStringAttr(intrinsic), op->getOperands());
    return success();
  }

  StringRef name;
};

/// sin or cos of an f32: the quarter turn and the rest in f64, exact enough for any angle below 2^30, then polynomials
/// on [-pi/4, pi/4] (Cephes, single precision: sinf, cosf; error below 2 ulp).
template <typename OpTy>
struct ExpandAngle : OpRewritePattern<OpTy> {
  ExpandAngle(MLIRContext *context, int64_t quarters) : OpRewritePattern<OpTy>(context), quarters(quarters) {}

  LogicalResult matchAndRewrite(OpTy op, PatternRewriter &rewriter) const override {
    if (!op.getType().isF32())
      return rewriter.notifyMatchFailure(op, "not an f32");
    LoopBuilder b(rewriter, op.getLoc());
    Type f64 = b.getF64Type(), i64 = b.getI64Type();
    auto wide = [&](double v) -> Value { return arith::ConstantOp::create(b, b.getF64FloatAttr(v)); };
    Value x = arith::ExtFOp::create(b, f64, op.getOperand());
    // Rounded by adding half a turn's sign: exact ties do not matter, both neighbours serve.
    Value turns = b.mul(x, wide(2 / llvm::numbers::pi));
    Value half = b.select(b.cmp(arith::CmpFPredicate::OLT, turns, wide(0)), wide(-0.5), wide(0.5));
    Value quarter = arith::FPToSIOp::create(b, i64, b.add(turns, half));
    Value rest = b.sub(x, b.mul(arith::SIToFPOp::create(b, f64, quarter), wide(llvm::numbers::pi / 2)));
    Value r = arith::TruncFOp::create(b, b.getF32Type(), rest), square = b.mul(r, r);
    auto polynomial = [&](ArrayRef<double> coefficients) {
      Value sum = b.f32(coefficients.front());
      for (double c : coefficients.drop_front())
        sum = b.fma(sum, square, b.f32(c));
      return sum;
    };
    Value sine = b.fma(b.mul(square, r), polynomial({-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1}), r);
    Value cosine =
        b.fma(b.mul(square, square), polynomial({2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2}),
              b.fma(square, b.f32(-0.5), b.f32(1)));
    Value shifted = b.add(quarter, arith::ConstantOp::create(b, b.getI64IntegerAttr(quarters)));
    auto bit = [&](int64_t mask) {
      Value masked = arith::AndIOp::create(b, shifted, arith::ConstantOp::create(b, b.getI64IntegerAttr(mask)));
      return b.cmp(arith::CmpIPredicate::ne, masked, arith::ConstantOp::create(b, b.getI64IntegerAttr(0)));
    };
    Value magnitude = b.select(bit(1), cosine, sine);
    rewriter.replaceOp(op, b.select(bit(2), b.neg(magnitude), magnitude));
    return success();
  }

  int64_t quarters;
};

/// Both steps are exact to half an ulp, which the instruction is not.
struct ExpandRsqrt : OpRewritePattern<math::RsqrtOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(math::RsqrtOp op, PatternRewriter &rewriter) const override {
    LoopBuilder b(rewriter, op.getLoc());
    rewriter.replaceOp(op, b.div(b.f32(1, op.getType()), b.sqrt(op.getOperand())));
    return success();
  }
};

struct LowerDeviceMath : peer::impl::LowerDeviceMathBase<LowerDeviceMath> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<ToIntrinsic<math::FloorOp>>(&getContext(), "floor");
    patterns.add<ToIntrinsic<math::CeilOp>>(&getContext(), "ceil");
    patterns.add<ToIntrinsic<math::RoundEvenOp>>(&getContext(), "rint");
    patterns.add<ToIntrinsic<math::SqrtOp>>(&getContext(), "sqrt");
    patterns.add<ToIntrinsic<math::Exp2Op>>(&getContext(), "exp2");
    patterns.add<ExpandRsqrt>(&getContext());
    patterns.add<ToIntrinsic<math::AbsFOp>>(&getContext(), "fabs");
    patterns.add<ToIntrinsic<math::CopySignOp>>(&getContext(), "copysign");
    patterns.add<ToIntrinsic<math::FmaOp>>(&getContext(), "fma");
    patterns.add<ExpandAngle<math::SinOp>>(&getContext(), 0);
    patterns.add<ExpandAngle<math::CosOp>>(&getContext(), 1);
    SmallVector<Operation *> ops;
    getOperation()->walk([&](Operation *op) {
      if (isa_and_nonnull<math::MathDialect>(op->getDialect()))
        ops.push_back(op);
    });
    GreedyRewriteConfig config;
    config.setStrictness(GreedyRewriteStrictness::ExistingAndNewOps);
    if (failed(applyOpPatternsGreedily(ops, std::move(patterns), config)))
      return signalPassFailure();
    getOperation()->walk([&](Operation *op) {
      if (isa_and_nonnull<math::MathDialect>(op->getDialect())) {
        op->emitOpError("has no instruction on GPUs");
        signalPassFailure();
      }
    });
  }
};
} // namespace
