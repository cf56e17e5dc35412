//===- Cpu.h - CPUs that code is generated for ---------------------------===//

#ifndef PEER_LOWERING_HOST_CPU_H
#define PEER_LOWERING_HOST_CPU_H

#include "mlir/Support/LLVM.h"
#include "llvm/Support/Error.h"
#include "llvm/Target/TargetMachine.h"

#include <memory>
#include <string>
#include <vector>

namespace peer {

/// A CPU by LLVM's name and features.
struct CpuTarget {
  std::string cpu;
  /// LLVM feature string, "+avx2,-avx512f,...".
  std::string features;
  /// Instruction sets that generated code may use, by LLVM's names, sorted.
  std::vector<std::string> required;
  /// Registers of tiles, and products of bf16 in them, which generated code uses where a process is allowed to.
  bool tiles = false;
  /// An instruction for its widest vectors that sums four products of integers of 8 bits.
  bool dots = false;

  /// f32 lanes of the widest vector register: 16, 8 or 4.
  int64_t vectorWidth() const;
  /// Whether its widest vectors have fused products and sums, of f32 and of pairs of 16-bit integers.
  bool sumsPairs() const;
};

/// `name` is an LLVM CPU name such as `x86-64-v3` or `znver4`; empty or `native`
/// means this machine. Fails with a sentence that names the unknown CPU.
llvm::Expected<CpuTarget> resolveCpuTarget(llvm::StringRef name);

llvm::Expected<std::unique_ptr<llvm::TargetMachine>> createTargetMachine(const CpuTarget &target);

} // namespace peer

#endif // PEER_LOWERING_HOST_CPU_H
