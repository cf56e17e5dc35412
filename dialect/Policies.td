//===- Policies.td - which experts a row of scores selects ---------------===//
//
// A new policy is a definition here, its answers in Policies.cpp, and an
// emitter in lowering/plain/Select.cpp. Fast emitters leave to that what they
// do not know.
//
//===----------------------------------------------------------------------===//

#ifndef PEER_POLICIES_TD
#define PEER_POLICIES_TD

include "dialect/AttrBase.td"

/// `usage` is how it is written, for messages.
class Peer_Policy<string name, string mnem, string usage, list<string> answers>
    : Peer_Attr<name # "Policy", mnem, [DeclareAttrInterfaceMethods<Peer_SelectPolicyAttrInterface, answers>]> {
  let extraClassDeclaration = "static constexpr ::llvm::StringLiteral kUsage = \"" # usage # "\";";
}

def Peer_TopKPolicy : Peer_Policy<"TopK", "topk", "topk<k>",
    ["getNumSelected", "selectsLargest", "reject"]> {
  let summary = "the k largest scores, best first";
  let parameters = (ins "int64_t":$k);
  let hasCustomAssemblyFormat = 1;
}

def Peer_ProductTopKPolicy : Peer_Policy<"ProductTopK", "product_topk", "product_topk<k>",
    ["getHalves", "getNumSelected", "selectsLargest", "reject"]> {
  let summary = "the k largest sums of a score of either half, best first (PKM, arXiv 1907.05242)";
  let parameters = (ins "int64_t":$k);
  let hasCustomAssemblyFormat = 1;
}

def Peer_AllPolicy : Peer_Policy<"All", "all", "all", ["getNumSelected", "selectsAll"]> {
  let summary = "every expert, in order of its index";
}

def Peer_TopPPolicy : Peer_Policy<"TopP", "top_p", "top_p<p, max = m>",
    ["getNumSelected", "hasVaryingCounts", "wantsThreshold", "reject", "rejectNumbers"]> {
  let summary = "the best of a row, while the softmax over all of it gave less than p to those before (XMoE, arXiv 2403.18926)";
  let parameters = (ins OptionalParameter<"::mlir::FloatAttr">:$p, "int64_t":$max);
  let hasCustomAssemblyFormat = 1;
}

def Peer_ThresholdPolicy : Peer_Policy<"Threshold", "threshold", "threshold<t, max = m>",
    ["getNumSelected", "hasVaryingCounts", "wantsThreshold", "reject", "rejectNumbers"]> {
  let summary = "the best max scores, or sigmoids of them, of those above a threshold (DSMoE, arXiv 2502.12455)";
  let parameters = (ins OptionalParameter<"::mlir::FloatAttr">:$threshold, "bool":$sigmoid, "int64_t":$max);
  let hasCustomAssemblyFormat = 1;
}

def Peer_ExpertChoicePolicy : Peer_Policy<"ExpertChoice", "expert_choice", "expert_choice<factor>",
    ["getNumSelected", "choosesTokens", "reject", "rejectNumbers"]> {
  let summary = "each expert its best ceil(factor * T / n) tokens (Zhou et al., arXiv 2202.09368)";
  let parameters = (ins "::mlir::FloatAttr":$factor);
  let hasCustomAssemblyFormat = 1;
}

def Peer_PolicyAttr : Peer_AnyOf<Peer_SelectPolicyAttrInterface, "a select policy">;

#endif // PEER_POLICIES_TD
