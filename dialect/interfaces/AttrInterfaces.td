//===- AttrInterfaces.td - what policies and optimizers answer -----------===//

#ifndef PEER_ATTR_INTERFACES_TD
#define PEER_ATTR_INTERFACES_TD

include "mlir/IR/Interfaces.td"

let cppNamespace = "::peer" in {

def Peer_SelectPolicyAttrInterface : AttrInterface<"SelectPolicyAttrInterface"> {
  let description = [{
    Which experts a row of scores selects. In an op a policy is written without its dialect: `topk<16>`.
  }];
  let methods = [
    InterfaceMethod<"Its name in descriptions.", "::llvm::StringRef", "getPolicyName", (ins), [{}],
      [{ return ConcreteAttr::getMnemonic(); }]>,
    InterfaceMethod<"2 where experts are the pairs of a grid, a key for each half of the query; else 1.",
      "int64_t", "getHalves", (ins), [{}], [{ return 1; }]>,
    InterfaceMethod<"Experts that a head selects, or the most of them, given n keys per half.",
      "int64_t", "getNumSelected", (ins "int64_t":$n)>,
    InterfaceMethod<[{
      Whether it selects the largest scores, or sums of two where there are two halves, best first: what fast kernels do.
      }], "bool", "selectsLargest", (ins), [{}], [{ return false; }]>,
    InterfaceMethod<"Whether it selects all experts, in order of their index: its results are copies.",
      "bool", "selectsAll", (ins), [{}], [{ return false; }]>,
    InterfaceMethod<[{
      Whether a head may keep fewer of the largest scores, best first: the slots behind them are empty, with index -1 and score -inf.
      }],
      "bool", "hasVaryingCounts", (ins), [{}], [{ return false; }]>,
    InterfaceMethod<[{
      Whether experts choose tokens: what a token gets depends on all tokens. Slot e of a token is expert e, or empty.
      }], "bool", "choosesTokens", (ins), [{}], [{ return false; }]>,
    InterfaceMethod<"Whether its number is no part of it, but an operand of the select.",
      "bool", "wantsThreshold", (ins), [{}], [{ return false; }]>,
    InterfaceMethod<"Why it cannot select among n keys per half; empty where it can.",
      "std::string", "reject", (ins "int64_t":$n), [{}], [{ return ""; }]>,
    InterfaceMethod<"Why its numbers make no sense, among however many keys; empty where they do.",
      "std::string", "rejectNumbers", (ins), [{}], [{ return ""; }]>
  ];
  let extraSharedClassDeclaration = [{
    /// Whether experts are the pairs of a grid of keys.
    bool isGrid() const { return $_attr.getHalves() == 2; }
    /// Whether a slot may be empty: index -1, score -inf.
    bool hasEmptySlots() const { return $_attr.hasVaryingCounts() || $_attr.choosesTokens(); }
    /// Experts that are selected among, given n keys per half. No index is an i32 beyond 2^31.
    int64_t getNumExperts(int64_t n) const {
      n = std::min(n, int64_t(1) << 31);
      return isGrid() ? n * n : n;
    }
  }];
}

def Peer_OptimizerAttrInterface : AttrInterface<"OptimizerAttrInterface"> {
  let description = [{
    What an optimizer makes of a gradient. How its step is computed is in lowering/emit/OptimizerStep.cpp.
  }];
  let methods = [
    InterfaceMethod<"Its name in manifests.", "::llvm::StringRef", "getOptimizerName", (ins), [{}],
      [{ return ConcreteAttr::getMnemonic(); }]>,
    InterfaceMethod<"The states it keeps of a parameter of this shape, in the order of the ops' operands.",
      "::llvm::SmallVector<::peer::OptimizerState>", "getStates", (ins "::llvm::ArrayRef<int64_t>":$shape)>,
    InterfaceMethod<"The default of the run-time value.", "::mlir::FloatAttr", "getLearningRate">,
    InterfaceMethod<"The bound of a group's gradient norm; 0 where there is none.", "::mlir::FloatAttr", "getClipNorm">,
    InterfaceMethod<"Whether it updates only the rows that a token selected.", "bool", "getLazy">,
    InterfaceMethod<"How its learning rate moves in a run: a name of format::schedule, or null where the run says it.",
      "::mlir::StringAttr", "getSchedule">,
    InterfaceMethod<"Whether what is kept in bf16, parameter or state, is rounded to the nearest, not by chance.", "bool", "getNearest">
  ];
}

} // cppNamespace

#endif // PEER_ATTR_INTERFACES_TD
