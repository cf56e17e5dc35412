//===- DenseLayer.h - feed-forward layers of linear ops ------------------===//

#ifndef PEER_PASSES_CONVERSION_DENSELAYER_H
#define PEER_PASSES_CONVERSION_DENSELAYER_H

#include "ParameterNames.h"
#include "Plan.h"

namespace peer {

/// `act(x . up) . down`, or `(act(x . gate) * (x . up)) . down`, whose weights are parameters of the block that they stand in and serve
/// nothing else: one expert with a row for each hidden unit.
struct DenseLayer {
  LinearOp gate, up, down; // `gate` is null without one
  Activation activation;

  mlir::Value x() const { return LinearOp(up).getX(); }
  mlir::Value y() const { return LinearOp(down).getY(); }
  int64_t width() const;
  int64_t hidden() const;
  /// Vectors of a row: 2, or 3 with a gate.
  int64_t vectors() const { return gate ? 3 : 2; }
  /// The parameters, in the order of a row's vectors.
  llvm::SmallVector<ParamOp> params() const;
  /// The dimension of a parameter that is of hidden units: columns of what leads to them, rows of what leads away.
  int64_t hiddenAxis(ParamOp param) const;
  /// All values between, tokens x hidden.
  llvm::SmallVector<mlir::Value> hiddenValues() const;
  /// What the names of all of them begin with, as "ffw" of "ffw.up.weight"; empty where there is no such thing.
  std::string localName() const;

  /// The pool of hidden units, `hidden x vectors x width`. `full` are the names of params().
  weights::Expression rows(llvm::ArrayRef<std::string> full) const;
};

/// A layer at one place of a model: a block may be used at several.
struct DenseInstance {
  std::string outer;                     // what calls put before the names of the block
  llvm::SmallVector<std::string> params; // full names of the layer's parameters
};
llvm::SmallVector<DenseInstance> instancesOf(const DenseLayer &layer, const ParameterNames &names);

/// The layer that ends with an op, if one does.
std::optional<DenseLayer> matchDenseLayer(LinearOp down);

/// The dense layers of a description, or those of them that the names of `layers` mean. Fails where a block describes some that are meant and
/// others that are not, and where there are none.
mlir::FailureOr<llvm::SmallVector<DenseLayer>> findDenseLayers(mlir::ModuleOp module, const ParameterNames &names,
                                                               llvm::ArrayRef<std::string> layers);

/// Fails where products of a layer are rounded to bf16: those of the experts that would take its place are of f32.
mlir::LogicalResult checkBecomesExperts(const DenseLayer &layer);

/// Says that a model has no dense layer, of these names.
mlir::LogicalResult failWithoutDenseLayer(mlir::ModuleOp module, llvm::ArrayRef<std::string> layers);

/// Converts each of the dense layers that are meant, and writes the plan. Fails where one cannot be converted.
mlir::LogicalResult
convertDenseLayers(mlir::ModuleOp module, llvm::ArrayRef<std::string> layers, llvm::StringRef pass,
                   llvm::StringRef planPath,
                   llvm::function_ref<mlir::LogicalResult(const DenseLayer &, const ParameterNames &, Plan &)> convert);

/// Plans a parameter that a converted layer adds. Fails where the model has one of this name.
mlir::LogicalResult planNew(Plan &plan, const ParameterNames &names, const DenseLayer &layer, llvm::StringRef parameter,
                            weights::Expression value);

/// Erases the ops of a layer whose result is no longer used, and its parameters.
void eraseLayer(const DenseLayer &layer);

} // namespace peer

#endif // PEER_PASSES_CONVERSION_DENSELAYER_H
