//===- TrainingStep.h - what training steps are built of -------*- C++ -*-===//
//
// A step is two things, one after the other: the loss with its gradients, and what optimizers do with those. An entry
// of kind `train` has both; entries of the kinds `accumulate` and `update` have one each, so that gradients can be
// summed over several calls of the first.
//
//===----------------------------------------------------------------------===//

#ifndef PEER_PASSES_TRAINING_TRAININGSTEP_H
#define PEER_PASSES_TRAINING_TRAININGSTEP_H

#include "passes/Entries.h"
#include "passes/gradient/RowGradients.h"

#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/MapVector.h"

#include <vector>

namespace peer {

/// A trainable parameter that the loss depends on.
struct Member {
  unsigned index; ///< of the loss's argument
  mlir::BlockArgument argument;
  llvm::StringRef name;
  mlir::Value gradient;
  /// In place of the gradient, where the update is lazy.
  RowGradient rows;
  llvm::SmallVector<mlir::BlockArgument> states;
  /// The parameter, then its states, after the step.
  llvm::SmallVector<mlir::Value> updated;
};

/// Parameters that share an optimizer, a learning rate and a gradient norm.
struct Group {
  llvm::StringRef name;
  OptimizerAttrInterface optimizer;
  std::vector<Member> members;
  mlir::BlockArgument learningRate;
  mlir::Value norm;  ///< null where it is not computed
  mlir::Value bound; ///< where the norm is not: finite if the gradients are
  mlir::Value scale; ///< of the gradients: clips them, and vetoes the step where it is NaN
};

/// A parameter that is no gradient's to move: a running statistic, which a batch norm moves by `momentum` towards the batch's, means
/// and variances in turn; or a bias that balances experts, which moves by `momentum` away from the sign of what the batch's load is
/// above an even one.
struct Statistic {
  unsigned index; ///< of the loss's argument
  mlir::BlockArgument argument;
  mlir::Value batch;
  double momentum;
  mlir::Location loc;
  bool isLoad = false; ///< `batch` is a load
};

/// Builds an entry that is a training step, or a part of one.
class StepBuilder {
public:
  StepBuilder(TrainOp request, mlir::func::FuncOp loss, llvm::StringRef name, llvm::StringRef kind)
      : request(request), loss(loss), entry(request, name, kind, loss.getName()), builder(entry.builder) {}

  /// The default group first, the others in the order of their first parameter.
  llvm::LogicalResult findGroups();

  // Loss and gradients (TrainingLoss.cpp).

  /// The loss in training mode: batch norms use the batch's statistics, and dropouts drop.
  llvm::LogicalResult copyLoss();
  /// The gradients of all trainable parameters; groups without any are dropped. `seed` is the gradient of the loss. Where
  /// `warns`, a parameter that no gradient reaches is told of.
  llvm::LogicalResult findGradients(mlir::Value seed, bool warns);

  // Clipping and updates (TrainingStep.cpp).

  /// Adds optimizer states, learning rates and the number of the step.
  void addOptimizerArguments();
  /// Norms, clipping, updates of parameters and statistics. Nothing changes where loss or gradients are not finite.
  void buildUpdates();
  /// Adds the results of buildUpdates().
  void addUpdateResults();

  mlir::Value splat(double value) {
    return mlir::arith::ConstantOp::create(builder, request.getLoc(),
                                           mlir::DenseElementsAttr::get(scalarType(), builder.getF32FloatAttr(value)));
  }
  mlir::RankedTensorType scalarType() { return mlir::RankedTensorType::get({}, builder.getF32Type()); }
  mlir::ArrayAttr describeGroups();

  TrainOp request;
  mlir::func::FuncOp loss;
  EntryBuilder entry;
  mlir::OpBuilder &builder;
  /// Of the loss's values.
  mlir::IRMapping mapping;
  mlir::Value value; ///< the loss
  std::vector<Group> groups;
  llvm::SmallVector<Statistic> statistics;

private:
  void trainDropout(DropoutOp dropout);
  llvm::LogicalResult trainBatchNorm(BatchNormOp norm);
  llvm::LogicalResult addStatistic(BatchNormOp norm, mlir::Value source, mlir::Value batch);
  llvm::LogicalResult addBias(BalanceBiasOp bias, const llvm::DenseSet<mlir::Operation *> &needed);
  llvm::LogicalResult findRows(Group &group, Member &member);
  llvm::SmallVector<int64_t> countRows(Member &member, llvm::ArrayRef<RowGradOpInterface> ops);
  void clip(Group &group);
  void veto();
  void moveStatistics();
  mlir::Value emitExcess(Statistic &statistic);
  void update(Group &group, Member &member);

  /// Running statistics by argument of the step, and what they become.
  llvm::MapVector<mlir::Value, mlir::Value> running;
  /// 0, or NaN where loss or gradients are not finite.
  mlir::Value vetoed;
  mlir::BlockArgument step;
  /// Of the bits of chance; null where nothing is dropped.
  mlir::BlockArgument seed;
  int64_t dropouts = 0; ///< so far
};

/// Builds the step that `request` asks for, and says what groups of parameters it has.
mlir::FailureOr<mlir::ArrayAttr> buildTrainingStep(TrainOp request, mlir::func::FuncOp loss);

/// Builds the same step in two entries, NAME_accumulate and NAME_update (AccumulateGradients.cpp).
llvm::LogicalResult buildAccumulation(TrainOp request, mlir::func::FuncOp loss);

} // namespace peer

#endif // PEER_PASSES_TRAINING_TRAININGSTEP_H
