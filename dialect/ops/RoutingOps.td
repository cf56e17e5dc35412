//===- RoutingOps.td - score, select, gate, mix --------------------------===//
//
// T tokens, H heads, P halves (1 = router, 2 = product keys), n keys per half,
// d query width per half, K experts per head, N experts, r rows per expert,
// F vectors per row, D model width.
//
//===----------------------------------------------------------------------===//

#ifndef PEER_ROUTING_OPS_TD
#define PEER_ROUTING_OPS_TD

include "dialect/ops/PeerOpBase.td"

def Peer_ScoreOp : Peer_DifferentiableOp<"score",
    (ins Peer_Shaped:$query, Peer_Shaped:$keys),
    (outs "T x H x P x n f32":$logits)> {
  let summary = "logits of every key for every query";
  let description = [{
    `logits[t,h,p,j] = sum over c of query[t,h,p,c] * keys[h,p,j,c]`, accumulated in f32
    (PEER, arXiv 2407.04153, section 2.2). Keys with a head dimension of 1 are shared.

    - C1: query is `T x H x P x d`, keys are `(H or 1) x P x n x d`, all rank 4.
    - C2: P is 1 or 2, and equal in both.
    - C3: H, P, n, d are static; d is equal in both; n and d are at least 1.
    - C4: the head dimension of keys is H or 1.
    - C5: element types are f32 or bf16; logits are f32.

    ```mlir
    %s = peer.score %q, %keys : tensor<?x8x2x128xf32>, tensor<8x2x1024x128xf32>
    ```
  }];
  let assemblyFormat = [{
    $query `,` $keys (`outs` `(` $outs^ `:` type($outs) `)`)? attr-dict `:` type($query) `,` type($keys)
  }];
  let extraClassDeclaration = [{
    int64_t getFlopsPerIteration();
    bool hasLargeResults() { return true; }
  }];
}

def Peer_SelectOp : Peer_DifferentiableOp<"select",
    (ins Peer_Shaped:$logits, Optional<Peer_Shaped>:$threshold, Peer_PolicyAttr:$policy),
    (outs "T x H x K i32":$idx, "T x H x K f32":$val),
    [AttrSizedOperandSegments, DeclareOpInterfaceMethods<Peer_SelectionOpInterface, ["getNumKeys"]>]> {
  let summary = "which experts each head of each token uses";
  let description = [{
    Results: `idx` `T x H x K` i32, `val` `T x H x K` f32, best first; ties go to the lowest index. An empty slot has index -1
    and value -inf; those of a head come last, but for expert_choice.
    - `topk<k>` (P = 1): the k largest logits.
    - `product_topk<k>` (P = 2): the k largest of `logits[0,i] + logits[1,j]` over all n * n pairs, expert id
      `i * n + j`: exact, by the top k of each half (PKM, arXiv 1907.05242, section 3.1). Sums are compared before they
      are rounded to f32, so that rounding makes no ties; where sums are infinite, the better halves come first.
    - `all` (P = 1): K = n, every expert in order of its index.
    - `top_p<p, max = m>` (P = 1): K = m. Rank i is kept while the softmax over all n logits gave the ranks before it less
      than p together (XMoE, arXiv 2403.18926): at least one, at most m. p = 0 is `topk<1>`, p = 1 keeps m.
    - `threshold<t, max = m>`, `threshold<t, of = sigmoid, max = m>` (P = 1): K = m. The m largest of the logits that are
      above t, or of those whose sigmoid is (DSMoE, arXiv 2502.12455); there may be none.
    - `expert_choice<c>` (P = 1): K = n. Each expert, of each head, takes the `ceil(c * T / n)` tokens whose logits for it are largest (Zhou et
      al., arXiv 2202.09368), ties going to the first token: 0 to n experts for a token, c on average. Slot e is expert e or empty. The paper ranks
      tokens by their softmax over experts: select from that (`softmax`). What a token gets depends on the other tokens of the call: decoding is refused.

    p and t may be known at run time only: `top_p<max = m>`, `threshold<max = m>` and `threshold<of = sigmoid, max = m>` take `threshold`, a rank-0
    f32. A p of at most 0 keeps one, one of at least 1 keeps m. What is no number keeps one of `top_p` and none of `threshold`.

    A NaN logit counts as -inf. Selection carries no gradient, to a threshold neither; `val` passes its own to the selected logits.

    - C1: logits are `T x H x P x n` f32, rank 4; H, P and n are static.
    - C2: `product_topk` wants P = 2, the others P = 1.
    - C3: 1 <= k <= n (k <= n for product_topk too), and so with max.
    - C4: 0 <= p <= 1; a threshold of sigmoids is at least 0 and below 1; 0 < c <= n.
    - C5: `n * n` experts of product_topk, or n, must fit in i32.
    - C6: there is a threshold, a rank-0 f32, where a policy that has one leaves it out, and nowhere else.

    ```mlir
    %idx, %val = peer.select %s product_topk<16> : tensor<?x8x2x1024xf32>
    %i, %v = peer.select %r, %t top_p<max = 16> : tensor<?x1x1x64xf32>, tensor<f32>
    ```
  }];
  let assemblyFormat = [{
    $logits (`,` $threshold^)? custom<Policy>($policy) (`outs` `(` $outs^ `:` type($outs) `)`)? attr-dict
    `:` type($logits) (`,` type($threshold)^)?
  }];
  let extraClassDeclaration = [{
    ::llvm::StringRef describeMixing() {
      return getPolicy().choosesTokens() ? "lets experts choose among all tokens" : "may mix tokens";
    }
  }];
}

