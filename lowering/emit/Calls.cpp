//===- Calls.cpp - calls of the runtime, shared expressions --------------===//

#include "Calls.h"
#include "artifact/format.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace peer;

void peer::declareHook(OpBuilder &b, ModuleOp module, StringRef name, FunctionType type) {
  if (module.lookupSymbol(name))
    return;
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(module.getBody());
  func::FuncOp::create(b, module.getLoc(), name, type).setPrivate();
}

func::CallOp peer::callHook(LoopBuilder &b, StringRef name, ValueRange operands, TypeRange results) {
  auto module = b.getInsertionBlock()->getParentOp()->getParentOfType<ModuleOp>();
  declareHook(b, module, name, b.getFunctionType(operands.getTypes(), results));
  return func::CallOp::create(b, name, results, operands);
}

Value peer::toI64(LoopBuilder &b, Value index) { return arith::IndexCastOp::create(b, b.getI64Type(), index); }

MatrixOperand peer::matrixOperand(LoopBuilder &b, Value buffer) {
  auto type = cast<MemRefType>(buffer.getType());
  assert(type.getRank() == 2 && type.getElementType().isF32() && "the runtime's products take f32 matrices");
  auto metadata = memref::ExtractStridedMetadataOp::create(b, buffer);
  Value base = memref::ExtractAlignedPointerAsIndexOp::create(b, buffer);
  Value address = b.add(base, b.mul(metadata.getOffset(), b.index(4)));
  // A matrix of one row may carry any row stride; BLAS wants at least the row's length.
  Value stride = b.max(metadata.getStrides()[0], b.max(b.dim(buffer, 1), b.index(1)));
  auto pointer = LLVM::LLVMPointerType::get(b.getContext());
  return {LLVM::IntToPtrOp::create(b, pointer, toI64(b, address)), toI64(b, stride)};
}

void LoopBuilder::sgemm(Value a, bool transposeA, Value b, bool transposeB, Value c, double beta, double alpha,
                        bool bf16) {
  MatrixOperand ma = matrixOperand(*this, a), mb = matrixOperand(*this, b), mc = matrixOperand(*this, c);
  Value m = peer::toI64(*this, dim(c, 0)), n = peer::toI64(*this, dim(c, 1));
  Value k = peer::toI64(*this, dim(a, transposeA ? 0 : 1));
  callHook(*this, bf16 ? format::symbol::kSgemmBf16 : format::symbol::kSgemm,
           {i64(transposeA), i64(transposeB), m, n, k, f32(alpha), ma.pointer, ma.stride, mb.pointer, mb.stride,
            f32(beta), mc.pointer, mc.stride});
}

Value peer::emitSigmoid(LoopBuilder &b, Value a) {
  // exp of a non-positive number never overflows.
  Value zero = b.f32(0, a.getType()), one = b.f32(1, a.getType());
  Value negative = b.cmp(arith::CmpFPredicate::OLT, a, zero);
  Value e = b.exp(b.select(negative, a, b.neg(a)));
  return b.div(b.select(negative, e, one), b.add(one, e));
}

/// Where the tails of gelu and silu are 0, and their derivatives 0 and 1, in f32. What lies further out, infinities too,
/// is taken for this, since infinity times 0 is none of them.
static double tailOf(Activation kind) { return kind == Activation::Gelu ? 20 : 110; }
static bool hasTails(Activation kind) { return kind == Activation::Gelu || kind == Activation::Silu; }

/// The larger, or the smaller, of a number and a bound; NaN stays NaN.
static Value atLeast(LoopBuilder &b, Value a, double bound) {
  Value limit = b.f32(bound, a.getType());
  return b.select(b.cmp(arith::CmpFPredicate::OLT, a, limit), limit, a);
}
static Value atMost(LoopBuilder &b, Value a, double bound) {
  Value limit = b.f32(bound, a.getType());
  return b.select(b.cmp(arith::CmpFPredicate::OGT, a, limit), limit, a);
}

Value peer::emitActivation(LoopBuilder &b, Activation kind, Value a) {
  Type type = a.getType();
  if (hasTails(kind))
    a = atLeast(b, a, -tailOf(kind));
  switch (kind) {
  case Activation::Gelu: {
    Value erf = math::ErfOp::create(b, b.mul(a, b.f32(0.70710678118654752, type)));
    return b.mul(b.mul(a, b.f32(0.5, type)), b.add(erf, b.f32(1, type)));
  }
  case Activation::Silu:
    return b.mul(a, emitSigmoid(b, a));
  case Activation::Relu:
    return b.max(a, b.f32(0, type));
  case Activation::Sigmoid:
    return emitSigmoid(b, a);
  case Activation::Tanh:
    return math::TanhOp::create(b, a);
  }
  llvm_unreachable("all activations are listed");
}

Value peer::emitActivationGrad(LoopBuilder &b, Activation kind, Value a) {
  Type type = a.getType();
  if (hasTails(kind))
    a = atMost(b, atLeast(b, a, -tailOf(kind)), tailOf(kind));
  switch (kind) {
  case Activation::Gelu: {
    // Phi(a) + a phi(a).
    Value erf = math::ErfOp::create(b, b.mul(a, b.f32(0.70710678118654752, type)));
    Value cdf = b.mul(b.f32(0.5, type), b.add(erf, b.f32(1, type)));
    Value pdf = b.mul(b.exp(b.mul(b.mul(a, a), b.f32(-0.5, type))), b.f32(0.3989422804014327, type));
    return b.fma(a, pdf, cdf);
  }
  case Activation::Silu: {
    Value s = emitSigmoid(b, a);
    return b.mul(s, b.fma(a, b.sub(b.f32(1, type), s), b.f32(1, type)));
  }
  case Activation::Relu:
    return b.select(b.cmp(arith::CmpFPredicate::OGT, a, b.f32(0, type)), b.f32(1, type), b.f32(0, type));
  case Activation::Sigmoid: {
    Value s = emitSigmoid(b, a);
    return b.mul(s, b.sub(b.f32(1, type), s));
  }
  case Activation::Tanh: {
    Value y = math::TanhOp::create(b, a);
    return b.sub(b.f32(1, type), b.mul(y, y));
  }
  }
  llvm_unreachable("all activations are listed");
}
