//===- Linear.cpp - dense products ---------------------------------------===//
//
// A product is the device library's if there is one when the artifact runs; what follows is for machines without it.
//
//===----------------------------------------------------------------------===//

#include "Matmul.h"
#include "artifact/format.h"
#include "lowering/gpu/Emitters.h"
#include "lowering/gpu/block/Alignment.h"

#include "lowering/emit/Calls.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace peer;
using namespace peer::device;
using arith::CmpIPredicate;

/// Up to here a flat tile wastes less than a tall one.
static constexpr int64_t kFewRows = 32;

/// Whether the library did it (i1).
static Value emitLibraryCall(LoopBuilder &host, const Product &product) {
  SmallVector<Value> operands = {
      LLVM::ZeroOp::create(host, LLVM::LLVMPointerType::get(host.getContext())), // the session's stream
      toI64(host, host.index(product.transposeA)),
      toI64(host, host.index(product.transposeB)),
      toI64(host, product.rows(host)),
      toI64(host, product.columns(host)),
      toI64(host, product.depth(host))};
  auto addMatrix = [&](Value buffer) {
    MatrixOperand matrix = matrixOperand(host, buffer);
    operands.append({matrix.pointer, matrix.stride});
  };
  operands.push_back(host.f32(1));
  addMatrix(product.a);
  addMatrix(product.b);
  operands.push_back(host.f32(0));
  addMatrix(product.c);
  auto call = callHook(host, format::symbol::kMatmul, operands, host.getI8Type());
  Value none = arith::ConstantOp::create(host, host.getI8IntegerAttr(0));
  return host.cmp(CmpIPredicate::ne, call.getResult(0), none);
}

/// The launches for a number of rows, chosen when the entry runs where it is not known before.
static void emitLaunches(LoopBuilder &host, const Product &product, const GpuInfo &gpu) {
  auto vector = [&] { emitVectorMatrix(host, product); };
  auto flat = [&] { emitMatmul(host, product, kFlatTile, gpu); };
  auto tall = [&] { emitMatmul(host, product, kTallTile, gpu); };
  int64_t known = host.staticDim(product.c, 0);
  if (!ShapedType::isDynamic(known))
    return known == 1 ? vector() : known <= kFewRows ? flat() : tall();
  Value rows = product.rows(host);
  host.ifThen(host.cmp(CmpIPredicate::eq, rows, host.index(1)), vector,
              [&] { host.ifThen(host.cmp(CmpIPredicate::ule, rows, host.index(kFewRows)), flat, tall); });
}

/// c[i, j] += bias[j], in a launch of its own: the product may be the library's.
static void emitBias(LoopBuilder &host, const Product &product, Value bias) {
  Value rows = product.rows(host), columns = product.columns(host);
  int64_t known = host.staticDim(product.c, 1);
  bool wide =
      !ShapedType::isDynamic(known) && known % 4 == 0 && hasAlignedRows(product.c, 4) && hasAlignedRows(bias, 4);
  int64_t width = wide ? 4 : 1;
  Value perRow = host.div(columns, host.index(width)), elements = host.mul(rows, perRow);
  launchForEach(host, elements, [&](BlockBuilder &b, Value element) {
    Value i = b.div(element, perRow), j = b.mul(b.rem(element, perRow), b.index(width));
    Value sum = b.add(b.loadWide(product.c, {i, j}, width), b.loadWide(bias, {j}, width, /*readOnly=*/true));
    b.store(sum, product.c, {i, j});
  });
}

static void emit(LinearOp op, LoopBuilder &host, const GpuInfo &gpu) {
  Product product{op.getX(), op.getWeight(), op.getY(), op.getTransposeX(), op.getTransposeWeight()};
  product.bf16 = op.getProducts().has_value();
  // What the library rounds, and when, is its own affair.
  if (product.bf16)
    emitLaunches(host, product, gpu);
  else
    host.ifThen(emitLibraryCall(host, product), [] {}, [&] { emitLaunches(host, product, gpu); });
  if (op.getBias())
    emitBias(host, product, op.getBias());
}

// The library does not read what is stored.
static void emitQuantized(QuantizedLinearOp op, LoopBuilder &host, const GpuInfo &gpu) {
  Product product{op.getX(), op.getWeight(), op.getY(), /*transposeA=*/false, /*transposeB=*/true, op.getScales()};
  emitLaunches(host, product, gpu);
  if (op.getBias())
    emitBias(host, product, op.getBias());
}

template <typename OpTy>
static const char *reject(OpTy op) {
  auto type = cast<MemRefType>(op.getY().getType());
  return type.getLayout().isIdentity() ? nullptr : "the result is part of a larger matrix";
}

static const char *rejectQuantized(QuantizedLinearOp op) {
  if (!cast<MemRefType>(op.getWeight().getType()).getLayout().isIdentity())
    return "rows of the weight may lie at odd addresses";
  return reject(op);
}

void device::addLinear(Emitters &emitters) {
  emitters.grid<LinearOp>({.emit = emit, .reject = reject<LinearOp>});
  emitters.grid<QuantizedLinearOp>({.emit = emitQuantized, .reject = rejectQuantized});
}
