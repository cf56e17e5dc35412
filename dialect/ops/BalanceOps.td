//===- BalanceOps.td - what keeps the use of experts even ----------------===//
//
// Letters as in RoutingOps.td.
//
//===----------------------------------------------------------------------===//

#ifndef PEER_BALANCE_OPS_TD
#define PEER_BALANCE_OPS_TD

include "dialect/ops/PeerOpBase.td"

//===----------------------------------------------------------------------===//
// Losses
//===----------------------------------------------------------------------===//

def Peer_ExpertLoadOp : Peer_DifferentiableOp<"expert_load",
    (ins Peer_Shaped:$idx, I64Attr:$keys, DefaultValuedAttr<I64Attr, "1">:$halves, UnitAttr:$first),
    (outs "P x n f32":$load)> {
  let summary = "the share of the selections that each expert, or each key of a half, has";
  let description = [{
    `load[p,j] = share of the pairs (t,h,k) whose expert has key j in half p`, `P x n` f32: key `idx` of one half, keys `idx / n` and
    `idx mod n` of two. With `first` the pairs are those of k = 0, each head's best (XMoE, arXiv 2403.18926). Each half adds up to 1. Slots
    that are empty (-1) are no pairs; where there is no pair all shares are 0. A count is an integer: no gradient passes, and
    the shares are the same on every run.

    - C1: idx is `T x H x K` i32; H and K are static.
    - C2: there is at least 1 key, and 1 or 2 halves; the experts that they number fit in i32.

    ```mlir
    %f = peer.expert_load %idx keys 64 : tensor<?x1x8xi32>
    %g = peer.expert_load %idx first keys 1024 halves 2 : tensor<?x8x16xi32>
    ```
  }];
  let assemblyFormat = [{
    $idx (`first` $first^)? `keys` $keys (`halves` $halves^)? (`outs` `(` $outs^ `:` type($outs) `)`)? attr-dict `:` type($idx)
  }];
  let extraClassDeclaration = [{
    ::llvm::StringRef describeMixing() { return "counts what all tokens select"; }
  }];
}

def Peer_BalanceLossOp : Peer_DifferentiableOp<"balance_loss",
    (ins Peer_Shaped:$logits, Peer_Shaped:$load),
    (outs "T f32":$loss)> {
  let summary = "each token's part of the loss that balances experts";
  let description = [{
    `loss[t] = n / (H * P) * sum over h, p, j of load[p,j] * softmax(logits[t,h,p,:])_j`. With the load of the same tokens
    (`expert_load`), its mean over tokens is Switch's `E * sum over e of f_e * p_e` (arXiv 2101.03961, equation 4), whose gradient
    goes through the probabilities alone: 1 where either is even. Heads choose among the same experts, so both are means over heads.

    Product keys are balanced half by half, and the loss is the mean of both halves': a sum over all n * n pairs would need their counts and
    probabilities, and keys that are used evenly are what experts used evenly presuppose. A NaN logit counts as -inf; a
    row of nothing but -inf adds nothing.

    - C1: logits are `T x H x P x n` f32, load is `P x n` f32; only T may be dynamic.
    - C2: P is 1 or 2, H and n are at least 1.

    ```mlir
    %f = peer.expert_load %idx keys 64 : tensor<?x1x8xi32>
    %l = peer.balance_loss %s, %f : tensor<?x1x1x64xf32>, tensor<1x64xf32>
    %b = peer.mean %l : tensor<?xf32>
    ```
  }];
  let assemblyFormat = [{
    $logits `,` $load (`outs` `(` $outs^ `:` type($outs) `)`)? attr-dict `:` type($logits) `,` type($load)
  }];
}

