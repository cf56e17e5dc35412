//===- Explain.h - which emitter takes an op, and why not a faster one ---===//

#ifndef PEER_LOWERING_EXPLAIN_H
#define PEER_LOWERING_EXPLAIN_H

#include "lowering/Target.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include <map>

namespace peer {

/// Collects what a compilation decides: it listens to remarks (passes/Remarks.h) and reads the marks of kernels. One for one module; it must live as long as the context that it listens to is used.
class Explanation {
public:
  /// Listens to the remarks of this context from now on.
  mlir::LogicalResult listen(mlir::MLIRContext &context);
  /// Notes the kernels of each entry: of a module whose kernels are functions in buffer form.
  void noteKernels(mlir::ModuleOp module, llvm::ArrayRef<EntrySignature> entries);
  void noteResources(std::vector<KernelResources> measured) { resources = std::move(measured); }

  /// A table for people.
  std::string text(llvm::StringRef model, const Target &target) const;
  /// The same for programs: lowering/README.md, "Explanations".
  std::string json(llvm::StringRef model, const Target &target) const;

  /// An op of a kernel: who lowered it, in order, and who did not take it for what reason.
  struct Op {
    std::string name, place;
    std::vector<std::string> emitters;
    std::vector<std::pair<std::string, std::string>> passedOver;
    /// Emitters of which there was a choice, and why it fell on them.
    std::vector<std::pair<std::string, std::string>> chosen;
  };
  /// An op that became several.
  struct TakenApart {
    std::string name, place, into, reason;
    bool operator==(const TakenApart &) const = default;
  };
  /// A kernel of an entry.
  struct Kernel {
    std::string name, place;
    /// The functions it became; equal kernels share them.
    std::vector<std::string> functions;
    std::vector<std::pair<std::string, int64_t>> tiles;
    int64_t bytes[2], flops[2]; // constant, per token
    int64_t calls = 1;
    /// What its first op is a part of.
    std::vector<TakenApart> takenApart;
  };
  struct Entry {
    std::string name;
    std::vector<Kernel> kernels;
  };

private:
  friend class RemarkCollector;
  void noteOps(mlir::func::FuncOp function);
  void noteKernels(Entry &entry, mlir::ModuleOp module, const EntrySignature &signature, mlir::func::FuncOp caller);
  void noteTakenApart(Kernel &kernel, llvm::StringRef entry, llvm::StringRef function);
  const std::vector<Op> &opsOf(llvm::StringRef function) const;
  std::vector<KernelResources> resourcesOf(llvm::StringRef function) const;

  std::vector<Entry> entries;
  std::map<std::string, std::vector<Op>, std::less<>> ops;                // by kernel function
  std::map<std::string, std::vector<TakenApart>, std::less<>> takenApart; // by the entry's function
  std::vector<KernelResources> resources;
};

} // namespace peer

#endif // PEER_LOWERING_EXPLAIN_H