def Peer_GateOp : Peer_DifferentiableOp<"gate",
    (ins Peer_Shaped:$val, Peer_GateAttr:$kind),
    (outs "T x H x K f32":$weights)> {
  let summary = "weights from the selected scores";
  let description = [{
    `w = softmax over K (val)`, `sigmoid(val)`, `relu(val)` or `1`, all `T x H x K` f32. A score of -inf (nothing
    selected there) has weight 0 under every kind, and a row of nothing but -inf is all zeros.

    - C1: val is `T x H x K` f32; H and K are static.
    - C2: the kind is softmax, sigmoid, relu or one. `probability`, which is over all experts, is an op of its own.

    ```mlir
    %w = peer.gate %val softmax : tensor<?x8x16xf32>
    ```
  }];
  let assemblyFormat = [{
    $val custom<Keyword>($kind) (`outs` `(` $outs^ `:` type($outs) `)`)? attr-dict `:` type($val)
  }];
}

def Peer_StraightThroughOp : Peer_DifferentiableOp<"straight_through",
    (ins Peer_Shaped:$val, UnitAttr:$soft, DefaultValuedAttr<Peer_F32Attr, "0.5f">:$threshold),
    (outs "T x H x K f32":$weights)> {
  let summary = "weights of 0 or 1 whose gradient is that of a sigmoid";
  let description = [{
    `w = 1` where `sigmoid(val) > threshold`, else 0; with `soft` `sigmoid(val)` in place of 1. The gradient goes straight through the step, as if w were
    the sigmoid everywhere: `dval = dw * s * (1 - s)`, s = `sigmoid(val)` (DSMoE, arXiv 2502.12455). So an expert that was not taken learns what it
    would have added, which must therefore be known: the scores are those of all experts (`select all`), or the op is refused. For inference
    `threshold<t, of = sigmoid, max = n>` and the gate `one`, or `sigmoid`, select and weigh the same experts and read no other. A val of -inf has the weight 0.
    `--peer-expand-tensor-ops` makes elementwise ops of it.

    - C1: val is `T x H x K` f32; H and K are static.
    - C2: the threshold is above 0 and below 1.

    ```mlir
    %idx, %val = peer.select %s all : tensor<?x1x1x8xf32>
    %w = peer.straight_through %val : tensor<?x1x8xf32>
    %u = peer.straight_through %val soft {threshold = 0.6 : f32} : tensor<?x1x8xf32>
    ```
  }];
  let assemblyFormat = "$val (`soft` $soft^)? (`outs` `(` $outs^ `:` type($outs) `)`)? attr-dict `:` type($val)";
  let extraClassDeclaration = [{
    std::string rejectOrigins() { return rejectScores(/*proven=*/false); }
    /// Why its gradient would not be known: the scores are known not to be those of all experts or, with `proven`, not known to be.
    std::string rejectScores(bool proven);
  }];
}

