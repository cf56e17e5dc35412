//===- LayerBuilder.h - the ops of a routed layer -------------------------===//

#ifndef PEER_PASSES_CONVERSION_LAYERBUILDER_H
#define PEER_PASSES_CONVERSION_LAYERBUILDER_H

#include "dialect/PeerOps.h"

#include "mlir/IR/Builders.h"

namespace peer {

/// Writes the ops of a layer of experts as a person would, all of f32.
class LayerBuilder {
public:
  /// Before `op`; parameters get names below `prefix`.
  LayerBuilder(mlir::Operation *op, llvm::StringRef prefix) : builder(op), loc(op->getLoc()), prefix(prefix) {}

  mlir::Value normal(llvm::StringRef name, llvm::ArrayRef<int64_t> shape, double std,
                     llvm::StringRef group = "default");
  mlir::Value linear(mlir::Value x, mlir::Value weight);
  /// `T x W` as `T x shape`.
  mlir::Value reshape(mlir::Value x, llvm::ArrayRef<int64_t> shape);
  mlir::Value score(mlir::Value query, mlir::Value keys);
  /// Indices and scores.
  std::pair<mlir::Value, mlir::Value> select(mlir::Value scores, mlir::Attribute policy);
  /// A router with a row for each expert, the parameter "router": indices and scores of the best k.
  std::pair<mlir::Value, mlir::Value> route(mlir::Value x, int64_t experts, int64_t k, double std);
  mlir::Value gate(mlir::Value val, GateKind kind);
  mlir::Value mix(mlir::Value x, mlir::Value idx, mlir::Value weights, mlir::Value pool, Activation activation,
                  int64_t rows);
  mlir::Value add(mlir::Value a, mlir::Value b);

  /// The local name of a parameter: the prefix, a dot and this.
  std::string nameOf(llvm::StringRef name) const;

private:
  mlir::Value param(llvm::StringRef name, llvm::ArrayRef<int64_t> shape, InitAttr init, llvm::StringRef group);
  mlir::OpBuilder builder;
  mlir::Location loc;
  std::string prefix;
};

} // namespace peer

#endif // PEER_PASSES_CONVERSION_LAYERBUILDER_H
