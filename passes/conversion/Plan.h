//===- Plan.h - how weights follow from those of before -------------------===//

#ifndef PEER_PASSES_CONVERSION_PLAN_H
#define PEER_PASSES_CONVERSION_PLAN_H

#include "mlir/IR/Location.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/LogicalResult.h"

namespace peer {

/// An expression of tensors: what README.md lists, as nested arrays that begin with a word.
namespace weights {
using Expression = llvm::json::Value;
Expression tensor(llvm::StringRef name);
/// What the new description says that the parameter begins with.
Expression initial();
Expression zeros(llvm::ArrayRef<int64_t> shape);
/// A tensor that the weights half of the pass finds.
Expression decided(llvm::StringRef name);
/// Slices by their numbers, which the weights half finds.
Expression gather(Expression of, int64_t axis, llvm::StringRef numbers);
/// Sums of slices, by a matrix of the weights half with a row for each sum.
Expression combine(Expression of, int64_t axis, llvm::StringRef shares);
/// Each slice `times` times, one after the other.
Expression repeat(Expression of, int64_t axis, int64_t times);
/// The first of every `count` slices, which must be equal.
Expression first(Expression of, int64_t axis, int64_t count);
Expression slice(Expression of, int64_t axis, int64_t from, int64_t size);
Expression concat(int64_t axis, llvm::ArrayRef<Expression> parts);
Expression scale(Expression of, double by);
Expression reshape(Expression of, llvm::ArrayRef<int64_t> shape);
Expression transpose(Expression of, llvm::ArrayRef<int64_t> order);
/// A tensor as `format`, whole numbers of 8 or 4 bits or "fp8", each vector of its last dimension by its scale, or each `group` elements by theirs (0: the vector); two elements
/// a byte with 4. And those scales.
Expression quantize(Expression of, Expression format, int64_t group);
Expression scales(Expression of, Expression format, int64_t group);
} // namespace weights

/// What a pass says of the weights. Parameters that it does not name stay as they are.
class Plan {
public:
  explicit Plan(llvm::StringRef pass) : pass(pass) {}

  /// What a parameter of the new description is. Fails, at `loc`, where it was said to be something else.
  llvm::LogicalResult set(llvm::StringRef name, weights::Expression value, mlir::Location loc);
  /// A layer that was converted, for the report: its name and numbers.
  void addLayer(llvm::json::Object layer) { layers.push_back(std::move(layer)); }
  bool hasLayers() const { return !layers.empty(); }

  /// Writes it as JSON; an empty path is nowhere.
  llvm::LogicalResult write(llvm::StringRef path, mlir::Location loc) const;

private:
  std::string pass;
  llvm::json::Object tensors;
  llvm::json::Array layers;
};

} // namespace peer

#endif // PEER_PASSES_CONVERSION_PLAN_H
