//===- MergeKernels.cpp - one copy of equal kernels ----------------------===//

#include "lowering/Passes.h"

namespace peer {
#define GEN_PASS_DEF_MERGEKERNELS
#include "LoweringPasses.h.inc"
} // namespace peer

using namespace mlir;

static constexpr auto kAnywhere = OperationEquivalence::IgnoreLocations;

/// Equal for equal kernels: their ops in order, without operands.
static llvm::hash_code hashOf(gpu::GPUFuncOp kernel) {
  llvm::hash_code hash = hash_value(kernel.getFunctionType());
  kernel.getBody().walk([&](Operation *op) {
    auto of = OperationEquivalence::ignoreHashValue;
    hash = llvm::hash_combine(hash, OperationEquivalence::computeHash(op, of, of, kAnywhere));
  });
  return hash;
}

/// All that is said of a kernel but its name.
static DictionaryAttr attributesOf(gpu::GPUFuncOp kernel) {
  NamedAttrList attributes(kernel->getAttrDictionary());
  attributes.erase(SymbolTable::getSymbolAttrName());
  return attributes.getDictionary(kernel.getContext());
}

static bool areEqual(gpu::GPUFuncOp a, gpu::GPUFuncOp b) {
  return attributesOf(a) == attributesOf(b) &&
         OperationEquivalence::isRegionEquivalentTo(&a.getBody(), &b.getBody(), kAnywhere);
}

namespace {
struct MergeKernels : peer::impl::MergeKernelsBase<MergeKernels> {
  void runOnOperation() override {
    // What launches name: module and kernel.
    llvm::DenseMap<Attribute, SymbolRefAttr> renamed;
    for (gpu::GPUModuleOp module : getOperation().getOps<gpu::GPUModuleOp>()) {
      llvm::DenseMap<size_t, SmallVector<gpu::GPUFuncOp>> kept;
      for (gpu::GPUFuncOp kernel : llvm::make_early_inc_range(module.getOps<gpu::GPUFuncOp>())) {
        SmallVector<gpu::GPUFuncOp> &alike = kept[hashOf(kernel)];
        auto *equal = llvm::find_if(alike, [&](gpu::GPUFuncOp other) { return areEqual(kernel, other); });
        if (equal == alike.end()) {
          alike.push_back(kernel);
          continue;
        }
        auto nameOf = [&](gpu::GPUFuncOp function) {
          return SymbolRefAttr::get(module.getNameAttr(), FlatSymbolRefAttr::get(function.getNameAttr()));
        };
        renamed[nameOf(kernel)] = nameOf(*equal);
        kernel.erase();
      }
    }
    getOperation().walk([&](gpu::LaunchFuncOp launch) {
      if (SymbolRefAttr kernel = renamed.lookup(launch.getKernel()))
        launch.setKernelAttr(kernel);
    });
  }
};
} // namespace
