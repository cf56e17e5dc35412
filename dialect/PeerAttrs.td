//===- PeerAttrs.td - attributes of the peer dialect ---------------------===//

#ifndef PEER_ATTRS_TD
#define PEER_ATTRS_TD

include "dialect/Optimizers.td"
include "dialect/Policies.td"
include "mlir/IR/EnumAttr.td"

class Peer_Enum<string name, string summary, list<I32EnumAttrCase> cases>
    : I32EnumAttr<name, summary, cases> {
  let cppNamespace = "::peer";
  let genSpecializedAttr = 0;
}

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
  I32EnumAttrCase<"Relu", 2, "relu">,
  I32EnumAttrCase<"Sigmoid", 3, "sigmoid">,
  I32EnumAttrCase<"Tanh", 4, "tanh">
]>;
def Peer_ActivationAttr : EnumAttr<Peer_Dialect, Peer_ActivationEnum, "activation_kind">;

def Peer_ReduceEnum : Peer_Enum<"ReduceKind", "what becomes of several elements", [
  I32EnumAttrCase<"Sum", 0, "sum">,
  I32EnumAttrCase<"Mean", 1, "mean">,
  I32EnumAttrCase<"Max", 2, "max">
]>;
def Peer_ReduceAttr : EnumAttr<Peer_Dialect, Peer_ReduceEnum, "reduce_kind">;

def Peer_PriorityEnum : Peer_Enum<"Priority", "which selections of an expert a capacity keeps", [
  I32EnumAttrCase<"Token", 0, "token">,
  I32EnumAttrCase<"Rank", 1, "rank">,
  I32EnumAttrCase<"Probability", 2, "probability">
]>;
def Peer_PriorityAttr : EnumAttr<Peer_Dialect, Peer_PriorityEnum, "priority">;

def Peer_InitEnum : Peer_Enum<"InitKind", "distribution of a parameter's first values", [
  I32EnumAttrCase<"Normal", 0, "normal">,
  I32EnumAttrCase<"Uniform", 1, "uniform">,
  I32EnumAttrCase<"Constant", 2, "constant">
]>;

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
    `trainable` is false for running statistics, quantized rows and what is
    `frozen`, which nothing moves.
  }];
  let parameters = (ins "::mlir::StringAttr":$name, "InitAttr":$init,
                        "::mlir::StringAttr":$group, "bool":$trainable,
                        DefaultValuedParameter<"bool", "false">:$frozen);
  let assemblyFormat = "`<` $name `,` $init `,` $group `,` $trainable (`,` `frozen` `=` $frozen^)? `>`";
}

#endif // PEER_ATTRS_TD