def Peer_HashOp : Peer_DifferentiableOp<"hash",
    (ins Peer_Shaped:$tokens, I64Attr:$experts, DefaultValuedAttr<I64Attr, "0">:$seed),
    (outs "T x 1 x 1 i32":$idx, "T x 1 x 1 f32":$weights)> {
  let summary = "an expert for each token by a hash of its number, with the weight 1";
  let description = [{
    `idx[t,0,0] = mix(tokens[t] xor mix(seed + 0x9e3779b9)) mod experts` and `weights = 1` (hash layers, Roller et al., arXiv 2106.04426): the same
    expert for a word wherever it stands, nothing learnt but the experts. All in unsigned integers of 32 bits, with MurmurHash3's finalizer
    `mix(h)`: `h ^= h >> 16, h *= 0x85ebca6b, h ^= h >> 13, h *= 0xc2b2ae35, h ^= h >> 16`. Any i32 is a token. Hashes of different seeds are
    independent of each other. `--peer-expand-tensor-ops` makes elementwise ops of it.

    - C1: tokens are `T` i32.
    - C2: there is at least 1 expert, and their numbers fit in i32.
    - C3: the seed is at least 0 and below 2^32.

    ```mlir
    %idx, %w = peer.hash %tokens experts 64 seed 7 : tensor<?xi32>
    ```
  }];
  let assemblyFormat = [{
    $tokens `experts` $experts (`seed` $seed^)? (`outs` `(` $outs^ `:` type($outs) `)`)? attr-dict `:` type($tokens)
  }];
}

def Peer_ProbabilityOp : Peer_DifferentiableOp<"probability",
    (ins Peer_Shaped:$val, Peer_Shaped:$logits),
    (outs "T x H x K f32":$weights)> {
  let summary = "weights of the selected: what the softmax over all experts gives them";
  let description = [{
    `w[t,h,k] = exp(val[t,h,k] - sum over p of lse_p)` with `lse_p = log sum over j of exp(logits[t,h,p,j])`, f32: the probability
    of an expert among all n, or all n * n of product keys, which take two sums of n terms. The weights are not normalised over the selected (Switch,
    arXiv 2101.03961; XMoE, arXiv 2403.18926; OmniMoE, arXiv 2602.05711). A val of -inf (nothing selected there) has weight 0, a NaN logit counts as -inf.
    The gradient reaches all logits, by way of the sums, so they are kept: score, select and this are no `route`.

    - C1: val is `T x H x K` f32; H and K are static.
    - C2: logits are `T x H x P x n` f32, P is 1 or 2 and n at least 1; P and n are static, T and H those of val.

    ```mlir
    %w = peer.probability %val, %s : tensor<?x1x1xf32>, tensor<?x1x1x64xf32>
    ```
  }];
  let assemblyFormat = [{
    $val `,` $logits (`outs` `(` $outs^ `:` type($outs) `)`)? attr-dict `:` type($val) `,` type($logits)
  }];
}

def Peer_RouteOp : Peer_GraphOp<"route",
    (ins Peer_Shaped:$query, Peer_Shaped:$keys, Optional<Peer_Shaped>:$packed, Peer_PolicyAttr:$policy,
         OptionalAttr<Peer_GateAttr>:$gate, UnitAttr:$keep_val),
    (outs "T x H x K i32":$idx, "with a gate, T x H x K f32":$weights, "with keep_val, T x H x K f32":$val),
    [AttrSizedOperandSegments, DeclareOpInterfaceMethods<Peer_SelectionOpInterface, ["getNumKeys"]>]> {
  let summary = "score, select and gate as one: which experts each token uses, and how much";
  let description = [{
    `weights = gate(val)` of `idx, val = select(score(query, keys))`; see there for formulas, ties and NaN. A target may sum a
    score in an order of its own, the same for all scores of a route. Results: `idx` `T x H x K` i32; with a gate `weights` `T x H x K` f32; with `keep_val` `val`
    `T x H x K` f32. The logits, `T x H x P x n`, larger than anything else here, exist at most a tile at a time.

    `--peer-fuse` makes it where logits are used by a select alone, after differentiation, so that it has no gradient of its
    own: those of the three ops are `gate_grad`, `route_query_grad` and `route_key_grad`.
    `--peer-decompose-routes` takes it apart again where a target has no kernel for it. `packed`, what `pack_keys` makes of these very keys, or
    zeros, changes no result: it lets a kernel tell at less cost which keys need not be scored. `--peer-derive-packed-keys` adds it.

    - C1: query is `T x H x P x d`, keys are `(H or 1) x P x n x d`, all rank 4.
    - C2: P is 1 or 2, and equal in both.
    - C3: H, P, n, d are static; d is equal in both; n and d are at least 1.
    - C4: the head dimension of keys is H or 1.
    - C5: element types are f32 or bf16.
    - C6 to C8: of the policy, as C2 to C4 of select.
    - C9: `n * n` experts of product_topk, or n, must fit in i32.
    - C10: the gate is softmax, sigmoid, relu or one.
    - C11: it has a gate, keeps val, or both.
    - C12: the policy selects for each token alone, and its number is part of it.
    - C13: packed keys have the type that `pack_keys` gives those of the keys.

    ```mlir
    %idx, %w = peer.route %q, %keys product_topk<16> gate softmax : tensor<?x8x2x128xf32>, tensor<8x2x1024x128xf32>
    %idx, %w, %val = peer.route %q, %keys product_topk<16> gate softmax keep_val
       : tensor<?x8x2x128xf32>, tensor<8x2x1024x128xf32>
    %idx, %w = peer.route %q, %keys packed(%p : tensor<8x2x143424xi8>) product_topk<16> gate softmax
       : tensor<?x8x2x128xf32>, tensor<8x2x1024x128xf32>
    ```
  }];
  let assemblyFormat = [{
    $query `,` $keys (`packed` `(` $packed^ `:` type($packed) `)`)? custom<Policy>($policy) (`gate` custom<Keyword>($gate)^)? (`keep_val` $keep_val^)?
    (`outs` `(` $outs^ `:` type($outs) `)`)? attr-dict `:` type($query) `,` type($keys)
  }];
  let extraClassDeclaration = [{
    /// Weights and val are optional.
    bool hasOutput(unsigned number) { return number == 0 || (number == 1 ? getGate().has_value() : getKeepVal()); }
    int64_t getFlopsPerIteration();
    bool hasLargeIntermediates() { return true; }
  }];
}

