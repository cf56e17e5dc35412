//===- Linear.cpp - dense products ---------------------------------------===//
//
// A product is the device library's if there is one when the artifact runs; what follows is for machines without it.
//
//===----------------------------------------------------------------------===//

#include "Kernels.h"
#include "Matmul.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace peer;
using namespace peer::nvptx;
using arith::CmpIPredicate;

/// Up to here a flat tile wastes less than a tall one.
static constexpr int64_t kFewRows = 32;

/// The runtime's matrix product, declared on first use. Lowerings run on modules, so adding the declaration from inside a
/// pattern is safe.
static FlatSymbolRefAttr declareMatmul(LoopBuilder &host) {
  constexpr StringLiteral name = "peer_rt_matmul";
  auto module = host.getInsertionBlock()->getParentOp()->getParentOfType<ModuleOp>();
  if (!module.lookupSymbol(name)) {
    OpBuilder::InsertionGuard guard(host);
    host.setInsertionPointToStart(module.getBody());
    Type i64 = host.getI64Type(), f32 = host.getF32Type(), pointer = LLVM::LLVMPointerType::get(host.getContext());
    auto type = host.getFunctionType(
        {pointer, i64, i64, i64, i64, i64, f32, pointer, i64, pointer, i64, f32, pointer, i64}, {host.getI8Type()});
    func::FuncOp::create(host, name, type).setPrivate();
  }
  return FlatSymbolRefAttr::get(host.getContext(), name);
}

/// Whether the library did it (i1).
static Value emitLibraryCall(LoopBuilder &host, const Product &product) {
  FlatSymbolRefAttr callee = declareMatmul(host);
  Type pointer = LLVM::LLVMPointerType::get(host.getContext());
  auto toI64 = [&](Value v) -> Value { return arith::IndexCastOp::create(host, host.getI64Type(), v); };
  SmallVector<Value> operands = {LLVM::ZeroOp::create(host, pointer), // the session's stream
                                 toI64(host.index(product.transposeA)),
                                 toI64(host.index(product.transposeB)),
                                 toI64(product.rows(host)),
                                 toI64(product.columns(host)),
                                 toI64(product.depth(host))};
  auto addMatrix = [&](Value buffer) {
    auto metadata = memref::ExtractStridedMetadataOp::create(host, buffer);
    Value base = memref::ExtractAlignedPointerAsIndexOp::create(host, buffer);
    Value address = host.add(base, host.mul(metadata.getOffset(), host.index(4)));
    operands.push_back(LLVM::IntToPtrOp::create(host, pointer, toI64(address)));
    // A matrix of one row may carry any row stride; libraries want at least the row's length.
    Value length = host.max(host.dim(buffer, 1), host.index(1));
    operands.push_back(toI64(host.max(metadata.getStrides()[0], length)));
  };
  operands.push_back(host.f32(1));
  addMatrix(product.a);
  addMatrix(product.b);
  operands.push_back(host.f32(0));
  addMatrix(product.c);
  auto call = func::CallOp::create(host, callee, TypeRange{host.getI8Type()}, operands);
  Value none = arith::ConstantOp::create(host, host.getI8IntegerAttr(0));
  return host.cmp(CmpIPredicate::ne, call.getResult(0), none);
}

/// The launches for a number of rows, chosen when the entry runs where it is not known before.
static void emitLaunches(LoopBuilder &host, const Product &product) {
  auto vector = [&] { emitVectorMatrix(host, product); };
  auto flat = [&] { emitMatmul(host, product, kFlatTile); };
  auto tall = [&] { emitMatmul(host, product, kTallTile); };
  int64_t known = host.staticDim(product.c, 0);
  if (!ShapedType::isDynamic(known))
    return known == 1 ? vector() : known <= kFewRows ? flat() : tall();
  Value rows = product.rows(host);
  host.ifThen(host.cmp(CmpIPredicate::eq, rows, host.index(1)), vector,
              [&] { host.ifThen(host.cmp(CmpIPredicate::ule, rows, host.index(kFewRows)), flat, tall); });
}

static void emit(LinearOp op, LoopBuilder &host) {
  Product product{op.getX(), op.getWeight(), op.getOuts()[0], op.getTransposeX(), op.getTransposeWeight()};
  host.ifThen(emitLibraryCall(host, product), [] {}, [&] { emitLaunches(host, product); });
}

static const char *reject(LinearOp op) {
  auto type = cast<MemRefType>(op.getOuts()[0].getType());
  return type.getLayout().isIdentity() ? nullptr : "the result is part of a larger matrix";
}

void nvptx::populateLinearPatterns(PatternSets sets) { sets.grid<LinearOp>(emit, reject); }
