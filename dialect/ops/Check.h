//===- Check.h - numbered constraints of ops -----------------------------===//

#ifndef PEER_DIALECT_OPS_CHECK_H
#define PEER_DIALECT_OPS_CHECK_H

#include "dialect/PeerOps.h"

namespace peer {

/// Constraint numbers under which a shape check reports: wrong rank, wrong
/// element type, dimensions that disagree.
struct ConstraintNumbers {
  int rank, element, dims;
  ConstraintNumbers(int all) : rank(all), element(all), dims(all) {}
  ConstraintNumbers(int rank, int element, int dims) : rank(rank), element(element), dims(dims) {}
};

/// Element types a check accepts.
enum class Elements { F32, F32OrBF16, F32OrF64, I32, I8, I8OrFP8 };

/// Checks operands of one op against shapes like "T H K". A letter is bound by
/// its first use and must agree afterwards; only T and R may be dynamic; a
/// number stands for itself. Every message begins with the constraint's number.
class Check {
public:
  Check(std::optional<mlir::Location> loc, llvm::StringRef op) : loc(loc), op(op) {}

  mlir::LogicalResult shape(ConstraintNumbers c, llvm::StringRef name, mlir::Value value, llvm::StringRef pattern,
                            Elements elements);
  /// Emits "'peer.op' op C<c>: <message>".
  mlir::LogicalResult fail(int c, const llvm::Twine &message);
  /// Fails with constraint c unless `condition`.
  mlir::LogicalResult require(int c, bool condition, const llvm::Twine &message) {
    return condition ? mlir::success() : fail(c, message);
  }
  /// C<c> of ops that work sequence by sequence: `context` is at least 1 and divides T.
  mlir::LogicalResult context(int c, int64_t context);
  /// What is added before a division or a root must not be 0 there, on targets that flush subnormal numbers either.
  mlir::LogicalResult epsilon(int c, const llvm::APFloat &value);
  /// Size bound to a letter.
  int64_t operator[](char letter) const { return sizes.lookup(letter); }
  /// Shape with a letter's sizes, e.g. types("T D").
  mlir::RankedTensorType tensor(llvm::StringRef pattern, mlir::Type element) const;
  /// Binds a letter that no operand names.
  void bind(char letter, int64_t size) { sizes[letter] = size; }

private:
  std::optional<mlir::Location> loc;
  llvm::StringRef op;
  llvm::DenseMap<char, int64_t> sizes;
};

/// Result types of an op, and C0, which all graph ops share: `computed` in value form, those of tensor `outs` where
/// given, none in buffer form. The last `tied` results have no destination of their own.
mlir::LogicalResult finishInference(Check &check, mlir::ValueRange operands, mlir::ValueRange outs,
                                    llvm::ArrayRef<mlir::Type> computed, llvm::SmallVectorImpl<mlir::Type> &types,
                                    unsigned tied = 0);
/// The part of C0 that ops without destinations share: operands are all tensors or all buffers.
mlir::LogicalResult checkForm(Check &check, mlir::ValueRange operands);

/// The tensor type of a tensor or buffer.
mlir::RankedTensorType asTensor(mlir::Type type);

/// Size of dimension `i` of a tensor or buffer.
inline int64_t dimOf(mlir::Value value, unsigned i) {
  return mlir::cast<mlir::ShapedType>(value.getType()).getDimSize(i);
}
/// The product of static sizes, or the largest number if that is more.
int64_t productOf(llvm::ArrayRef<int64_t> sizes);
/// Elements of all dimensions but the first, which are static.
inline int64_t restOf(mlir::ShapedType type) { return productOf(type.getShape().drop_front()); }

} // namespace peer

/// Opens the definition of an op's type inference, which checks its constraints. The names in it are the body's:
/// context, loc, a (the adaptor) and types.
#define PEER_INFER(OP)                                                                                                 \
  llvm::LogicalResult OP::inferReturnTypes(mlir::MLIRContext *context, std::optional<mlir::Location> loc, Adaptor a,   \
                                           llvm::SmallVectorImpl<mlir::Type> &types)

#endif // PEER_DIALECT_OPS_CHECK_H
