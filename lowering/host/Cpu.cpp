//===- Cpu.cpp - CPUs that code is generated for -------------------------===//

#include "Cpu.h"

#include "dialect/Names.h"
#include "dialect/Nearest.h"

#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/SubtargetFeature.h"

using namespace llvm;

namespace peer {

/// Instruction sets an optimizer may reach for on its own. LLVM's feature lists
/// hold tuning hints too, which no machine can lack.
static constexpr StringLiteral kInstructionSets[] = {
    "aes",     "avx",          "avx2",       "avx512bf16",  "avx512bitalg", "avx512bw", "avx512cd",   "avx512dq",
    "avx512f", "avx512fp16",   "avx512ifma", "avx512vbmi",  "avx512vbmi2",  "avx512vl", "avx512vnni", "avx512vpopcntdq",
    "avxifma", "avxneconvert", "avxvnni",    "avxvnniint8", "bmi",          "bmi2",     "cx16",       "f16c",
    "fma",     "gfni",         "lzcnt",      "movbe",       "pclmul",       "popcnt",   "sahf",       "sha",
    "sse3",    "sse4.1",       "sse4.2",     "sse4a",       "ssse3",        "vaes",     "vpclmulqdq", "xsave"};

static bool has(const CpuTarget &cpu, StringRef set) { return llvm::is_contained(cpu.required, set); }

int64_t CpuTarget::vectorWidth() const { return has(*this, "avx512f") ? 16 : has(*this, "avx2") ? 8 : 4; }

bool CpuTarget::sumsPairs() const { return has(*this, "fma") && has(*this, vectorWidth() == 16 ? "avx512bw" : "avx2"); }

static const Target *hostTarget(std::string &error) {
  static bool initialized = [] {
    InitializeNativeTarget();
    InitializeNativeTargetAsmPrinter();
    InitializeNativeTargetAsmParser();
    return true;
  }();
  (void)initialized;
  return TargetRegistry::lookupTarget(Triple(sys::getProcessTriple()), error);
}

Expected<CpuTarget> resolveCpuTarget(StringRef name) {
  std::string error;
  const Target *target = hostTarget(error);
  if (!target)
    return createStringError(error);
  CpuTarget result;
  bool native = name.empty() || name == "native";
  result.cpu = native ? sys::getHostCPUName().str() : name.str();
  if (native) {
    SubtargetFeatures features;
    for (const auto &[feature, enabled] : sys::getHostCPUFeatures())
      features.AddFeature(feature, enabled);
    result.features = features.getString();
  }
  Triple triple(sys::getProcessTriple());
  std::unique_ptr<MCSubtargetInfo> info(target->createMCSubtargetInfo(triple, native ? result.cpu : "", ""));
  if (!info->isCPUStringValid(result.cpu)) {
    SmallVector<StringRef> known{"native"};
    for (const SubtargetSubTypeKV &processor : info->getAllProcessorDescriptions())
      known.push_back(processor.Key);
    return createStringError("unknown CPU " + quote(result.cpu) + "; known are names LLVM has for " +
                             triple.getArchName() + ", such as x86-64-v3, x86-64-v4, znver4, and native" +
                             didYouMean(result.cpu, known));
  }
  info.reset(target->createMCSubtargetInfo(triple, result.cpu, result.features));
  for (StringRef set : kInstructionSets)
    if (info->checkFeatures(("+" + set).str()))
      result.required.push_back(set.str());
  result.dots = has(result, result.vectorWidth() == 16 ? "avx512vnni" : "avxvnni");
  result.tiles = result.vectorWidth() == 16 && info->checkFeatures("+amx-tile,+amx-bf16");
  return result;
}

Expected<std::unique_ptr<TargetMachine>> createTargetMachine(const CpuTarget &target) {
  std::string error;
  const Target *host = hostTarget(error);
  if (!host)
    return createStringError(error);
  TargetOptions options;
  // Constructors register kernels: where the loader looks for them today, not in .ctors.
  options.UseInitArray = true;
  // Products may be fused into sums: fewer roundings, and the kernels are written for it.
  options.AllowFPOpFusion = FPOpFusion::Fast;
  std::unique_ptr<TargetMachine> machine(host->createTargetMachine(Triple(sys::getProcessTriple()), target.cpu,
                                                                   target.features, options, Reloc::PIC_, std::nullopt,
                                                                   CodeGenOptLevel::Aggressive));
  if (!machine)
    return createStringError("LLVM has no code generator for this machine");
  return machine;
}

} // namespace peer
