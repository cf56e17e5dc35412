//===- Ptxas.h - PTX to machine code, where NVIDIA's assembler is --------===//

#ifndef PEER_LOWERING_NVIDIA_PTXAS_H
#define PEER_LOWERING_NVIDIA_PTXAS_H

#include "lowering/Target.h"
#include "lowering/host/TemporaryFile.h"

#include "llvm/Support/Program.h"

#include <memory>

namespace peer {

/// The path of ptxas: in $CUDA_PATH, $CUDA_HOME, PATH or the toolkit's usual place; empty if it is nowhere.
std::string findPtxas();

/// ptxas at work, while this process does something else.
class Ptxas {
public:
  /// Starts the program at `path` on PTX for an architecture.
  static llvm::Expected<std::unique_ptr<Ptxas>> start(llvm::StringRef path, llvm::StringRef ptx, llvm::StringRef arch);
  ~Ptxas();
  Ptxas(const Ptxas &) = delete;
  Ptxas &operator=(const Ptxas &) = delete;

  /// Waits for it: the cubin, or what it complains about in one line.
  llvm::Expected<std::string> finish();
  /// What its kernels take, once it is done.
  llvm::Expected<std::vector<KernelResources>> resources();

private:
  Ptxas() = default;
  TemporaryFile ptx, cubin, log;
  llvm::sys::ProcessInfo process;
};

} // namespace peer

#endif // PEER_LOWERING_NVIDIA_PTXAS_H
