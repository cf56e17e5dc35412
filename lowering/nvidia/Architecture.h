//===- Architecture.h - the GPU to compile for ---------------------------===//

#ifndef PEER_LOWERING_NVIDIA_ARCHITECTURE_H
#define PEER_LOWERING_NVIDIA_ARCHITECTURE_H

#include "lowering/gpu/GpuInfo.h"

#include "llvm/Support/Error.h"

#include <string>

namespace peer {

/// An NVIDIA GPU architecture.
struct GpuTarget {
  std::string arch;     // sm_90
  std::string features; // for LLVM: +ptx86
  int64_t capability;   // 90
  GpuInfo info;
};

/// Resolves sm_80, sm_90, sm_90a, sm_100, ...: what LLVM knows from sm_80 (bf16 tensor cores) on.
llvm::Expected<GpuTarget> resolveGpuTarget(llvm::StringRef arch);

} // namespace peer

#endif // PEER_LOWERING_NVIDIA_ARCHITECTURE_H
