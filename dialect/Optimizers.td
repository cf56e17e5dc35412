//===- Optimizers.td - what a training step does with gradients ----------===//
//
// A new optimizer is a definition here, its syntax and answers in
// Optimizers.cpp, and its step in lowering/emit/OptimizerStep.cpp.
//
//===----------------------------------------------------------------------===//

#ifndef PEER_OPTIMIZERS_TD
#define PEER_OPTIMIZERS_TD

include "dialect/AttrBase.td"

/// All have the fields `learning_rate`, `clip_norm`, `schedule` and `rounding`, which answer the interface.
class Peer_Optimizer<string name, string mnem>
    : Peer_Attr<name, mnem, [DeclareAttrInterfaceMethods<Peer_OptimizerAttrInterface, ["getStates"]>]> {
  let hasCustomAssemblyFormat = 1;
}

def Peer_AdamWAttr : Peer_Optimizer<"AdamW", "adamw"> {
  let summary = "AdamW (Loshchilov and Hutter, arXiv 1711.05101)";
  let description = [{
    `#peer.adamw<learning_rate = 1.0e-3, beta1 = 0.9, beta2 = 0.95, epsilon = 1.0e-8, weight_decay = 0.0,
    clip_norm = 0.0, lazy = false>`; these are the defaults. The learning rate
    is only the default of a run-time value. `clip_norm` bounds the group's
    global gradient norm; 0 turns it off. `epsilon` is above 0, as f32 has it. `lazy` updates only the rows that a
    token selected in this step: other rows, and their moments, do not move.

    All optimizers: `schedule` says how the learning rate moves in a run, `constant`, `linear` or `cosine`; without it the run
    does. `rounding = nearest` rounds what is kept in bf16 to the nearest number, which loses small steps; `stochastic` is the default.

    Those with moments of elements: `states = bf16` keeps these in bf16 (`f32` is the default); what is kept of rows stays f32.
    No `m` is kept when `beta1` is 0, nor by sgd a momentum of 0.
  }];
  let parameters = (ins "::mlir::FloatAttr":$learningRate, "::mlir::FloatAttr":$beta1,
                        "::mlir::FloatAttr":$beta2, "::mlir::FloatAttr":$epsilon,
                        "::mlir::FloatAttr":$weightDecay, "::mlir::FloatAttr":$clipNorm,
                        "bool":$lazy, "::mlir::StringAttr":$schedule, "bool":$nearest, "bool":$narrow);
}

def Peer_SGDAttr : Peer_Optimizer<"SGD", "sgd"> {
  let summary = "stochastic gradient descent with momentum and decoupled weight decay";
  let description = [{
    `#peer.sgd<learning_rate = 1.0e-2, momentum = 0.0, weight_decay = 0.0, clip_norm = 0.0,
    lazy = false>`. No state is kept when momentum is 0.
  }];
  let parameters = (ins "::mlir::FloatAttr":$learningRate, "::mlir::FloatAttr":$momentum,
                        "::mlir::FloatAttr":$weightDecay, "::mlir::FloatAttr":$clipNorm,
                        "bool":$lazy, "::mlir::StringAttr":$schedule, "bool":$nearest, "bool":$narrow);
}

def Peer_RowwiseAdagradAttr : Peer_Optimizer<"RowwiseAdagrad", "rowwise_adagrad"> {
  let summary = "Adagrad with one accumulator per row, as for embedding tables (FBGEMM's exact row-wise Adagrad)";
  let description = [{
    `#peer.rowwise_adagrad<learning_rate = 1.0e-2, epsilon = 1.0e-8, weight_decay = 0.0, clip_norm = 0.0, lazy = false>`.
    A row is what the first index of a parameter picks; its one state is the sum over the steps of the mean square of its gradient.
  }];
  let parameters = (ins "::mlir::FloatAttr":$learningRate, "::mlir::FloatAttr":$epsilon,
                        "::mlir::FloatAttr":$weightDecay, "::mlir::FloatAttr":$clipNorm,
                        "bool":$lazy, "::mlir::StringAttr":$schedule, "bool":$nearest);
}

def Peer_RowwiseAdamAttr : Peer_Optimizer<"RowwiseAdam", "rowwise_adam"> {
  let summary = "AdamW with one second moment per row: half of its state";
  let description = [{
    `#peer.rowwise_adam<learning_rate = 1.0e-3, beta1 = 0.9, beta2 = 0.95, epsilon = 1.0e-8, weight_decay = 0.0,
    clip_norm = 0.0, lazy = false>`. A row is what the first index of a parameter picks; its second moment is that of the mean square
    of its gradient. Weight decay is decoupled, as in adamw.
  }];
  let parameters = (ins "::mlir::FloatAttr":$learningRate, "::mlir::FloatAttr":$beta1,
                        "::mlir::FloatAttr":$beta2, "::mlir::FloatAttr":$epsilon,
                        "::mlir::FloatAttr":$weightDecay, "::mlir::FloatAttr":$clipNorm,
                        "bool":$lazy, "::mlir::StringAttr":$schedule, "bool":$nearest, "bool":$narrow);
}

def Peer_AdafactorAttr : Peer_Optimizer<"Adafactor", "adafactor"> {
  let summary = "Adafactor (Shazeer and Stern, arXiv 1804.04235) with a learning rate that is not relative";
  let description = [{
    `#peer.adafactor<learning_rate = 1.0e-3, decay_rate = 0.8, epsilon = 1.0e-30, clip_threshold = 1.0, weight_decay = 0.0,
    clip_norm = 0.0>`. The second moment of a matrix is the product of its means over rows and over columns; of more dimensions the last
    one is the columns. Vectors keep a full one. `clip_threshold` bounds the root mean square of a parameter's update before the
    learning rate. Every row takes part in the columns' means, so there is no lazy step.
  }];
  let parameters = (ins "::mlir::FloatAttr":$learningRate, "::mlir::FloatAttr":$decayRate,
                        "::mlir::FloatAttr":$epsilon, "::mlir::FloatAttr":$clipThreshold,
                        "::mlir::FloatAttr":$weightDecay, "::mlir::FloatAttr":$clipNorm,
                        "::mlir::StringAttr":$schedule, "bool":$nearest);
}

def Peer_OptimizerAttr : Peer_AnyOf<Peer_OptimizerAttrInterface,
    "an optimizer: #peer.adamw, #peer.sgd, #peer.rowwise_adagrad, #peer.rowwise_adam or #peer.adafactor">;

#endif // PEER_OPTIMIZERS_TD
