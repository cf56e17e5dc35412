//===- PassAddresses.cpp - buffers go to kernels as addresses ------------===//
//
// Upstream passes the whole descriptor of a buffer: two addresses, an offset, sizes and strides. Kernels have nearly all of
// it from types. What nobody reads would be stored for each launch, and a model has thousands of them.
//
//===----------------------------------------------------------------------===//

#include "lowering/Passes.h"

#include "mlir/Conversion/LLVMCommon/MemRefBuilder.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"

namespace peer {
#define GEN_PASS_DEF_PASSADDRESSES
#include "LoweringPasses.h.inc"
} // namespace peer

using namespace mlir;

/// A dense buffer in global memory; only its first dimension may be unknown, so all strides are constants.
static bool isDense(Type type) {
  auto buffer = dyn_cast<MemRefType>(type);
  return buffer && buffer.getLayout().isIdentity() && !buffer.getMemorySpace() &&
         llvm::none_of(buffer.getShape().drop_front(buffer.getRank() > 0), ShapedType::isDynamic);
}

/// Whether an op may want to know how large a buffer is; those that do not are listed.
static bool readsSize(Operation *op) {
  return !isa<memref::LoadOp, memref::StoreOp, vector::LoadOp, vector::StoreOp, memref::SubViewOp,
              memref::ExtractAlignedPointerAsIndexOp>(op);
}

namespace {
/// How launches pass a parameter.
enum class Passed { AsItIs, Address, AddressAndSize };
} // namespace

/// The buffer at an address. `size`, the first one if it is unknown, is null where nobody reads it.
static Value emitBuffer(OpBuilder &b, Location loc, MemRefType type, Value address, Value size) {
  auto descriptor = MemRefDescriptor::poison(b, loc, LLVMTypeConverter(b.getContext()).convertType(type));
  descriptor.setAllocatedPtr(b, loc, address);
  descriptor.setAlignedPtr(b, loc, address);
  descriptor.setConstantOffset(b, loc, 0);
  for (auto [i, stride] : llvm::enumerate(type.getStridesAndOffset().first)) {
    descriptor.setConstantStride(b, loc, i, stride);
    if (!type.isDynamicDim(i))
      descriptor.setConstantSize(b, loc, i, type.getDimSize(i));
  }
  if (size)
    descriptor.setSize(b, loc, 0, size);
  return UnrealizedConversionCastOp::create(b, loc, type, Value(descriptor)).getResult(0);
}

static SmallVector<Passed> changeParameters(FunctionOpInterface kernel) {
  Block &body = kernel.getFunctionBody().front();
  OpBuilder b = OpBuilder::atBlockBegin(&body);
  Location loc = kernel.getLoc();
  Type pointer = LLVM::LLVMPointerType::get(b.getContext());
  SmallVector<Passed> forms;
  SmallVector<Type> types;
  auto addParameter = [&](Type type) {
    types.push_back(type);
    return body.insertArgument(types.size() - 1, type, loc);
  };
  for (Type type : llvm::to_vector(kernel.getArgumentTypes())) {
    // What is done is in front of what is left.
    if (!isDense(type)) {
      forms.push_back(Passed::AsItIs);
      types.push_back(type);
      continue;
    }
    Value old = body.getArgument(types.size());
    auto buffer = cast<MemRefType>(type);
    bool sized = !buffer.hasStaticShape() && llvm::any_of(old.getUsers(), readsSize);
    forms.push_back(sized ? Passed::AddressAndSize : Passed::Address);
    Value address = addParameter(pointer), size = sized ? addParameter(b.getI64Type()) : Value();
    old.replaceAllUsesWith(emitBuffer(b, loc, buffer, address, size));
    body.eraseArgument(types.size());
  }
  kernel.setType(b.getFunctionType(types, kernel.getResultTypes()));
  return forms;
}

static void changeOperands(Operation *call, MutableOperandRange passed, ArrayRef<Passed> forms) {
  OpBuilder at(call);
  ImplicitLocOpBuilder b(call->getLoc(), at);
  Type i64 = b.getI64Type(), pointer = LLVM::LLVMPointerType::get(b.getContext());
  auto toI64 = [&](Value index) -> Value { return arith::IndexCastOp::create(b, i64, index); };
  SmallVector<Value> operands;
  for (auto [operand, form] : llvm::zip_equal(OperandRange(passed), forms)) {
    if (form == Passed::AsItIs) {
      operands.push_back(operand);
      continue;
    }
    Value address = toI64(memref::ExtractAlignedPointerAsIndexOp::create(b, operand));
    operands.push_back(LLVM::IntToPtrOp::create(b, pointer, address));
    if (form == Passed::AddressAndSize)
      operands.push_back(toI64(memref::DimOp::create(b, operand, 0)));
  }
  passed.assign(operands);
}

namespace {
struct PassAddresses : peer::impl::PassAddressesBase<PassAddresses> {
  void runOnOperation() override {
    // A kernel's name within the module, and how it is called.
    llvm::DenseMap<Attribute, SmallVector<Passed>> forms;
    for (func::FuncOp kernel : getOperation().getOps<func::FuncOp>())
      if (kernel.isPrivate() && !kernel.isExternal())
        forms[FlatSymbolRefAttr::get(kernel.getSymNameAttr())] = changeParameters(kernel);
    for (gpu::GPUModuleOp module : getOperation().getOps<gpu::GPUModuleOp>())
      for (gpu::GPUFuncOp kernel : module.getOps<gpu::GPUFuncOp>())
        if (kernel.isKernel())
          forms[SymbolRefAttr::get(module.getNameAttr(), FlatSymbolRefAttr::get(kernel.getNameAttr()))] =
              changeParameters(kernel);
    auto change = [&](Operation *call, Attribute kernel, MutableOperandRange passed) {
      if (auto found = forms.find(kernel); found != forms.end())
        changeOperands(call, passed, found->second);
    };
    getOperation().walk([&](Operation *op) {
      if (auto call = dyn_cast<func::CallOp>(op))
        change(call, call.getCalleeAttr(), call.getArgOperandsMutable());
      else if (auto launch = dyn_cast<gpu::LaunchFuncOp>(op))
        change(launch, launch.getKernel(), launch.getKernelOperandsMutable());
    });
  }
};
} // namespace
