//===- RoutingGradOps.td - gradients of the routing ops ------------------===//
//
// Letters as in RoutingOps.td. Gradients: LAYERS, "PEER"; a = u.x, b = act(a).
//
//===----------------------------------------------------------------------===//

#ifndef PEER_ROUTING_GRAD_OPS_TD
#define PEER_ROUTING_GRAD_OPS_TD

include "dialect/ops/PeerOpBase.td"

def Peer_SelectGradOp : Peer_GraphOp<"select_grad",
    (ins Peer_Shaped:$idx, Peer_Shaped:$dval, Peer_PolicyAttr:$policy, I64Attr:$n),
    (outs "T x H x P x n f32":$dlogits)> {
  let summary = "gradient of the logits, dense";
  let description = [{
    `dlogits[t,h,p,:]`, `T x H x P x n` f32: zero but for the selected entries, which receive the sum of `dval` of the
    selections they take part in. `--peer-fuse` folds it into `route_query_grad` and `route_key_grad`, which never form it.

    - C1: idx is `T x H x K` i32 and dval `T x H x K` f32, H and K static.
    - C2: the policy's numbers are such as `select` takes.
    - C3: n is at least 1.
  }];
  let assemblyFormat = [{
    $idx `,` $dval custom<Policy>($policy) `n` $n (`outs` `(` $outs^ `:` type($outs) `)`)? attr-dict `:` type($idx) `,` type($dval)
  }];
}

def Peer_ScoreQueryGradOp : Peer_GraphOp<"score_query_grad",
    (ins Peer_Shaped:$dlogits, Peer_Shaped:$keys),
    (outs "T x H x P x d f32":$dquery)> {
  let summary = "dquery[t,h,p,:] = sum over j of dlogits[t,h,p,j] * keys[h,p,j,:]";
  let description = [{
    - C1: dlogits is `T x H x P x n` f32, keys `(H or 1) x P x n x d` f32 or bf16; only T may be dynamic.
  }];
  let assemblyFormat = [{
    $dlogits `,` $keys (`outs` `(` $outs^ `:` type($outs) `)`)? attr-dict `:` type($dlogits) `,` type($keys)
  }];
}

def Peer_ScoreKeyGradOp : Peer_GraphOp<"score_key_grad",
    (ins Peer_Shaped:$dlogits, Peer_Shaped:$query, UnitAttr:$shared),
    (outs "(H or 1) x P x n x d f32":$dkeys)> {
  let summary = "dkeys[h,p,j,:] = sum over t of dlogits[t,h,p,j] * query[t,h,p,:]";
  let description = [{
    With `shared` the sum runs over heads too and the head dimension of the result is 1.

    - C1: dlogits is `T x H x P x n` f32, query `T x H x P x d` f32 or bf16; only T may be dynamic.
  }];
  let assemblyFormat = [{
    $dlogits `,` $query (`shared` $shared^)? (`outs` `(` $outs^ `:` type($outs) `)`)? attr-dict
    `:` type($dlogits) `,` type($query)
  }];
}

def Peer_RouteQueryGradOp : Peer_GraphOp<"route_query_grad",
    (ins Peer_Shaped:$idx, Peer_Shaped:$dval, Peer_Shaped:$keys, Peer_PolicyAttr:$policy),
    (outs "T x H x P x d f32":$dquery)> {
  let summary = "gradient of the query through score and select, from the selected keys only";
  let description = [{
    `dquery[t,h,p,:] = sum over k of dval[t,h,k] * keys[h,p,i_p(idx[t,h,k]),:]`, with `i_0 = idx / n`, `i_1 = idx mod n`
    for product_topk and `i_0 = idx` for topk. An index of -1 adds nothing.

    - C1: idx is `T x H x K` i32, dval `T x H x K` f32, keys `(H or 1) x P x n x d` f32 or bf16; only T may be dynamic.
    - C2: as C2 and C4 of select; not the policy `all`.
  }];
  let assemblyFormat = [{
    $idx `,` $dval `,` $keys custom<Policy>($policy) (`outs` `(` $outs^ `:` type($outs) `)`)? attr-dict
    `:` type($idx) `,` type($dval) `,` type($keys)
  }];
  let extraClassDeclaration = [{
    int64_t getFlopsPerIteration();
    std::optional<int64_t> getGatheredElements(unsigned input);
  }];
}

