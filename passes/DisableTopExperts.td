//===- DisableTopExperts.td - one pass that is a test of models ----------===//

#ifndef PEER_DISABLE_TOP_EXPERTS_TD
#define PEER_DISABLE_TOP_EXPERTS_TD

include "mlir/Pass/PassBase.td"

def DisableTopExperts : Pass<"peer-disable-top-experts", "::mlir::ModuleOp"> {
  let summary = "let inference select as if each token's best experts were not there";
  let description = [{
    CartesianMoE's test of robustness (arXiv 2410.16077): in entries of kind `forward`, `loss`, `prefill` and `decode` each head of each token goes without
    its `count` best experts, at each selection, and those behind take their place. Training stays as it is. Scores of the best become -inf before
    the policy sees them: `top_p` counts the mass of the others, as if they were all; `all` and policies of varying counts leave places empty where too few are
    left. Of product keys more are ranked, and the first left out. Gates see what is selected: `softmax` is over the others, `peer.probability`
    stays the probability among all experts, those disabled included.

    Refused are selections that cannot do without as many, `expert_choice`, experts that are not found by scores (`peer.hash`), and modules
    that select none.

    ```mlir
    %i, %v = peer.select %s product_topk<16> : tensor<?x8x2x1024xf32>
    ```
    becomes
    ```mlir
    %i0, %v0 = peer.select %s product_topk<17> : tensor<?x8x2x1024xf32>
    %i = tensor.extract_slice %i0[0, 0, 1] [%T, 8, 16] [1, 1, 1] : tensor<?x8x17xi32> to tensor<?x8x16xi32>
    %v = tensor.extract_slice %v0[0, 0, 1] [%T, 8, 16] [1, 1, 1] : tensor<?x8x17xf32> to tensor<?x8x16xf32>
    ```
  }];
  let options = [Option<"count", "count", "int64_t", "1", "how many of the best, 1 at least">];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::linalg::LinalgDialect", "::mlir::tensor::TensorDialect"];
}

#endif // PEER_DISABLE_TOP_EXPERTS_TD
