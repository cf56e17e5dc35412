//===- ObjectCode.h - LLVM dialect to a shared object --------------------===//

#ifndef PEER_LOWERING_HOST_OBJECTCODE_H
#define PEER_LOWERING_HOST_OBJECTCODE_H

#include "Cpu.h"
#include "lowering/EntrySignature.h"

#include "mlir/IR/BuiltinOps.h"
#include "llvm/IR/Module.h"

namespace peer {

/// On a function of LLVM's: it calls kernels, as an entry does, for blocks of a model.
inline constexpr llvm::StringLiteral kBlockCodeAttr = "peer-block";

/// How long to work on code: kernels deserve all that LLVM can do; host code that launches a GPU's kernels is a straight
/// line, thousands of calls long, which the full pipelines take many seconds over and gain nothing.
enum class Effort { Full, Quick };

/// Translates a module in the LLVM dialect, adds one `void SYMBOL(void **)` per
/// entry (runtime/README.md, "Calling convention"), makes all else internal, and
/// optimizes it for the target.
llvm::Expected<std::unique_ptr<llvm::Module>> buildLLVMModule(mlir::ModuleOp module, llvm::LLVMContext &context,
                                                              llvm::ArrayRef<EntrySignature> entries,
                                                              const CpuTarget &target, Effort effort);

/// Data as the exported symbols `name` (the bytes) and `name_size` (how many, 64 bits).
llvm::Expected<std::unique_ptr<llvm::Module>> buildDataModule(llvm::LLVMContext &context, llvm::StringRef name,
                                                              llvm::StringRef bytes, const CpuTarget &target);

/// The module as LLVM's text.
std::string textOf(const llvm::Module &module);

/// Assembly text or an object file, in memory.
llvm::Expected<llvm::SmallString<0>> generateCode(llvm::Module &module, const CpuTarget &target, Effort effort,
                                                  bool assembly);

/// Links objects into a shared object, in memory.
llvm::Expected<std::string> linkSharedObject(llvm::ArrayRef<llvm::StringRef> objects);

} // namespace peer

#endif // PEER_LOWERING_HOST_OBJECTCODE_H
