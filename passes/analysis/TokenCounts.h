//===- TokenCounts.h - how many rows values have, per token ---*- C++ -*-===//

#ifndef PEER_PASSES_ANALYSIS_TOKENCOUNTS_H
#define PEER_PASSES_ANALYSIS_TOKENCOUNTS_H

#include "dialect/PeerOps.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include <optional>

namespace peer {

/// A number of rows: T * times / parts, a fraction in lowest terms, or `times` where it does not depend on T.
struct RowCount {
  int64_t times = 1, parts = 1;
  bool perToken = true;

  bool operator==(const RowCount &other) const = default;
  std::string text() const;
};

/// How many rows the values of an entry have. Types cannot tell, as all of them say `?`.
class TokenCounts {
public:
  explicit TokenCounts(mlir::func::FuncOp entry);

  /// Of a value's first dimension; nothing where it is not known.
  std::optional<RowCount> rowsOf(mlir::Value value) const { return sizesOf(value).front(); }
  /// The first op at which rows do not fit: one operand has others than the other, or nobody knows how many there are, so
  /// that compiled code would read beyond the shorter one. Reports it.
  mlir::LogicalResult check() const;
  /// T must be a multiple of it, for sequences and for rows that are joined.
  int64_t multipleOf() const { return multiple; }
  /// The most tokens for which rows and indices can be numbered in 32 bits, as kernels do; 0 where one token has more.
  int64_t mostTokens() const { return most; }

private:
  struct Fault {
    mlir::Operation *op;
    std::string what;
    /// An op that makes other rows than one per token and has to do with it, or null.
    mlir::Operation *origin;
  };
  struct Loops;

  /// Of each dimension; nothing where it is not known.
  using Sizes = llvm::SmallVector<std::optional<RowCount>>;

  void visit(mlir::Operation &op);
  void visitGraphOp(GraphOpInterface op);
  void visitLinalgOp(mlir::linalg::LinalgOp op);
  void visitSlice(mlir::tensor::ExtractSliceOp op);
  void visitInsert(mlir::tensor::InsertSliceOp op);
  void visitElementwise(mlir::Operation &op);
  /// How often a loop of an op runs, and an operand that says so.
  struct Trips {
    std::optional<RowCount> count;
    mlir::Value operand;
  };
  /// Whether a loop that walks another operand of `count` rows runs as often as it did; fails the op if not.
  bool runs(mlir::Operation &op, Trips &loop, RowCount count, mlir::Value operand);
  Sizes sizesOf(mlir::Value value) const;
  void set(mlir::Value value, llvm::ArrayRef<std::optional<RowCount>> sizes, mlir::Operation *origin);
  RowCount scale(mlir::Operation &op, RowCount rows, int64_t by, int64_t over);
  void fail(mlir::Operation &op, const llvm::Twine &what, mlir::Value culprit = {});
  void limit(mlir::Value value);

  llvm::DenseMap<mlir::Value, Sizes> sizes;
  /// Sizes that were asked for.
  llvm::DenseMap<mlir::Value, RowCount> indices;
  llvm::DenseMap<mlir::Value, mlir::Operation *> origins;
  std::optional<Fault> fault;
  int64_t multiple = 1, most = std::numeric_limits<int32_t>::max();
};

} // namespace peer

#endif // PEER_PASSES_ANALYSIS_TOKENCOUNTS_H
