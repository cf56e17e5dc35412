//===- PeerAttrs.td - attributes of the peer dialect ---------------------===//

#ifndef PEER_ATTRS_TD
#define PEER_ATTRS_TD

include "dialect/PeerDialect.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"

class Peer_Enum<string name, string summary, list<I32EnumAttrCase> cases>
    : I32EnumAttr<name, summary, cases> {
  let cppNamespace = "::peer";
  let genSpecializedAttr = 0;
}

def Peer_PolicyEnum : Peer_Enum<"SelectPolicy", "which experts a score row selects", [
  I32EnumAttrCase<"TopK", 0, "topk">,
  I32EnumAttrCase<"ProductTopK", 1, "product_topk">,
  I32EnumAttrCase<"TopP", 2, "top_p">,
  I32EnumAttrCase<"Threshold", 3, "threshold">,
  I32EnumAttrCase<"All", 4, "all">
]>;
def Peer_PolicyAttr : EnumAttr<Peer_Dialect, Peer_PolicyEnum, "policy">;

def Peer_GateEnum : Peer_Enum<"GateKind", "how selected scores become weights", [
  I32EnumAttrCase<"Softmax", 0, "softmax">,
  I32EnumAttrCase<"Probability", 1, "probability">,
  I32EnumAttrCase<"Sigmoid", 2, "sigmoid">,
  I32EnumAttrCase<"Relu", 3, "relu">,
  I32EnumAttrCase<"One", 4, "one">
]>;
def Peer_GateAttr : EnumAttr<Peer_Dialect, Peer_GateEnum, "gate_kind">;

def Peer_ActivationEnum : Peer_Enum<"Activation", "an expert's nonlinearity; GELU is the exact one, with erf", [
  I32EnumAttrCase<"Gelu", 0, "gelu">,
  I32EnumAttrCase<"Silu", 1, "silu">,
  I32EnumAttrCase<"Relu", 2, "relu">
]>;
def Peer_ActivationAttr : EnumAttr<Peer_Dialect, Peer_ActivationEnum, "activation_kind">;

def Peer_InitEnum : Peer_Enum<"InitKind", "distribution of a parameter's first values", [
  I32EnumAttrCase<"Normal", 0, "normal">,
  I32EnumAttrCase<"Uniform", 1, "uniform">,
  I32EnumAttrCase<"Constant", 2, "constant">
]>;

class Peer_Attr<string name, string mnem> : AttrDef<Peer_Dialect, name> {
  let mnemonic = mnem;
}

def Peer_InitAttr : Peer_Attr<"Init", "init"> {
  let summary = "a parameter's initialiser";
  let description = [{
    `normal(std)`: mean 0; `uniform(low, high)`; `constant(value)`, with `zeros`
    and `ones` as short forms.
  }];
  let parameters = (ins "InitKind":$kind, "::mlir::FloatAttr":$a, "::mlir::FloatAttr":$b);
  let hasCustomAssemblyFormat = 1;
}

def Peer_ParameterAttr : Peer_Attr<"Parameter", "parameter"> {
  let summary = "what a function argument that stands for a parameter is";
  let description = [{
    Set by `--peer-inline-modules` on the arguments that parameters become.
    `trainable` is false for running statistics.
  }];
  let parameters = (ins "::mlir::StringAttr":$name, "InitAttr":$init,
                        "::mlir::StringAttr":$group, "bool":$trainable);
  let assemblyFormat = "`<` $name `,` $init `,` $group `,` $trainable `>`";
}

def Peer_AdamWAttr : Peer_Attr<"AdamW", "adamw"> {
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
  let hasCustomAssemblyFormat = 1;
}

def Peer_SGDAttr : Peer_Attr<"SGD", "sgd"> {
  let summary = "stochastic gradient descent with momentum and decoupled weight decay";
  let description = [{
    `#peer.sgd<learning_rate = 1.0e-2, momentum = 0.0, weight_decay = 0.0, clip_norm = 0.0,
    lazy = false>`. No state is kept when momentum is 0.
  }];
  let parameters = (ins "::mlir::FloatAttr":$learningRate, "::mlir::FloatAttr":$momentum,
                        "::mlir::FloatAttr":$weightDecay, "::mlir::FloatAttr":$clipNorm,
                        "bool":$lazy);
  let hasCustomAssemblyFormat = 1;
}

def Peer_OptimizerAttr : AnyAttrOf<[Peer_AdamWAttr, Peer_SGDAttr],
    "an optimizer: #peer.adamw or #peer.sgd">;

#endif // PEER_ATTRS_TD
