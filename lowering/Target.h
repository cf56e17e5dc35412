//===- Target.h - what is compiled for -----------------------------------===//
//
// The compiler, its pipelines and the manifest ask a target; none of them knows which one it is.
//
//===----------------------------------------------------------------------===//

#ifndef PEER_LOWERING_TARGET_H
#define PEER_LOWERING_TARGET_H

#include "lowering/EntrySignature.h"
#include "lowering/emit/MixForm.h"
#include "passes/Tile.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/JSON.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace peer {

/// What a person may want of code, whatever it is for.
struct TargetOptions {
  /// Plain scalar loops instead of fast code (the differential oracle).
  bool plainLoops = false;
  /// How ops that mix walk their pairs.
  MixForm mix = MixForm::Auto;
  /// Code for reading: what would become assembly in the course of the pipelines stays LLVM IR.
  bool keepIR = false;
  /// The program that makes machine code out of a device's assembly: a path; empty: where it usually is, if anywhere; `none`.
  std::string assembler;
  /// Takes what a person should know though the code is good.
  std::function<void(const llvm::Twine &)> warn = [](const llvm::Twine &) {};
};

/// What a launch of a device's kernel takes, as its assembler says.
struct KernelResources {
  std::string name;
  /// Of a thread.
  int64_t registers = 0;
  /// Of a block, in bytes; what is asked for at the launch is not in it.
  int64_t shared = 0;
  /// Of a thread, in bytes of the device's memory: arrays and spilled registers.
  int64_t local = 0;
};

class Target {
public:
  virtual ~Target() = default;

  /// As a person names it.
  virtual std::string name() const = 0;

  /// Graph level: takes apart what the target wants in parts before ops are cut into tiles.
  virtual void prepareTiling(mlir::OpPassManager &pm) const = 0;
  /// Tiled level: takes apart what it wants in parts inside a tile.
  virtual void prepareBuffers(mlir::OpPassManager &pm) const = 0;
  /// How ops are cut into tiles.
  virtual TileSizeModel tileSizes() const = 0;
  /// Kernel functions in buffer form and the entries that call them to the kernel level, marks included.
  virtual void buildKernelPipeline(mlir::OpPassManager &pm) const = 0;
  /// Kernel level to the LLVM dialect; a device's code is in a `gpu.binary` then.
  virtual void buildLLVMPipeline(mlir::OpPassManager &pm) const = 0;

  /// Whether its emitters ask for tuning parameters.
  virtual bool isTunable() const { return false; }

  /// The manifest's `target` (runtime/README.md): the device that runs it and what that must have.
  virtual llvm::json::Object describe() const = 0;

  // Of a module in the LLVM dialect:
  /// Optimized LLVM IR, of the kernels where they are apart from the entries.
  virtual llvm::Expected<std::string> printIR(mlir::ModuleOp module, llvm::ArrayRef<EntrySignature> entries) const = 0;
  /// Assembly, likewise.
  virtual llvm::Expected<std::string> printAssembly(mlir::ModuleOp module,
                                                    llvm::ArrayRef<EntrySignature> entries) const = 0;
  /// Object files for the machine that loads the artifact; one exports the entries.
  virtual llvm::Expected<llvm::SmallVector<llvm::SmallString<0>>>
  generateObjects(mlir::ModuleOp module, llvm::ArrayRef<EntrySignature> entries) const = 0;
  /// What kernels take of a device; none where that is not known.
  virtual llvm::Expected<std::vector<KernelResources>> measure(mlir::ModuleOp) const {
    return std::vector<KernelResources>();
  }
};

/// Targets whose names have one form.
struct TargetFamily {
  /// The form, as help and errors say it: `cpu (this machine), cpu:NAME, such as cpu:x86-64-v3`.
  llvm::StringRef names;
  bool (*takes)(llvm::StringRef name);
  /// Fails with a sentence on a name of the form that is no target.
  llvm::Expected<std::unique_ptr<Target>> (*create)(llvm::StringRef name, const TargetOptions &options);
};

/// All there are, in the order in which they are asked.
llvm::ArrayRef<TargetFamily> getTargetFamilies();

/// The target of this name. Fails with a sentence that lists the families.
llvm::Expected<std::unique_ptr<Target>> createTarget(llvm::StringRef name, const TargetOptions &options = {});

/// One target, or of `cpu:A+B+...` one for each version of the code, in this order. Of names that need the same of a CPU the first is left, with
/// a warning: no machine would take the others.
llvm::Expected<std::vector<std::unique_ptr<Target>>> createTargets(llvm::StringRef name, const TargetOptions &options);

} // namespace peer

#endif // PEER_LOWERING_TARGET_H
