//===- SharedTile.cpp - matrices in shared memory ------------------------===//

#include "SharedTile.h"

#include "lowering/emit/narrow/FP8.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;
using namespace peer;
using namespace peer::device;
using arith::CmpIPredicate;

static Type sharedPointer(OpBuilder &b) {
  return LLVM::LLVMPointerType::get(b.getContext(), unsigned(NVVM::NVVMMemorySpace::Shared));
}

static int64_t bytesOf(Type type) { return type.getIntOrFloatBitWidth() / 8; }

// An array of vectors, because an array of elements would only be aligned as one is.
SharedNumbers::SharedNumbers(BlockBuilder &b, int64_t count, Type type)
    : type(type ? type : b.getF32Type()), isFP8(isa<Float8E4M3FNType>(this->type)) {
  if (isFP8)
    this->type = b.getI8Type();
  int64_t vectors = llvm::divideCeil(count * bytesOf(this->type), 16);
  Value buffer = b.shared({vectors}, VectorType::get({4}, b.getF32Type()));
  Value address = memref::ExtractAlignedPointerAsIndexOp::create(b, buffer);
  Value bits = arith::IndexCastOp::create(b, b.getI64Type(), address);
  base = LLVM::IntToPtrOp::create(b, sharedPointer(b), bits);
}

Value SharedNumbers::pointer(BlockBuilder &b, Value offset, int64_t constant) const {
  Value position = arith::IndexCastOp::create(b, b.getI64Type(), offset);
  Value at = LLVM::GEPOp::create(b, sharedPointer(b), type, base, ArrayRef<LLVM::GEPArg>{position});
  if (constant == 0)
    return at;
  return LLVM::GEPOp::create(b, sharedPointer(b), type, at, ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(constant)});
}

Value SharedNumbers::load(BlockBuilder &b, Value offset, int64_t constant) const {
  Value loaded = LLVM::LoadOp::create(b, type, pointer(b, offset, constant), unsigned(bytesOf(type)));
  if (type.isF32())
    return loaded;
  if (isFP8)
    return widenFP8(b, loaded);
  if (type.isInteger(8))
    return arith::SIToFPOp::create(b, b.getF32Type(), loaded);
  return arith::ExtFOp::create(b, b.getF32Type(), loaded);
}

void SharedNumbers::store(BlockBuilder &b, Value v, Value offset, int64_t constant) const {
  LLVM::StoreOp::create(b, v, pointer(b, offset, constant), unsigned(bytesOf(type)));
}

/// Copies of single elements by a thread that are written out: the address of each takes registers.
static constexpr int64_t kMostRounds = 8;

/// Whether rows of the buffer are whole accesses to this many elements, also from columns on that are multiples of `columnUnit`.
static bool isWhole(Value buffer, int64_t columnUnit, int64_t width) {
  auto type = cast<MemRefType>(buffer.getType());
  int64_t columns = type.getShape().back();
  bool aligned = type.getLayout().isIdentity() && !ShapedType::isDynamic(columns) && columns % width == 0;
  return aligned && columnUnit % width == 0;
}

int64_t device::accessWidth(Value buffer, int64_t columnUnit) { return isWhole(buffer, columnUnit, 4) ? 4 : 1; }

void device::copyAsync(BlockBuilder &b, const Window &from, int64_t rows, int64_t columns, const SharedNumbers &to,
                       Value offset, int64_t stride) {
  int64_t bytes = bytesOf(cast<MemRefType>(from.buffer.getType()).getElementType()), width = 16 / bytes;
  // Pieces have 16 bytes or 4, or are elements.
  if (!isWhole(from.buffer, from.columnUnit, width))
    width = bytes < 4 && isWhole(from.buffer, from.columnUnit, 4 / bytes) ? 4 / bytes : 1;
  bool small = width * bytes < 4;
  int64_t perRow = columns / width, pieces = rows * perRow, threads = b.threads();
  auto copy = [&](Value r, Value c) {
    Value row = b.add(from.row, r), column = b.add(from.column, c);
    Value inside = arith::AndIOp::create(b, b.cmp(CmpIPredicate::ult, row, from.rowEnd),
                                         b.cmp(CmpIPredicate::ult, column, from.columnEnd));
    Value zero = b.index(0);
    row = b.select(inside, row, zero), column = b.select(inside, column, zero);
    if (from.rowAt)
      row = from.rowAt(row);
    Value place = b.add(offset, b.add(b.mul(r, b.index(stride)), c));
    // Asynchronous copies have 4 bytes at least.
    if (small) {
      Value loaded = b.loadWide(from.buffer, {row, column}, 1, /*readOnly=*/true);
      Value none = arith::ConstantOp::create(b, b.getZeroAttr(loaded.getType()));
      return to.store(b, b.select(inside, loaded, none), place);
    }
    // A copy of no bytes writes zeros, and reads nothing at the address.
    int64_t size = width * bytes;
    Value used = b.select(inside, b.i32(size), b.i32(0)), source = b.globalAddress(from.buffer, {row, column});
    auto cache = size == 16 ? NVVM::LoadCacheModifierKind::CG : NVVM::LoadCacheModifierKind::CA;
    NVVM::CpAsyncOp::create(b, to.pointer(b, place), source, size, cache, used);
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
