//===- SharedPlan.cpp - dynamic shared memory of a launch ----------------===//

#include "SharedPlan.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace peer;
using namespace peer::device;

//===----------------------------------------------------------------------===//
// Words
//===----------------------------------------------------------------------===//

Value SharedWords::pointer(BlockBuilder &b, Value word, int64_t constant) const {
  Value position = arith::IndexCastOp::create(b, b.getI64Type(), word);
  Value at = LLVM::GEPOp::create(b, base.getType(), b.getI32Type(), base, ArrayRef<LLVM::GEPArg>{position});
  if (constant == 0)
    return at;
  return LLVM::GEPOp::create(b, base.getType(), b.getI32Type(), at,
                             ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(constant)});
}

static int64_t sizeOf(Type type) {
  auto vector = dyn_cast<VectorType>(type);
  return vector ? vector.getNumElements() * vector.getElementTypeBitWidth() / 8 : type.getIntOrFloatBitWidth() / 8;
}

Value SharedWords::load(BlockBuilder &b, Type type, Value word, int64_t constant) const {
  return LLVM::LoadOp::create(b, type, pointer(b, word, constant), sizeOf(type));
}

void SharedWords::store(BlockBuilder &b, Value v, Value word, int64_t constant) const {
  LLVM::StoreOp::create(b, v, pointer(b, word, constant), sizeOf(v.getType()));
}

//===----------------------------------------------------------------------===//
// Layout
//===----------------------------------------------------------------------===//

// The symbol of dynamic shared memory has no size, and the optimizer may assume that what is loaded from an object of no size
// was never stored. So its address goes through an instruction that hides where it comes from.
SharedPlan::SharedPlan(BlockBuilder &b)
    : b(b), launch(b.getInsertionBlock()->getParentOp()->getParentOfType<gpu::LaunchOp>()) {
  if (!launch)
    launch = cast<gpu::LaunchOp>(b.getInsertionBlock()->getParentOp());
  auto space = gpu::AddressSpaceAttr::get(b.getContext(), gpu::GPUDialect::getWorkgroupAddressSpace());
  auto type = MemRefType::get({ShapedType::kDynamic}, b.getI8Type(), MemRefLayoutAttrInterface{}, space);
  Value memory = gpu::DynamicSharedMemoryOp::create(b, type);
  b.noteBlocks(kBlocksAtOnce);
  Value address = memref::ExtractAlignedPointerAsIndexOp::create(b, memory);
  Value bits = arith::IndexCastOp::create(b, b.getI64Type(), address);
  Value hidden = LLVM::InlineAsmOp::create(b, TypeRange{b.getI64Type()}, ValueRange{bits}, "mov.b64 $0, $1;", "=l,l",
                                           /*has_side_effects=*/false, /*is_align_stack=*/false,
                                           LLVM::TailCallKind::None, LLVM::AsmDialectAttr(), ArrayAttr())
                     .getResult(0);
  auto pointer = LLVM::LLVMPointerType::get(b.getContext(), unsigned(NVVM::NVVMMemorySpace::Shared));
  base = LLVM::IntToPtrOp::create(b, pointer, hidden);
}

SharedWords SharedPlan::words(int64_t count) {
  auto place = static_cast<int32_t>(bytes);
  bytes += bytesOf(count);
  APInt before(32, 0);
  if (Value asked = launch.getDynamicSharedMemorySize())
    matchPattern(asked, m_ConstantInt(&before));
  if (before.getSExtValue() < bytes) {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPoint(launch);
    launch.getDynamicSharedMemorySizeMutable().assign(b.i32(bytes));
  }
  return {LLVM::GEPOp::create(b, base.getType(), b.getI8Type(), base, ArrayRef<LLVM::GEPArg>{place})};
}
