//===- SharedPlan.cpp - dynamic shared memory of a launch ----------------===//

#include "SharedPlan.h"

#include "LaunchBounds.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace peer;
using namespace peer::nvptx;

SharedPlan::SharedPlan(BlockBuilder &b)
    : b(b), launch(b.getInsertionBlock()->getParentOp()->getParentOfType<gpu::LaunchOp>()) {
  if (!launch)
    launch = cast<gpu::LaunchOp>(b.getInsertionBlock()->getParentOp());
  auto space = gpu::AddressSpaceAttr::get(b.getContext(), gpu::GPUDialect::getWorkgroupAddressSpace());
  auto type = MemRefType::get({ShapedType::kDynamic}, b.getI8Type(), MemRefLayoutAttrInterface{}, space);
  memory = gpu::DynamicSharedMemoryOp::create(b, type);
  noteBlocks(memory.getDefiningOp(), kBlocksAtOnce);
}

int64_t SharedPlan::reserve(int64_t size) {
  int64_t place = bytes;
  bytes += llvm::alignTo(size, 16);
  APInt before(32, 0);
  if (Value asked = launch.getDynamicSharedMemorySize())
    matchPattern(asked, m_ConstantInt(&before));
  if (before.getSExtValue() < bytes) {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPoint(launch);
    launch.getDynamicSharedMemorySizeMutable().assign(b.i32(bytes));
  }
  return place;
}

Value SharedPlan::view(int64_t place, ArrayRef<int64_t> shape, Type element) {
  auto type =
      MemRefType::get(shape, element, MemRefLayoutAttrInterface{}, cast<MemRefType>(memory.getType()).getMemorySpace());
  return memref::ViewOp::create(b, type, memory, b.index(place), ValueRange{});
}

Value SharedPlan::pointer(int64_t place) {
  Value address = memref::ExtractAlignedPointerAsIndexOp::create(b, view(place, {1}, b.getI32Type()));
  Value bits = arith::IndexCastOp::create(b, b.getI64Type(), address);
  auto type = LLVM::LLVMPointerType::get(b.getContext(), unsigned(NVVM::NVVMMemorySpace::Shared));
  return LLVM::IntToPtrOp::create(b, type, bits);
}

Value SharedPlan::buffer(ArrayRef<int64_t> shape, Type element) {
  int64_t count = 1;
  for (int64_t size : shape)
    count *= size;
  return view(reserve(count * element.getIntOrFloatBitWidth() / 8), shape, element);
}
