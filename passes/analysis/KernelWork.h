//===- KernelWork.h - bytes and operations of a kernel -------------------===//

#ifndef PEER_PASSES_ANALYSIS_KERNELWORK_H
#define PEER_PASSES_ANALYSIS_KERNELWORK_H

#include "dialect/PeerOps.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "llvm/ADT/DenseMap.h"

namespace peer {

/// A count that grows linearly with the number of tokens T.
struct TokenLinear {
  double constant = 0;
  double perToken = 0;

  TokenLinear &operator+=(TokenLinear other);
  TokenLinear operator*(double factor) const { return {constant * factor, perToken * factor}; }
  /// `[constant, per token]`, rounded, as `peer.mark` wants it.
  std::array<int64_t, 2> rounded() const;
};

/// What a kernel moves and computes, as benchmarks compare with the machine's limits.
struct KernelWork {
  TokenLinear bytes, flops;
};

/// Measures kernels of one block at graph level. Every dynamic dimension is a multiple of T; a dynamic dimension of a
/// block argument is T itself. The multiples are derived once, in textual order.
class WorkMeter {
public:
  explicit WorkMeter(mlir::Block &block);

  /// Work of `ops` as one kernel: what they read from outside, once, and what others use of their results.
  /// Values that never leave the kernel are not counted.
  /// A parameter that an op reads beside what was derived from it does not count: how much of it is read depends on values, and kernels
  /// count that where they run.
  KernelWork measure(llvm::ArrayRef<mlir::Operation *> ops) const;

  /// Elements of a parameter that one token uses, at most: all of them, or what ops gather for it where they read nothing else of it.
  double elementsPerToken(mlir::Value parameter) const;

private:
  TokenLinear size(mlir::Value value, unsigned dim) const;
  TokenLinear bytes(mlir::Value value) const;
  TokenLinear iterations(GraphOpInterface op) const;
  /// Elements, and bytes, that an op gathers from an input, if it does not read it whole. `op` may be null.
  std::optional<TokenLinear> gatheredElements(GraphOpInterface op, unsigned input) const;
  std::optional<TokenLinear> gatheredBytes(GraphOpInterface op, unsigned input) const;
  TokenLinear flops(mlir::Operation *op) const;
  double deriveMultiple(mlir::OpResult result) const;
  /// What a call reads of an argument that is derived from a parameter.
  TokenLinear derivedBytes(mlir::Value derived) const;
  bool readsDerived(mlir::Operation *op, mlir::Value parameter) const;

  /// Of the dynamic dimension of a tensor: how many times T.
  llvm::DenseMap<mlir::Value, double> multiples;
  /// Of an entry's argument that is derived from a parameter: the parameter.
  llvm::DenseMap<mlir::Value, mlir::Value> derivedFrom;
};

} // namespace peer

#endif // PEER_PASSES_ANALYSIS_KERNELWORK_H
