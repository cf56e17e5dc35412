//===- NvidiaTarget.cpp - NVIDIA's GPUs as targets -----------------------===//

#include "NvidiaTarget.h"

#include "artifact/format.h"

#include "Architecture.h"
#include "DeviceCode.h"
#include "Ptxas.h"
#include "lowering/Passes.h"
#include "lowering/gpu/Pipeline.h"
#include "lowering/host/Cpu.h"
#include "lowering/host/ObjectCode.h"
#include "passes/DecomposeRoutes.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/GPU/Pipelines/Passes.h"

using namespace mlir;
namespace json = llvm::json;

namespace peer {

namespace {
class NvidiaTarget : public Target {
public:
  NvidiaTarget(GpuTarget gpu, CpuTarget host, const TargetOptions &options)
      : gpu(std::move(gpu)), host(std::move(host)), options(options),
        emitters(std::make_shared<device::Emitters>(this->gpu.info)) {}

  std::string name() const override { return gpu.arch; }
  void prepareTiling(OpPassManager &pm) const override {
    ChooseMixFormsOptions mix;
    mix.form = options.mix;
    pm.addNestedPass<func::FuncOp>(createChooseMixForms(mix));
    if (options.plainLoops)
      pm.addNestedPass<func::FuncOp>(createDecomposeRoutesPass([](auto) { return "plain loops have the parts"; }));
    else
      prepareGpuTiling(pm, gpu.info);
  }
  void prepareBuffers(OpPassManager &) const override {}
  TileSizeModel tileSizes() const override { return emitters->tileSizes(); }
  void buildKernelPipeline(OpPassManager &pm) const override {
    buildGpuKernelPipeline(pm, options.plainLoops ? nullptr : emitters);
  }
  void buildLLVMPipeline(OpPassManager &pm) const override;
  json::Object describe() const override {
    return json::Object{{format::key::kDevice, format::device::kCuda},
                        {format::key::kArch, gpu.arch},
                        {format::key::kCpu, host.cpu},
                        {format::key::kFeatures, json::Array(host.required)}};
  }
  llvm::Expected<std::string> printIR(ModuleOp module, ArrayRef<EntrySignature>) const override {
    return deviceIROf(module);
  }
  llvm::Expected<std::string> printAssembly(ModuleOp module, ArrayRef<EntrySignature>) const override {
    return ptxOf(module);
  }
  llvm::Expected<SmallVector<SmallString<0>>> generateObjects(ModuleOp module,
                                                              ArrayRef<EntrySignature> entries) const override;
  llvm::Expected<std::vector<KernelResources>> measure(ModuleOp module) const override;

private:
  void warn(llvm::Error error) const;
  std::unique_ptr<Ptxas> startPtxas(ModuleOp module) const;
  llvm::Expected<SmallString<0>> machineCode(Ptxas &ptxas) const;

  GpuTarget gpu;
  CpuTarget host;
  TargetOptions options;
  SharedEmitters emitters;
};
} // namespace

void NvidiaTarget::buildLLVMPipeline(OpPassManager &pm) const {
  pm.addPass(createPassAddresses());
  // Upstream would make calls of CUDA's device library out of math: none may be left.
  OpPassManager &kernels = pm.nest<gpu::GPUModuleOp>();
  kernels.addPass(createExpandMath());
  kernels.addPass(createLowerDeviceMath());
  gpu::GPUToNVVMPipelineOptions pipeline;
  pipeline.cubinChip = gpu.arch;
  pipeline.cubinFeatures = gpu.features;
  pipeline.cubinFormat = options.keepIR ? "llvm" : "isa";
  pipeline.optLevel = 3;
  gpu::buildLowerToNVVMPassPipeline(pm, pipeline);
}

/// Machine code is a convenience beside PTX: what goes wrong with it is said, and the artifact is good without.
void NvidiaTarget::warn(llvm::Error error) const {
  options.warn(llvm::toString(std::move(error)) + "; the artifact holds PTX only");
}

/// The assembler at work on the module's kernels, or nothing.
std::unique_ptr<Ptxas> NvidiaTarget::startPtxas(ModuleOp module) const {
  std::string path = options.assembler.empty() ? findPtxas() : options.assembler;
  std::string ptx = ptxOf(module);
  if (path.empty() || path == "none" || ptx.empty())
    return nullptr;
  auto job = Ptxas::start(path, ptx, gpu.arch);
  if (job)
    return std::move(*job);
  warn(job.takeError());
  return nullptr;
}

/// The machine code of the kernels as an object file with exported data; empty where there is none.
llvm::Expected<SmallString<0>> NvidiaTarget::machineCode(Ptxas &ptxas) const {
  auto cubin = ptxas.finish();
  if (!cubin) {
    warn(cubin.takeError());
    return SmallString<0>();
  }
  llvm::LLVMContext context;
  auto module = buildDataModule(context, format::symbol::kCubin, *cubin, host);
  if (!module)
    return module.takeError();
  return generateCode(**module, host, Effort::Quick, /*assembly=*/false);
}

llvm::Expected<SmallVector<SmallString<0>>> NvidiaTarget::generateObjects(ModuleOp module,
                                                                          ArrayRef<EntrySignature> entries) const {
  // Works beside what follows.
  std::unique_ptr<Ptxas> ptxas = startPtxas(module);
  llvm::LLVMContext context;
  auto code = buildLLVMModule(module, context, entries, host, Effort::Quick);
  if (!code)
    return code.takeError();
  auto object = generateCode(**code, host, Effort::Quick, /*assembly=*/false);
  if (!object)
    return object.takeError();
  SmallVector<SmallString<0>> objects{std::move(*object)};
  if (!ptxas)
    return objects;
  auto data = machineCode(*ptxas);
  if (!data)
    return data.takeError();
  if (!data->empty())
    objects.push_back(std::move(*data));
  return objects;
}

llvm::Expected<std::vector<KernelResources>> NvidiaTarget::measure(ModuleOp module) const {
  std::unique_ptr<Ptxas> ptxas = startPtxas(module);
  if (!ptxas)
    return std::vector<KernelResources>();
  if (auto cubin = ptxas->finish(); !cubin)
    return cubin.takeError();
  return ptxas->resources();
}

TargetFamily getNvidiaFamily() {
  return {"GPUs, such as sm_90", [](StringRef name) { return name.starts_with("sm_"); },
          [](StringRef name, const TargetOptions &options) -> llvm::Expected<std::unique_ptr<Target>> {
            llvm::Expected<GpuTarget> gpu = resolveGpuTarget(name);
            if (!gpu)
              return gpu.takeError();
            // Host code of a GPU's artifact does next to nothing, so it runs on any x86-64.
            llvm::Expected<CpuTarget> host = resolveCpuTarget("x86-64");
            if (!host)
              return host.takeError();
            return std::make_unique<NvidiaTarget>(*gpu, *host, options);
          }};
}

} // namespace peer