def Peer_RouteKeyGradOp : Peer_GraphOp<"route_key_grad",
    (ins Peer_Shaped:$idx, Peer_Shaped:$dval, Peer_Shaped:$query, Peer_PolicyAttr:$policy,
         I64Attr:$n, UnitAttr:$shared),
    (outs "(H or 1) x P x n x d f32":$dkeys)> {
  let summary = "gradient of the keys through score and select";
  let description = [{
    `dkeys[h,p,j,:] = sum over t, k with i_p(idx[t,h,k]) = j of dval[t,h,k] * query[t,h,p,:]`, summed in the order of t then
    k, so the same on every run. `shared` as in `score_key_grad`.

    - C1: idx is `T x H x K` i32, dval `T x H x K` f32, query `T x H x P x d` f32 or bf16; only T may be dynamic.
    - C2: as C2 and C4 of select; not the policy `all`.
    - C3: n is at least 1.
  }];
  let assemblyFormat = [{
    $idx `,` $dval `,` $query custom<Policy>($policy) `n` $n (`shared` $shared^)? (`outs` `(` $outs^ `:` type($outs) `)`)? attr-dict
    `:` type($idx) `,` type($dval) `,` type($query)
  }];
  let extraClassDeclaration = [{
    int64_t getFlopsPerIteration();
  }];
}

def Peer_GateGradOp : Peer_GraphOp<"gate_grad",
    (ins Peer_Shaped:$val, Peer_Shaped:$weights, Peer_Shaped:$dweights, Peer_GateAttr:$kind),
    (outs "T x H x K f32":$dval)> {
  let summary = "gradient of the selected scores";
  let description = [{
    softmax `dval = w * (dw - sum over K of w * dw)`; sigmoid `dw * w * (1 - w)`; relu `dw` where val > 0; one: 0.

    - C1: val, weights and dweights are `T x H x K` f32, H and K static.
    - C2: the kind is softmax, sigmoid, relu or one.
  }];
  let assemblyFormat = [{
    $val `,` $weights `,` $dweights custom<Keyword>($kind) (`outs` `(` $outs^ `:` type($outs) `)`)? attr-dict
    `:` type($val) `,` type($weights) `,` type($dweights)
  }];
}

def Peer_ProbabilityGradOp : Peer_GraphOp<"probability_grad",
    (ins Peer_Shaped:$logits, Peer_Shaped:$weights, Peer_Shaped:$dweights),
    (outs "T x H x P x n f32":$dlogits)> {
  let summary = "gradient of the logits through the sums of a probability";
  let description = [{
    `dlogits[t,h,p,j] = -softmax(logits[t,h,p,:])_j * sum over k of w * dw`, `T x H x P x n` f32. What flows through the
    selected scores, `w * dw`, is beside it.

    - C1: logits are `T x H x P x n` f32, weights and dweights `T x H x K` f32; only T may be dynamic.
    - C2: P is 1 or 2, n at least 1.
  }];
  let assemblyFormat = [{
    $logits `,` $weights `,` $dweights (`outs` `(` $outs^ `:` type($outs) `)`)? attr-dict
    `:` type($logits) `,` type($weights) `,` type($dweights)
  }];
}

