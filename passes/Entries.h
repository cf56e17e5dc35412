//===- Entries.h - entries and the attributes that describe them ---------===//
//
// An entry is a function that the artifact exports. Its arguments and results
// carry names and roles (dialect/PeerDialect.h lists the attributes, README.md
// says what they mean); the artifact's manifest is written from them alone.
//
//===----------------------------------------------------------------------===//

#ifndef PEER_PASSES_ENTRIES_H
#define PEER_PASSES_ENTRIES_H

#include "artifact/format.h"
#include "dialect/PeerOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

#include <optional>

namespace peer {

/// Values of `peer.role` and `peer.kind`: the manifest's.
namespace role = format::role;
namespace kind = format::kind;

/// Builds one entry: its arguments, then its body through `builder`, then its
/// results. An entry that is not finished is erased again.
class EntryBuilder {
public:
  /// Starts an entry before `before`, at module level. `of` is the function it is
  /// derived from, or empty.
  EntryBuilder(mlir::Operation *before, llvm::StringRef name, llvm::StringRef kind, llvm::StringRef of);
  ~EntryBuilder();
  EntryBuilder(const EntryBuilder &) = delete;
  EntryBuilder &operator=(const EntryBuilder &) = delete;

  /// Adds an argument; `parameter` is null but for the role `parameter`.
  mlir::BlockArgument addArgument(mlir::Type type, mlir::Location loc, llvm::StringRef name, llvm::StringRef role,
                                  ParameterAttr parameter = {});
  /// Adds an argument with the type and all attributes of `function`'s argument
  /// `index`, and a name and a role where it has none; `type` overrides its type
  /// where it is not null.
  mlir::BlockArgument addArgumentLike(mlir::func::FuncOp function, unsigned index, mlir::Type type = {});
  /// Adds a result; `updates` is the argument it replaces in place.
  void addResult(mlir::Value value, llvm::StringRef name, std::optional<mlir::BlockArgument> updates = std::nullopt);
  /// Adds return, signature and attributes; reports names that are used twice.
  mlir::FailureOr<mlir::func::FuncOp> finish();

  /// Inserts at the end of the body.
  mlir::OpBuilder builder;

private:
  mlir::func::FuncOp function;
  mlir::Block *body;
  llvm::SmallVector<mlir::Attribute> argumentAttrs, resultAttrs;
  llvm::SmallVector<mlir::Value> results;
  bool finished = false;
};

/// Prefix and name joined by a dot; an empty one adds nothing.
std::string joinNames(llvm::StringRef prefix, llvm::StringRef name);

/// Sets what follows from a function's body: the range of integer inputs, the
/// granularity of its token dimension, and which arguments may be written.
void describeEntry(mlir::func::FuncOp function);

/// The parameter an argument stands for, or null.
ParameterAttr getParameter(mlir::func::FuncOp function, unsigned argument);
/// The `peer.role` of an argument; empty without one.
llvm::StringRef getRole(mlir::func::FuncOp function, unsigned argument);
/// The `peer.name` of an argument or result; empty without one.
llvm::StringRef getArgumentName(mlir::func::FuncOp function, unsigned argument);
llvm::StringRef getResultName(mlir::func::FuncOp function, unsigned result);

/// The ops of a block that these of its values need.
llvm::DenseSet<mlir::Operation *> findNeededOps(mlir::Block &block, mlir::ValueRange values);

/// Erases the others: what a block computes for other callers must not stand in the way of what is derived from a
/// function.
void eraseDeadOps(mlir::Block &block, mlir::ValueRange values);

/// Checks that entries which keep a tensor of one name between calls, a cache or a histogram, agree on what it is.
llvm::LogicalResult checkKeptTensors(mlir::ModuleOp module);

/// The function a request names, without dead ops. It must have one block;
/// `request` is blamed where it has not.
mlir::FailureOr<mlir::func::FuncOp> findRequestedFunction(mlir::Operation *request, mlir::FlatSymbolRefAttr name);

/// Erases a private function that nothing uses, such as one that only a request
/// named; says whether it did.
bool eraseIfUnused(mlir::func::FuncOp function);
/// Erases all such functions, those that only erased ones used, too; of these alone, where `mayErase` is there.
void eraseUnused(mlir::ModuleOp module, llvm::function_ref<bool(mlir::func::FuncOp)> mayErase = nullptr);

} // namespace peer

#endif // PEER_PASSES_ENTRIES_H
