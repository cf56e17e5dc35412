//===- FinishKernels.cpp - what outlining leaves to be said of kernels ---===//

#include "lowering/Passes.h"

namespace peer {
#define GEN_PASS_DEF_FINISHKERNELS
#include "LoweringPasses.h.inc"
} // namespace peer

using namespace mlir;

/// The widest access, in bytes.
static constexpr int64_t kWidest = 16;

/// Shared memory is accessed 16 bytes at a time, whatever its elements are.
static void alignShared(gpu::GPUFuncOp kernel) {
  auto bytes = IntegerAttr::get(IntegerType::get(kernel.getContext(), 64), kWidest);
  for (unsigned i = 0; i < kernel.getNumWorkgroupAttributions(); ++i)
    kernel.setWorkgroupAttributionAttr(i, LLVM::LLVMDialect::getAlignAttrName(), bytes);
}

namespace {
struct FinishKernels : peer::impl::FinishKernelsBase<FinishKernels> {
  void runOnOperation() override { getOperation().walk(alignShared); }
};
} // namespace
