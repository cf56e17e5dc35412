//===- Calls.cpp - calls of the runtime, shared expressions --------------===//

#include "LoopBuilder.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace peer;

/// The runtime's matrix product, declared on first use. Lowerings run on modules, so adding
/// the declaration from inside a pattern is safe.
static FlatSymbolRefAttr declareSgemm(LoopBuilder &b) {
  constexpr StringLiteral name = "peer_rt_sgemm";
  auto module = b.getInsertionBlock()->getParentOp()->getParentOfType<ModuleOp>();
  if (!module.lookupSymbol(name)) {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(module.getBody());
    Type i64 = b.getI64Type(), f32 = b.getF32Type(), pointer = LLVM::LLVMPointerType::get(b.getContext());
    auto type = b.getFunctionType({i64, i64, i64, i64, i64, f32, pointer, i64, pointer, i64, f32, pointer, i64}, {});
    func::FuncOp::create(b, name, type).setPrivate();
  }
  return FlatSymbolRefAttr::get(b.getContext(), name);
}

void LoopBuilder::sgemm(Value a, bool transposeA, Value b, bool transposeB, Value c, double beta, double alpha) {
  FlatSymbolRefAttr callee = declareSgemm(*this);
  Type pointer = LLVM::LLVMPointerType::get(getContext());
  auto toI64 = [&](Value v) -> Value { return arith::IndexCastOp::create(*this, getI64Type(), v); };
  auto flag = [&](bool value) -> Value { return arith::ConstantOp::create(*this, getI64IntegerAttr(value)); };
  struct Matrix {
    Value pointer, stride;
  };
  auto matrix = [&](Value buffer) -> Matrix {
    auto type = cast<MemRefType>(buffer.getType());
    assert(type.getRank() == 2 && type.getElementType().isF32() && "sgemm takes f32 matrices");
    auto metadata = memref::ExtractStridedMetadataOp::create(*this, buffer);
    Value base = memref::ExtractAlignedPointerAsIndexOp::create(*this, buffer);
    Value address = add(base, mul(metadata.getOffset(), index(4)));
    // A matrix of one row may carry any row stride; BLAS wants at least the row's length.
    Value stride = max(metadata.getStrides()[0], max(dim(buffer, 1), index(1)));
    return {LLVM::IntToPtrOp::create(*this, pointer, toI64(address)), toI64(stride)};
  };
  Matrix ma = matrix(a), mb = matrix(b), mc = matrix(c);
  Value m = toI64(dim(c, 0)), n = toI64(dim(c, 1)), k = toI64(dim(a, transposeA ? 0 : 1));
  func::CallOp::create(*this, callee, TypeRange{},
                       ValueRange{flag(transposeA), flag(transposeB), m, n, k, f32(alpha), ma.pointer, ma.stride,
                                  mb.pointer, mb.stride, f32(beta), mc.pointer, mc.stride});
}

Value peer::emitSigmoid(LoopBuilder &b, Value a) {
  // exp of a non-positive number never overflows.
  Value zero = b.f32(0, a.getType()), one = b.f32(1, a.getType());
  Value negative = b.cmp(arith::CmpFPredicate::OLT, a, zero);
  Value e = b.exp(b.select(negative, a, b.neg(a)));
  return b.div(b.select(negative, e, one), b.add(one, e));
}

Value peer::emitActivation(LoopBuilder &b, Activation kind, Value a) {
  Type type = a.getType();
  switch (kind) {
  case Activation::Gelu: {
    Value erf = math::ErfOp::create(b, b.mul(a, b.f32(0.70710678118654752, type)));
    return b.mul(b.mul(a, b.f32(0.5, type)), b.add(erf, b.f32(1, type)));
  }
  case Activation::Silu:
    return b.mul(a, emitSigmoid(b, a));
  case Activation::Relu:
    return b.max(a, b.f32(0, type));
  }
  llvm_unreachable("all activations are listed");
}

Value peer::emitActivationGrad(LoopBuilder &b, Activation kind, Value a) {
  Type type = a.getType();
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
  }
  llvm_unreachable("all activations are listed");
}