def Peer_PackKeysOp : Peer_GraphOp<"pack_keys",
    (ins Peer_Shaped:$keys),
    (outs "(H or 1) x P x B i8":$packed)> {
  let summary = "keys in few bits, and how far scores by them may be off";
  let description = [{
    What a route's kernel reads in place of most keys: each key as 8-bit integers, its scale, its norm and the norm of what the integers
    leave out; and, where the target multiplies tiles, as bf16 with a norm. The order of bytes is the kernel's that was compiled with it. A row of zeros bounds nothing. It has no gradient:
    `--peer-derive-packed-keys` makes it after differentiation, of parameters, in an entry of its own.

    - C1: keys are `(H or 1) x P x n x d`, rank 4, f32, static; n and d are at least 1.

    The result's rows have `64 + n' * (16 + 3 * d')` bytes, where n' and d' are n and d rounded up to multiples of 32.

    ```mlir
    %p = peer.pack_keys %keys : tensor<8x2x1024x128xf32>
    ```
  }];
  let assemblyFormat = [{ $keys (`outs` `(` $outs^ `:` type($outs) `)`)? attr-dict `:` type($keys) }];
  let extraClassDeclaration = [{
    /// Bytes of the packed keys of one head and half, n of d elements.
    static int64_t getRowBytes(int64_t n, int64_t d);
    int64_t getFlopsPerIteration() { return 0; }
  }];
}

def Peer_MixOp : Peer_DifferentiableOp<"mix",
    (ins Peer_Shaped:$x, Peer_Shaped:$idx, Peer_Shaped:$weights, Peer_Shaped:$pool,
         OptionalAttr<Peer_ActivationAttr>:$activation,
         DefaultValuedAttr<I64Attr, "1">:$rows_per_expert),
    (outs "T x D f32":$y),
    [Peer_MixLikeOpInterface]> {
  let summary = "y = sum over selected experts of weight * expert(x)";
  let description = [{
    Expert e owns rows `e*r .. e*r + r - 1` of the pool `R x F x D`, r = `rows_per_expert`. One row gives
    - F = 1: its value `v` (PKM),
    - F = 2: `act(u . x) * v`, vectors (u, v) (PEER),
    - F = 3: `act(g . x) * (u . x) * v`, vectors (g, u, v).

    The sum runs over all heads and selections; an expert chosen twice counts twice; an index of -1 is skipped.

    - C1: x is `T x D`, idx `T x H x K` i32, weights `T x H x K` f32, pool `R x F x D`.
    - C2: F is 1, 2 or 3. An activation may be left out where F is 1, and means nothing there.
    - C3: `rows_per_expert` is at least 1 and divides R.
    - C4: D is equal in x and pool; T in x, idx and weights; H and K in idx and weights. Only T may be dynamic.
    - C5: x is f32; the pool is f32 or bf16.

    ```mlir
    %y = peer.mix %x, %idx, %w, %pool gelu
       : tensor<?x256xf32>, tensor<?x8x16xi32>, tensor<?x8x16xf32>, tensor<1048576x2x256xf32>
    %z = peer.mix %x, %idx, %w, %values
       : tensor<?x256xf32>, tensor<?x8x16xi32>, tensor<?x8x16xf32>, tensor<1048576x1x256xf32>
    ```
  }];
  let assemblyFormat = [{
    $x `,` $idx `,` $weights `,` $pool custom<OptionalKeyword>($activation) (`outs` `(` $outs^ `:` type($outs) `)`)? attr-dict
    `:` type($x) `,` type($idx) `,` type($weights) `,` type($pool)
  }];
  let extraClassDeclaration = [{
    int64_t getFlopsPerIteration();
    std::optional<int64_t> getGatheredElements(unsigned input);
  }];
}

def Peer_QuantizedMixOp : Peer_DifferentiableOp<"quantized_mix",
    (ins Peer_Shaped:$x, Peer_Shaped:$idx, Peer_Shaped:$weights, Peer_Shaped:$pool, Peer_Shaped:$scales,
         OptionalAttr<Peer_ActivationAttr>:$activation,
         DefaultValuedAttr<I64Attr, "1">:$rows_per_expert),
    (outs "T x D f32":$y),
    [Peer_MixLikeOpInterface]> {
  let summary = "mix of rows stored as int8, int4 or fp8, for inference";
  let description = [{
    As `mix`, with the vectors `scales[r,f] * pool[r,f,:]`: `peer-run convert quantize` makes such a pool, a quarter of the bytes of
    f32, from one that was trained. With G scales for a vector each is for D / G elements, and where D is twice the bytes of a vector each byte
    holds two elements, as in `quantized_linear`. Differentiating through it is refused.

    - C1: x is `T x D`, idx `T x H x K` i32, weights `T x H x K` f32, pool `R x F x D` or `R x F x D/2`, scales `R x F` or `R x F x G`.
    - C2: F is 1, 2 or 3. An activation may be left out where F is 1.
    - C3: `rows_per_expert` is at least 1 and divides R.
    - C4: D is equal in x and pool, or twice the pool's; T in x, idx and weights; H and K in idx and weights; R and F in pool and scales.
      Only T may be dynamic.
    - C5: x and scales are f32; the pool is i8 or f8E4M3FN.
    - C6: G groups of D / G elements are whole multiples of 32; of two elements a byte D is one.

    ```mlir
    %pool   = peer.param "experts" zeros : tensor<1048576x2x256xi8>
    %scales = peer.param "experts.scale" zeros : tensor<1048576x2xf32>
    %y = peer.quantized_mix %x, %idx, %w, %pool, %scales gelu : tensor<?x256xf32>, tensor<?x8x16xi32>,
        tensor<?x8x16xf32>, tensor<1048576x2x256xi8>, tensor<1048576x2xf32>
    ```
  }];
  let assemblyFormat = [{
    $x `,` $idx `,` $weights `,` $pool `,` $scales custom<OptionalKeyword>($activation) (`outs` `(` $outs^ `:` type($outs) `)`)?
    attr-dict `:` type($x) `,` type($idx) `,` type($weights) `,` type($pool) `,` type($scales)
  }];
  let extraClassDeclaration = [{
    int64_t getFlopsPerIteration();
    std::optional<int64_t> getGatheredElements(unsigned input);
  }];
}

def Peer_UsageOp : Peer_GraphOp<"usage",
    (ins Peer_Shaped:$idx, Peer_Shaped:$weights, Peer_Shaped:$mass),
    (outs "like mass, which it is tied to":$total), [Peer_WrittenByPeople]> {
  let summary = "adds each expert's gate mass to a histogram";
  let description = [{
    `mass[e] += sum of weights[t,h,k] where idx[t,h,k] = e`; the result is tied to `mass` (`N`). The sums of one call are taken
    in f64 and rounded once where mass is f32. What is summed over many calls should be f64, as `--peer-add-usage` makes it: an f32
    counts to 2^24. Usage and unevenness (PEER, section 3.3) are computed from it.

    - C1: idx is `T x H x K` i32, weights `T x H x K` f32, mass `N` f32 or f64; H, K and N are static.
  }];
  let assemblyFormat = [{
    $idx `,` $weights `,` $mass (`outs` `(` $outs^ `:` type($outs) `)`)? attr-dict
    `:` type($idx) `,` type($weights) `,` type($mass)
  }];
  let extraClassDeclaration = [{
    std::optional<unsigned> getTiedInput(unsigned output) { return 2; }
  }];
}

#endif // PEER_ROUTING_OPS_TD
