//===- AttentionOps.td - rotary positions and causal attention -----------===//

#ifndef PEER_ATTENTION_OPS_TD
#define PEER_ATTENTION_OPS_TD

include "dialect/ops/PeerOpBase.td"

def Peer_RotaryOp : Peer_DifferentiableOp<"rotary",
    (ins Peer_Shaped:$x, I64Attr:$heads, I64Attr:$context_length,
         DefaultValuedAttr<Peer_F32Attr, "10000.0f">:$base, UnitAttr:$inverse),
    (outs "T x D f32":$y),
    [DeclareOpInterfaceMethods<Peer_SequenceOpInterface, ["rejectDecoding", "buildDecoding"]>]> {
  let summary = "rotary positions (RoFormer, arXiv 2104.09864)";
  let description = [{
    Within each head of width w, components c and c + w/2 turn by the angle `position * base^(-2c/w)`, the position of row t
    being `t mod context`. `inverse` turns back: it is the op's own gradient.

    - C1: x is `T x D` f32, D static.
    - C2: heads is at least 1 and divides D; D / heads is even and at least 2.
    - C3: context is at least 1 and divides T.
    - C4: base is at least 1, and finite.
  }];
  let assemblyFormat = [{
    $x `heads` $heads `context` $context_length (`outs` `(` $outs^ `:` type($outs) `)`)? attr-dict `:` type($x)
  }];
  let hasFolder = 1;
}

def Peer_RotaryAtOp : Peer_GraphOp<"rotary_at",
    (ins Peer_Shaped:$x, Peer_Shaped:$position, I64Attr:$heads,
         DefaultValuedAttr<Peer_F32Attr, "10000.0f">:$base),
    (outs "T x D f32":$y)> {
  let summary = "rotary positions from a run-time start: row t is at position + t";
  let description = [{
    - C1: x is `T x D` f32, D static; position is a rank-0 i32.
    - C2: heads is at least 1 and divides D; D / heads is even and at least 2.
    - C3: base is at least 1, and finite.
  }];
  let assemblyFormat = [{
    $x `,` $position `heads` $heads (`outs` `(` $outs^ `:` type($outs) `)`)? attr-dict `:` type($x) `,` type($position)
  }];
}

def Peer_AttentionOp : Peer_DifferentiableOp<"attention",
    (ins Peer_Shaped:$query, Peer_Shaped:$key, Peer_Shaped:$value, I64Attr:$heads, I64Attr:$context_length,
         OptionalAttr<I64Attr>:$window),
    (outs "T x D f32":$y),
    [DeclareOpInterfaceMethods<Peer_SequenceOpInterface, ["getCaches", "buildDecoding"]>]> {
  let summary = "causal multi-head attention within each sequence";
  let description = [{
    Per sequence of `context` rows and head of width w = D / heads: `softmax(q k^T / sqrt(w), causal) v` (arXiv 1706.03762).
    Keys and values of E < D columns have E / w heads, of which each serves a group of heads / (E / w) neighbouring heads of the
    query (grouped queries, arXiv 2305.13245). With a `window` of W a row sees itself and the W - 1 before it, not all that came
    before (arXiv 2004.05150).

    - C1: query is `T x D` f32, key and value are `T x E` f32, D and E static.
    - C2: heads is at least 1 and divides D, which is at least 1; E is a number of heads that divides heads, times D / heads.
    - C3: context is at least 1 and divides T.
    - C4: the window is at least 1 and at most the context.

    ```mlir
    %o = peer.attention %q, %k, %v heads 8 context 128 window 32 : tensor<?x256xf32>, tensor<?x64xf32>, tensor<?x64xf32>
    ```
  }];
  let assemblyFormat = [{
    $query `,` $key `,` $value `heads` $heads `context` $context_length (`window` $window^)?
    (`outs` `(` $outs^ `:` type($outs) `)`)? attr-dict `:` type($query) `,` type($key) `,` type($value)
  }];
  let extraClassDeclaration = [{
    int64_t getFlopsPerIteration();
  }];
}

def Peer_AttentionGradOp : Peer_GraphOp<"attention_grad",
    (ins Peer_Shaped:$query, Peer_Shaped:$key, Peer_Shaped:$value, Peer_Shaped:$dy, I64Attr:$heads, I64Attr:$context_length,
         OptionalAttr<I64Attr>:$window),
    (outs "T x D f32":$dquery, "T x E f32":$dkey, "T x E f32":$dvalue)> {
  let summary = "dquery, dkey, dvalue of attention; the probabilities are computed again";
  let description = [{
    Per sequence and head of width w, with `p = softmax(query key^T / sqrt(w), causal)` and
    `ds = p * (dy value^T - rowsum(p * dy value^T)) / sqrt(w)`: `dvalue = p^T dy`, `dquery = ds key`, `dkey = ds^T query`,
    the last two summed over the heads of the query that a head of the keys serves. Keys outside of the window have p = 0.

    - C1: query and dy are `T x D` f32, key and value `T x E` f32, D and E static.
    - C2: heads is at least 1 and divides D, which is at least 1; E is a number of heads that divides heads, times D / heads.
    - C3: context is at least 1 and divides T.
    - C4: the window is at least 1 and at most the context.
  }];
  let assemblyFormat = "operands attr-dict `:` type(operands)";
  let extraClassDeclaration = [{
    int64_t getFlopsPerIteration();
  }];
}

def Peer_CachedAttentionOp : Peer_GraphOp<"cached_attention",
    (ins Peer_Shaped:$query, Peer_Shaped:$key, Peer_Shaped:$value, Peer_Shaped:$key_cache, Peer_Shaped:$value_cache,
         Peer_Shaped:$position, I64Attr:$heads, OptionalAttr<I64Attr>:$window),
    (outs "T x D f32":$y, "like key_cache, which it is tied to":$keys, "like value_cache, which it is tied to":$values)> {
  let summary = "causal attention of new tokens over a ring of cached keys and values";
  let description = [{
    Row t is the token at `position + t`. Its key and value are written to row `(position + t) mod C` of the caches
    (`C x E`), then it attends to the last `min(position + t + 1, C)` tokens, of a window of W to the last
    `min(position + t + 1, W)`. Heads are as in attention. Results: the output `T x D`, and the caches, in place.
    Wants position + T <= C, or T = 1.

    - C1: query is `T x D` f32, key and value are `T x E` f32; the caches are `C x E` f32, static, C at least 1; position is a
      rank-0 i32.
    - C2: heads is at least 1 and divides D, which is at least 1; E is a number of heads that divides heads, times D / heads.
    - C3: the window is at least 1 and at most C.
  }];
  let assemblyFormat = "operands attr-dict `:` type(operands)";
  let extraClassDeclaration = [{
    std::optional<unsigned> getTiedInput(unsigned output) {
      return output == 0 ? std::nullopt : std::optional<unsigned>(output + 2);
    }
  }];
}

#endif // PEER_ATTENTION_OPS_TD