def Peer_MixGradOp : Peer_GraphOp<"mix_grad",
    (ins Peer_Shaped:$x, Peer_Shaped:$idx, Peer_Shaped:$weights, Peer_Shaped:$pool, Peer_Shaped:$dy,
         OptionalAttr<Peer_ActivationAttr>:$activation, DefaultValuedAttr<I64Attr, "1">:$rows_per_expert),
    (outs "T x D f32":$dx, "T x H x K f32":$dweights, "T x H x K x r x F f32":$coef),
    [Peer_MixLikeOpInterface]> {
  let summary = "the token pass of the mix's gradient";
  let description = [{
    Results: `dx` `T x D`, `dweights` `T x H x K`, and `coef` `T x H x K x r x F`: the gradient of pool row e's vector f is the
    sum, over the pairs (t,h,k) that selected it, of `coef[t,h,k,row,f]` times x[t] (vectors u and g) or dy[t] (v, always the last).
    So the pool's gradient is kept as one number per pair and vector, never as `T x K x D`. Entries of an index of -1 are 0.

    - C1 to C5: as for mix.
    - C6: dy is `T x D` f32 like x.
  }];
  let assemblyFormat = [{
    $x `,` $idx `,` $weights `,` $pool `,` $dy custom<OptionalKeyword>($activation) (`outs` `(` $outs^ `:` type($outs) `)`)? attr-dict
    `:` type($x) `,` type($idx) `,` type($weights) `,` type($pool) `,` type($dy)
  }];
  let extraClassDeclaration = [{
    int64_t getFlopsPerIteration();
    std::optional<int64_t> getGatheredElements(unsigned input);
  }];
}

def Peer_SortPairsOp : Peer_GraphOp<"sort_pairs",
    (ins Peer_Shaped:$idx, I64Attr:$num_experts),
    (outs "T*H*K i32":$order, "T*H*K i32":$starts, "2 i32":$count)> {
  let summary = "the (token, head, selection) pairs grouped by expert";
  let description = [{
    Results: `order` `T*H*K` i32, the flat pair numbers, those of an expert together as its segment and in pair order, pairs of
    index -1 left out (their entries at the end are unspecified); `starts` `T*H*K` i32, the first entry of each touched expert's
    segment in `order`, ascending; `count` `2` i32: the number of segments and the number of pairs in them. The target fixes
    the order of the segments: by expert, or another that depends on idx alone, so that it is the same on every run.

    - C1: idx is `T x H x K` i32, H and K static.
    - C2: `num_experts` is at least 1 and fits in i32, and so do the pair numbers.
  }];
  let assemblyFormat = [{
    $idx `experts` $num_experts (`outs` `(` $outs^ `:` type($outs) `)`)? attr-dict `:` type($idx)
  }];
}

/// The row-sparse gradient of a pool: pairs grouped by expert, their coefficients
/// and the two tensors that those scale.
defvar Peer_RowGrad = (ins Peer_Shaped:$idx, Peer_Shaped:$order, Peer_Shaped:$starts, Peer_Shaped:$count,
    Peer_Shaped:$coef, Peer_Shaped:$x, Peer_Shaped:$dy);

def Peer_PoolGradOp : Peer_GraphOp<"pool_grad",
    !con(Peer_RowGrad, (ins I64Attr:$rows)),
    (outs "rows x F x D f32":$dpool), [Peer_RowGradOpInterface]> {
  let summary = "the mix's gradient for the pool, dense";
  let description = [{
    `rows x F x D` f32 from the row-sparse form; rows nobody selected are zero. Built only where a description asks for
    it (`peer.gradient`, or an optimizer group without `lazy`).

    - C1: idx `T x H x K` i32, order and starts `T*H*K` i32, count `2` i32, coef `T x H x K x r x F` f32 with F = 1, 2 or 3,
      x and dy `T x D` f32; only T may be dynamic.
    - C2: r is at least 1 and divides `rows`, which is at least 1.
  }];
  let assemblyFormat = [{
    operands attr-dict `:` type(operands)
  }];
}

def Peer_PoolGradNormOp : Peer_GraphOp<"pool_grad_norm", Peer_RowGrad,
    (outs "a rank-0 f32":$squares), [Peer_RowGradOpInterface]> {
  let summary = "sum of squares of the pool's gradient, from the row-sparse form";
  let description = [{
    A rank-0 f32. The same on every run, whatever the number of threads.

    - C1: as for pool_grad.
  }];
  let assemblyFormat = [{
    operands attr-dict `:` type(operands)
  }];
}

#endif // PEER_ROUTING_GRAD_OPS_TD
