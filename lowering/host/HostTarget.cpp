//===- HostTarget.cpp - CPUs as a target ---------------------------------===//

#include "HostTarget.h"

#include "artifact/format.h"

#include "Cpu.h"
#include "ObjectCode.h"
#include "lowering/Passes.h"
#include "lowering/cpu/Kernels.h"
#include "passes/DecomposeRoutes.h"

#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/Passes.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Dialect/SCF/Transforms/Passes.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;
namespace json = llvm::json;

namespace peer {

namespace {
class HostTarget : public Target {
public:
  HostTarget(CpuTarget cpu, const TargetOptions &options) : cpu(std::move(cpu)), options(options) {}

  std::string name() const override { return "cpu:" + cpu.cpu; }
  void prepareTiling(OpPassManager &pm) const override {
    ChooseMixFormsOptions mix;
    mix.form = options.mix;
    pm.addNestedPass<func::FuncOp>(createChooseMixForms(mix));
    if (options.plainLoops || !cpu.sumsPairs())
      return;
    DerivePackedKeysOptions keys;
    keys.width = cpu.vectorWidth();
    pm.addPass(createDerivePackedKeys(keys));
  }
  void prepareBuffers(OpPassManager &pm) const override {
    // The scores of a tile whose route is taken apart stay in cache, and each part has an emitter.
    const char *never = options.plainLoops ? "plain loops have the parts"
                        : cpu.sumsPairs()  ? nullptr
                                           : "the CPU has no vectors that sum products of pairs of integers";
    pm.addNestedPass<func::FuncOp>(createDecomposeRoutesPass(peer::cpu::rejectRoutes(never, cpu.vectorWidth())));
  }
  TileSizeModel tileSizes() const override { return getLoopEmitters().tileSizes(); }
  bool isTunable() const override { return !options.plainLoops; }
  void buildKernelPipeline(OpPassManager &pm) const override;
  void buildLLVMPipeline(OpPassManager &pm) const override;
  json::Object describe() const override {
    return json::Object{{format::key::kDevice, format::device::kCpu},
                        {format::key::kCpu, cpu.cpu},
                        {format::key::kFeatures, json::Array(cpu.required)}};
  }
  llvm::Expected<std::string> printIR(ModuleOp module, ArrayRef<EntrySignature> entries) const override;
  llvm::Expected<std::string> printAssembly(ModuleOp module, ArrayRef<EntrySignature> entries) const override;
  llvm::Expected<SmallVector<SmallString<0>>> generateObjects(ModuleOp module,
                                                              ArrayRef<EntrySignature> entries) const override;

private:
  llvm::Expected<SmallString<0>> generate(ModuleOp module, ArrayRef<EntrySignature> entries, bool assembly) const;

  CpuTarget cpu;
  TargetOptions options;
};
} // namespace

/// Kernel functions to loops and vectors.
void HostTarget::buildKernelPipeline(OpPassManager &pm) const {
  pm.addPass(createConvertLinalgToLoopsPass());
  if (options.plainLoops) {
    pm.addPass(createLowerToLoops());
  } else {
    LowerToVectorsOptions vectors;
    vectors.width = cpu.vectorWidth();
    vectors.tiles = cpu.tiles;
    vectors.dots = cpu.dots;
    pm.addPass(createLowerToVectors(vectors));
  }
  pm.addPass(createLowerMarks());
  pm.addPass(createCanonicalizerPass());
}

/// Vectors keep their math, loops get their threads.
void HostTarget::buildLLVMPipeline(OpPassManager &pm) const {
  pm.addPass(createPassAddresses());
  pm.addNestedPass<func::FuncOp>(createExpandMath());
  pm.addNestedPass<func::FuncOp>(createForallToParallelLoopPass());
  pm.addPass(createConvertVectorToSCFPass());
  pm.addPass(createConvertSCFToOpenMPPass());
  pm.addPass(memref::createExpandStridedMetadataPass());
  pm.addPass(createLowerAffinePass());
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  // The OpenMP conversion leaves memref.alloca_scope, which must go before control flow is flattened.
  FinalizeMemRefToLLVMConversionPassOptions memrefs;
  memrefs.useGenericFunctions = true;
  memrefs.useAlignedAlloc = true;
  pm.addPass(createFinalizeMemRefToLLVMConversionPass(memrefs));
  pm.addPass(createSCFToControlFlowPass());
  pm.addPass(createConvertVectorToLLVMPass());
  pm.addPass(createConvertMathToLLVMPass());
  pm.addPass(createConvertMathToLibmPass());
  pm.addPass(createArithToLLVMConversionPass());
  pm.addPass(createConvertIndexToLLVMPass());
  pm.addPass(createConvertControlFlowToLLVMPass());
  pm.addPass(createConvertOpenMPToLLVMPass());
  pm.addPass(createConvertFuncToLLVMPass());
  pm.addPass(createReconcileUnrealizedCastsPass());
}

llvm::Expected<std::string> HostTarget::printIR(ModuleOp module, ArrayRef<EntrySignature> entries) const {
  llvm::LLVMContext context;
  auto code = buildLLVMModule(module, context, entries, cpu, Effort::Full);
  if (!code)
    return code.takeError();
  return textOf(**code);
}

llvm::Expected<SmallString<0>> HostTarget::generate(ModuleOp module, ArrayRef<EntrySignature> entries,
                                                    bool assembly) const {
  llvm::LLVMContext context;
  auto code = buildLLVMModule(module, context, entries, cpu, Effort::Full);
  if (!code)
    return code.takeError();
  return generateCode(**code, cpu, Effort::Full, assembly);
}

llvm::Expected<std::string> HostTarget::printAssembly(ModuleOp module, ArrayRef<EntrySignature> entries) const {
  auto text = generate(module, entries, /*assembly=*/true);
  if (!text)
    return text.takeError();
  return std::string(*text);
}

llvm::Expected<SmallVector<SmallString<0>>> HostTarget::generateObjects(ModuleOp module,
                                                                        ArrayRef<EntrySignature> entries) const {
  auto object = generate(module, entries, /*assembly=*/false);
  if (!object)
    return object.takeError();
  return SmallVector<SmallString<0>>{std::move(*object)};
}

TargetFamily getHostFamily() {
  return {"cpu (this machine), cpu:NAME, such as cpu:x86-64-v3, cpu:NAME+NAME for several",
          [](StringRef name) { return name.split(':').first == "cpu"; },
          [](StringRef name, const TargetOptions &options) -> llvm::Expected<std::unique_ptr<Target>> {
            llvm::Expected<CpuTarget> cpu = resolveCpuTarget(name.split(':').second);
            if (!cpu)
              return cpu.takeError();
            return std::make_unique<HostTarget>(*cpu, options);
          }};
}

} // namespace peer
