//===- SharedTile.cpp - f32 matrices in shared memory --------------------===//

#include "SharedTile.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;
using namespace peer;
using namespace peer::device;
using arith::CmpIPredicate;

static Type sharedPointer(OpBuilder &b) {
  return LLVM::LLVMPointerType::get(b.getContext(), unsigned(NVVM::NVVMMemorySpace::Shared));
}

// An array of vectors, because an array of f32 would only be aligned to 4 bytes.
SharedFloats::SharedFloats(BlockBuilder &b, int64_t count) {
  Value buffer = b.shared({int64_t(llvm::divideCeil(count, 4))}, VectorType::get({4}, b.getF32Type()));
  Value address = memref::ExtractAlignedPointerAsIndexOp::create(b, buffer);
  Value bits = arith::IndexCastOp::create(b, b.getI64Type(), address);
  base = LLVM::IntToPtrOp::create(b, sharedPointer(b), bits);
}

Value SharedFloats::pointer(BlockBuilder &b, Value offset, int64_t constant) const {
  Value position = arith::IndexCastOp::create(b, b.getI64Type(), offset);
  Value at = LLVM::GEPOp::create(b, sharedPointer(b), b.getF32Type(), base, ArrayRef<LLVM::GEPArg>{position});
  if (constant == 0)
    return at;
  return LLVM::GEPOp::create(b, sharedPointer(b), b.getF32Type(), at,
                             ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(constant)});
}

Value SharedFloats::load(BlockBuilder &b, Value offset, int64_t constant) const {
  return LLVM::LoadOp::create(b, b.getF32Type(), pointer(b, offset, constant), 4);
}

void SharedFloats::store(BlockBuilder &b, Value v, Value offset, int64_t constant) const {
  LLVM::StoreOp::create(b, v, pointer(b, offset, constant), 4);
}

/// Copies of single elements by a thread that are written out: the address of each takes registers.
static constexpr int64_t kMostRounds = 8;

int64_t device::accessWidth(Value buffer, int64_t columnUnit) {
  auto type = cast<MemRefType>(buffer.getType());
  int64_t columns = type.getShape().back();
  bool aligned = type.getLayout().isIdentity() && !ShapedType::isDynamic(columns) && columns % 4 == 0;
  return aligned && columnUnit % 4 == 0 ? 4 : 1;
}

void device::copyAsync(BlockBuilder &b, const Window &from, int64_t rows, int64_t columns, const SharedFloats &to,
                       Value offset, int64_t stride) {
  int64_t width = accessWidth(from.buffer, from.columnUnit);
  int64_t perRow = columns / width, pieces = rows * perRow, threads = b.threads();
  auto copy = [&](Value r, Value c) {
    Value row = b.add(from.row, r), column = b.add(from.column, c);
    Value inside = arith::AndIOp::create(b, b.cmp(CmpIPredicate::ult, row, from.rowEnd),
                                         b.cmp(CmpIPredicate::ult, column, from.columnEnd));
    // A copy of no bytes writes zeros, and reads nothing at the address.
    Value zero = b.index(0), bytes = b.select(inside, b.i32(4 * width), b.i32(0));
    row = b.select(inside, row, zero);
    Value source = b.globalAddress(from.buffer, {from.rowAt ? from.rowAt(row) : row, b.select(inside, column, zero)});
    Value target = to.pointer(b, b.add(offset, b.add(b.mul(r, b.index(stride)), c)));
    auto cache = width == 4 ? NVVM::LoadCacheModifierKind::CG : NVVM::LoadCacheModifierKind::CA;
    NVVM::CpAsyncOp::create(b, target, source, 4 * width, cache, bytes);
  };
  Value thread = b.thread();
  if (width == 1 && pieces > kMostRounds * threads)
    return b.forThreads(b.index(pieces),
                        [&](Value piece) { copy(b.div(piece, b.index(perRow)), b.rem(piece, b.index(perRow))); });
  for (int64_t first = 0; first < pieces; first += threads) {
    // Rows per round are whole where possible: then rounds differ by a constant only.
    Value r, c;
    if (threads % perRow == 0) {
      r = b.add(b.div(thread, b.index(perRow)), b.index(first / perRow));
      c = b.rem(thread, b.index(perRow));
    } else {
      Value piece = b.add(thread, b.index(first));
      r = b.div(piece, b.index(perRow));
      c = b.rem(piece, b.index(perRow));
    }
    c = b.mul(c, b.index(width));
    if (first + threads <= pieces)
      copy(r, c);
    else
      b.ifThen(b.cmp(CmpIPredicate::ult, thread, b.index(pieces - first)), [&] { copy(r, c); });
  }
}

void device::commitCopies(BlockBuilder &b) { NVVM::CpAsyncCommitGroupOp::create(b); }

void device::awaitCopies(BlockBuilder &b, int64_t pending) { NVVM::CpAsyncWaitGroupOp::create(b, pending); }
