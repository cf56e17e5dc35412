//===- Architecture.cpp - the GPU to compile for -------------------------===//

#include "Architecture.h"

#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/TargetParser/Triple.h"

using namespace llvm;

namespace peer {

/// The oldest PTX version with which LLVM accepts the architecture, so that old drivers take the code.
static std::string ptxFeature(int64_t capability, bool family) {
  if (capability == 88 || capability == 110)
    return "+ptx90";
  if (capability < 100)
    return "+ptx80"; // CUDA 12.0: every driver since late 2022
  if (family || capability == 103 || capability == 121)
    return "+ptx88";
  return capability == 120 ? "+ptx87" : "+ptx86";
}

/// The largest GPU of each architecture that is sold in numbers (CUDA C++ Programming Guide, "Compute Capabilities"; NVIDIA's data
/// sheets).
static constexpr struct {
  int64_t capability, multiprocessors, threads;
} kLargest[] = {
    {80, 108, 2048},  // A100
    {86, 84, 1536},   // A40, RTX 3090 Ti
    {87, 16, 1536},   // Orin
    {89, 142, 1536},  // L40S
    {90, 132, 2048},  // H100, H200
    {100, 148, 2048}, // B200
    {103, 148, 2048}, // B300
    {110, 20, 1536},  // Thor
    {120, 188, 1536}, // RTX PRO 6000
    {121, 48, 1536},  // GB10
};

static GpuInfo infoOf(int64_t capability) {
  GpuInfo info;
  for (const auto &gpu : kLargest)
    if (gpu.capability == capability) {
      info.multiprocessors = gpu.multiprocessors;
      info.threads = gpu.threads;
    }
  return info;
}

Expected<GpuTarget> resolveGpuTarget(StringRef arch) {
  LLVMInitializeNVPTXTargetInfo();
  LLVMInitializeNVPTXTarget();
  LLVMInitializeNVPTXTargetMC();
  LLVMInitializeNVPTXAsmPrinter();
  StringRef number = arch;
  int64_t capability = 0;
  bool form = number.consume_front("sm_") && !number.consumeInteger(10, capability) &&
              (number.empty() || number == "a" || number == "f");
  Triple triple("nvptx64-nvidia-cuda");
  std::string error;
  const Target *target = TargetRegistry::lookupTarget(triple, error);
  if (!target)
    return createStringError("this LLVM has no NVPTX back end");
  std::unique_ptr<MCSubtargetInfo> info(target->createMCSubtargetInfo(triple, "", ""));
  if (!form || !info->isCPUStringValid(arch))
    return createStringError(
        "unknown GPU architecture '%s'; known are sm_80 and later, such as sm_80, sm_90, sm_90a and sm_100",
        arch.str().c_str());
  if (capability < 80)
    return createStringError("the GPU architecture '%s' has no bf16 tensor cores; sm_80 and later have",
                             arch.str().c_str());
  return GpuTarget{arch.str(), ptxFeature(capability, number == "f"), capability, infoOf(capability)};
}

} // namespace peer