def Peer_BalanceLossGradOp : Peer_GraphOp<"balance_loss_grad",
    (ins Peer_Shaped:$logits, Peer_Shaped:$load, Peer_Shaped:$dloss),
    (outs "T x H x P x n f32":$dlogits)> {
  let summary = "gradient of the logits";
  let description = [{
    `dlogits[t,h,p,j] = dloss[t] * n / (H * P) * s_j * (load[p,j] - sum over i of load[p,i] * s_i)`, s the softmax of the row.

    - C1: logits are `T x H x P x n` f32, load `P x n` f32, dloss `T` f32; only T may be dynamic.
    - C2: P is 1 or 2, H and n are at least 1.
  }];
  let assemblyFormat = [{
    $logits `,` $load `,` $dloss (`outs` `(` $outs^ `:` type($outs) `)`)? attr-dict
    `:` type($logits) `,` type($load) `,` type($dloss)
  }];
}

def Peer_ZLossOp : Peer_DifferentiableOp<"z_loss", (ins Peer_Shaped:$logits), (outs "T f32":$loss)> {
  let summary = "each token's part of the loss that keeps logits small";
  let description = [{
    `loss[t] = 1 / H * sum over h of (sum over p of lse_p)^2` with `lse_p = log sum over j of exp(logits[t,h,p,j])`: the square of the log
    of the softmax's denominator over all n experts (ST-MoE, arXiv 2202.08906, equation 5), or over all n * n of product keys, which takes
    two sums of n terms. Its mean over tokens is the router z-loss. A NaN logit counts as -inf; a row of nothing but -inf has the lse 0.

    - C1: logits are `T x H x P x n` f32; only T may be dynamic.
    - C2: P is 1 or 2, H and n are at least 1.

    ```mlir
    %l = peer.z_loss %s : tensor<?x1x1x64xf32>
    %z = peer.mean %l : tensor<?xf32>
    ```
  }];
  let assemblyFormat = "$logits (`outs` `(` $outs^ `:` type($outs) `)`)? attr-dict `:` type($logits)";
}

def Peer_ZLossGradOp : Peer_GraphOp<"z_loss_grad",
    (ins Peer_Shaped:$logits, Peer_Shaped:$dloss),
    (outs "T x H x P x n f32":$dlogits)> {
  let summary = "gradient of the logits";
  let description = [{
    `dlogits[t,h,p,j] = dloss[t] * 2 / H * (sum over q of lse_q) * softmax(logits[t,h,p,:])_j`.

    - C1: logits are `T x H x P x n` f32, dloss `T` f32; only T may be dynamic.
    - C2: P is 1 or 2, H and n are at least 1.
  }];
  let assemblyFormat = [{
    $logits `,` $dloss (`outs` `(` $outs^ `:` type($outs) `)`)? attr-dict `:` type($logits) `,` type($dloss)
  }];
}

//===----------------------------------------------------------------------===//
// Balance without a loss
//===----------------------------------------------------------------------===//

def Peer_BalanceBiasOp : Peer_DifferentiableOp<"balance_bias",
    (ins Peer_Shaped:$logits, Peer_Shaped:$bias, DefaultValuedAttr<Peer_F32Attr, "1.0e-3f">:$rate),
    (outs "T x H x P x n f32":$biased)> {
  let summary = "logits to select by: with a bias for each expert that training moves by its use";
  let description = [{
    `biased[t,h,p,j] = logits[t,h,p,j] + bias[p,j]`, for a `select` and nothing else: weights are made of the logits themselves
    (`gather`), so the bias decides which experts are taken and not what they count for (loss-free balancing, arXiv 2408.15664; DeepSeek-V3,
    arXiv 2412.19437, section 2.1.2). The bias is a parameter marked `buffer`. `--peer-add-optimizer` moves it at the end of each step by
    `bias[p,j] += rate * sign(1 / n - load[p,j])`, load being that of the step's selections (`expert_load`), half by half for product keys; a step
    that is vetoed moves nothing. No gradient passes: reading the biased scores for anything that has one is refused.

    - C1: logits are `T x H x P x n` f32, the bias is `P x n` f32; only T may be dynamic.
    - C2: P is 1 or 2, n at least 1.
    - C3: the rate is at least 0 and finite.

    ```mlir
    %c = peer.param "router.bias" zeros buffer : tensor<1x64xf32>
    %b = peer.balance_bias %s, %c {rate = 1.0e-3 : f32} : tensor<?x1x1x64xf32>, tensor<1x64xf32>
    %idx, %biased = peer.select %b topk<6> : tensor<?x1x1x64xf32>
    %val = peer.gather %s, %idx : tensor<?x1x1x64xf32>, tensor<?x1x6xi32>
    ```
  }];
  let assemblyFormat = [{
    $logits `,` $bias (`outs` `(` $outs^ `:` type($outs) `)`)? attr-dict `:` type($logits) `,` type($bias)
  }];
  let extraClassDeclaration = [{
    bool hasLargeResults() { return true; }
  }];
}

