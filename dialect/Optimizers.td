//===- Optimizers.td - what a training step does with gradients ----------===//
//
// A new optimizer is a definition here, its syntax and answers in
// Optimizers.cpp, and its step in lowering/emit/OptimizerStep.cpp.
//
//===----------------------------------------------------------------------===//

#ifndef PEER_OPTIMIZERS_TD
#define PEER_OPTIMIZERS_TD

include "dialect/AttrBase.td"

/// All have the fields `learning_rate`, `clip_norm` and `lazy`, which answer the interface.
class Peer_Optimizer<string name, string mnem>
    : Peer_Attr<name, mnem, [DeclareAttrInterfaceMethods<Peer_OptimizerAttrInterface, ["getStateNames"]>]> {
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
  }];
  let parameters = (ins "::mlir::FloatAttr":$learningRate, "::mlir::FloatAttr":$beta1,
                        "::mlir::FloatAttr":$beta2, "::mlir::FloatAttr":$epsilon,
                        "::mlir::FloatAttr":$weightDecay, "::mlir::FloatAttr":$clipNorm,
                        "bool":$lazy);
}

def Peer_SGDAttr : Peer_Optimizer<"SGD", "sgd"> {
  let summary = "stochastic gradient descent with momentum and decoupled weight decay";
  let description = [{
    `#peer.sgd<learning_rate = 1.0e-2, momentum = 0.0, weight_decay = 0.0, clip_norm = 0.0,
    lazy = false>`. No state is kept when momentum is 0.
  }];
  let parameters = (ins "::mlir::FloatAttr":$learningRate, "::mlir::FloatAttr":$momentum,
                        "::mlir::FloatAttr":$weightDecay, "::mlir::FloatAttr":$clipNorm,
                        "bool":$lazy);
}

def Peer_OptimizerAttr : Peer_AnyOf<Peer_OptimizerAttrInterface, "an optimizer: #peer.adamw or #peer.sgd">;

#endif // PEER_OPTIMIZERS_TD