def Peer_GatherOp : Peer_DifferentiableOp<"gather",
    (ins Peer_Shaped:$logits, Peer_Shaped:$idx),
    (outs "T x H x K f32":$val)> {
  let summary = "the scores of given experts";
  let description = [{
    `val[t,h,k]`: what `select` would return as the score of expert `idx[t,h,k]`: `logits[t,h,0,idx]`, or for product keys
    `logits[t,h,0,idx / n] + logits[t,h,1,idx mod n]`. An index of -1 has the score -inf, a NaN logit counts as -inf. For experts that were selected by
    other scores than those that weigh them. The gradient of the logits is that of a select with these indices.

    - C1: logits are `T x H x P x n` f32, idx `T x H x K` i32; only T may be dynamic.
    - C2: P is 1 or 2, n at least 1, and the experts fit in i32.

    ```mlir
    %val = peer.gather %s, %idx : tensor<?x1x1x64xf32>, tensor<?x1x6xi32>
    ```
  }];
  let assemblyFormat = [{
    $logits `,` $idx (`outs` `(` $outs^ `:` type($outs) `)`)? attr-dict `:` type($logits) `,` type($idx)
  }];
}

//===----------------------------------------------------------------------===//
// Capacity
//===----------------------------------------------------------------------===//

def Peer_CapacityOp : Peer_DifferentiableOp<"capacity",
    (ins Peer_Shaped:$idx, Peer_Shaped:$weights, I64Attr:$experts, F64Attr:$factor,
         DefaultValuedAttr<I64Attr, "1">:$least, Peer_PriorityAttr:$priority),
    (outs "T x H x K i32":$kept, "T x H x K f32":$kept_weights)> {
  let summary = "selections without those beyond an expert's capacity";
  let description = [{
    Each expert keeps the first `C = max(least, ceil(factor * T / experts))` of the pairs (t,h,k) that selected it, in an order of
    priority; the others become empty slots, with index -1 and weight 0 (GShard, arXiv 2006.16668; Switch, arXiv 2101.03961, section
    2.2). The capacity is computed in f64, in the order in which it is written. Orders:
    - `token`: by t, then h, then k (Switch).
    - `rank`: by k, then by larger weight, then by t and h (XMoE, arXiv 2403.18926).
    - `probability`: by larger weight, then by t, h, k (batch priority, V-MoE, arXiv 2106.05974).

    Weights that are NaN come last. Empty slots stay empty and take no room. The weights that are kept pass their gradient on. What a token keeps
    depends on the other tokens of the call: decoding is refused.

    - C1: idx is `T x H x K` i32, weights `T x H x K` f32; H and K are static.
    - C2: there is at least 1 expert, and expert numbers fit in i32.
    - C3: the factor is at least 0 and finite, `least` is at least 0 and fits in i32.

    ```mlir
    %i, %w = peer.capacity %idx, %weights experts 64 factor 1.25 least 4 by rank : tensor<?x1x32xi32>, tensor<?x1x32xf32>
    ```
  }];
  let assemblyFormat = [{
    $idx `,` $weights `experts` $experts `factor` custom<Factor>($factor) (`least` $least^)? `by` custom<Keyword>($priority)
    (`outs` `(` $outs^ `:` type($outs) `)`)? attr-dict `:` type($idx) `,` type($weights)
  }];
  let extraClassDeclaration = [{
    ::llvm::StringRef describeMixing() { return "drops what is selected beyond a capacity that all tokens share"; }
  }];
}

#endif // PEER_BALANCE_OPS_TD
