//===- StateSpaceOps.td - what state-space layers are made of ------------===//

#ifndef PEER_STATE_SPACE_OPS_TD
#define PEER_STATE_SPACE_OPS_TD

include "dialect/ops/PeerOpBase.td"

def Peer_CausalConvOp : Peer_DifferentiableOp<"causal_conv",
    (ins Peer_Shaped:$x, Peer_Shaped:$weight, I64Attr:$context_length),
    (outs "T x D f32":$y),
    [DeclareOpInterfaceMethods<Peer_SequenceOpInterface, ["getCaches", "buildDecoding"]>]> {
  let summary = "each channel's causal convolution within each sequence (Mamba, arXiv 2312.00752, section 3.4)";
  let description = [{
    `y[t, d] = sum over k of weight[k, d] * x[t - K + 1 + k, d]`, rows before the first of a sequence of `context` rows being 0.

    - C1: x is `T x D` f32, weight is `K x D` f32, static; K is at least 1.
    - C3: context is at least 1 and divides T.

    ```mlir
    %y = peer.causal_conv %x, %w context 128 : tensor<?x256xf32>, tensor<4x256xf32>
    ```
  }];
  let assemblyFormat = [{
    $x `,` $weight `context` $context_length (`outs` `(` $outs^ `:` type($outs) `)`)? attr-dict `:` type($x) `,` type($weight)
  }];
  let extraClassDeclaration = [{
    int64_t getFlopsPerIteration();
  }];
}

def Peer_CausalConvGradOp : Peer_GraphOp<"causal_conv_grad",
    (ins Peer_Shaped:$x, Peer_Shaped:$weight, Peer_Shaped:$dy, I64Attr:$context_length),
    (outs "T x D f32":$dx, "S x K x D f32, of each sequence":$dweight)> {
  let summary = "dx of causal_conv, and dweight of each sequence";
  let description = [{
    - C1: x and dy are `T x D` f32, weight is `K x D` f32, static; K is at least 1.
    - C3: context is at least 1 and divides T.
  }];
  let assemblyFormat = "operands attr-dict `:` type(operands)";
  let extraClassDeclaration = [{
    int64_t getFlopsPerIteration();
  }];
}

def Peer_CachedCausalConvOp : Peer_GraphOp<"cached_causal_conv",
    (ins Peer_Shaped:$x, Peer_Shaped:$weight, Peer_Shaped:$cache, Peer_Shaped:$position),
    (outs "T x D f32":$y, "like cache, which it is tied to":$rows)> {
  let summary = "causal_conv of new tokens behind those of a cache";
  let description = [{
    Row t is the token at `position + t`, and is written to row `(position + t) mod K` of the cache, in place.

    - C1: x is `T x D` f32; weight and cache are `K x D` f32, static, K at least 1; position is a rank-0 i32.
  }];
  let assemblyFormat = "operands attr-dict `:` type(operands)";
  let extraClassDeclaration = [{
    std::optional<unsigned> getTiedInput(unsigned output) {
      return output == 0 ? std::nullopt : std::optional<unsigned>(2);
    }
  }];
}

def Peer_SelectiveScanOp : Peer_DifferentiableOp<"selective_scan",
    (ins Peer_Shaped:$x, Peer_Shaped:$delta, Peer_Shaped:$a, Peer_Shaped:$b, Peer_Shaped:$c, I64Attr:$context_length),
    (outs "T x D f32":$y),
    [DeclareOpInterfaceMethods<Peer_SequenceOpInterface, ["getCaches", "buildDecoding"]>]> {
  let summary = "selective scan: a linear recurrence whose numbers are made of its input (Mamba, arXiv 2312.00752, section 3.2)";
  let description = [{
    Each of D channels has N states, which are 0 before the first row of a sequence of `context` rows:

        h_t[n, d] = exp(delta[t, d] * a[n, d]) * h_(t-1)[n, d] + delta[t, d] * b[t, n] * x[t, d]
        y[t, d] = sum over n of c[t, n] * h_t[n, d]

    What the paper calls D, the part of x that is added to y, is an op of its own. States decay where a is negative and delta
    positive; what overflows otherwise is not caught.

    - C1: x and delta are `T x D` f32, a is `N x D` f32, b and c are `T x N` f32; D and N are static and at least 1.
    - C3: context is at least 1 and divides T.

    ```mlir
    %y = peer.selective_scan %x, %delta, %a, %b, %c context 128 : tensor<?x256xf32>, tensor<?x256xf32>, tensor<16x256xf32>, tensor<?x16xf32>, tensor<?x16xf32>
    ```
  }];
  let assemblyFormat = [{
    $x `,` $delta `,` $a `,` $b `,` $c `context` $context_length (`outs` `(` $outs^ `:` type($outs) `)`)? attr-dict `:`
    type($x) `,` type($delta) `,` type($a) `,` type($b) `,` type($c)
  }];
  let extraClassDeclaration = [{
    int64_t getFlopsPerIteration();
  }];
}

def Peer_SelectiveScanGradOp : Peer_GraphOp<"selective_scan_grad",
    (ins Peer_Shaped:$x, Peer_Shaped:$delta, Peer_Shaped:$a, Peer_Shaped:$b, Peer_Shaped:$c, Peer_Shaped:$dy,
         I64Attr:$context_length, I64Attr:$channels),
    (outs "T x D f32":$dx, "T x D f32":$ddelta, "S x N x D f32, of each sequence":$da,
          "T x G x N f32, of each group of channels":$db, "T x G x N f32, of each group of channels":$dc)> {
  let summary = "gradients of selective_scan; the states are computed again, from some that are kept";
  let description = [{
    With `g_t = c_t * dy_t + decay_(t+1) * g_(t+1)`, the gradient of h_t, `u = delta * x` and `decay = exp(delta * a)`:

        dc = sum over d of dy * h             du = sum over n of g * b      ddelta = x * du + sum over n of a * g * decay * h_(t-1)
        db = sum over d of g * u              dx = delta * du               da = sum over t of delta * g * decay * h_(t-1)

    What is summed over rows stays apart by sequence, what is summed over channels by groups of `channels` neighbouring ones, so
    that each sum has one owner; the rest of both sums is for ordinary ops.

    - C1: x, delta and dy are `T x D` f32, a is `N x D` f32, b and c are `T x N` f32; D and N are static and at least 1.
    - C2: channels is at least 1 and divides D.
    - C3: context is at least 1 and divides T.
  }];
  let assemblyFormat = "operands attr-dict `:` type(operands)";
  let extraClassDeclaration = [{
    int64_t getFlopsPerIteration();
  }];
}

def Peer_CachedSelectiveScanOp : Peer_GraphOp<"cached_selective_scan",
    (ins Peer_Shaped:$x, Peer_Shaped:$delta, Peer_Shaped:$a, Peer_Shaped:$b, Peer_Shaped:$c, Peer_Shaped:$state,
         Peer_Shaped:$position),
    (outs "T x D f32":$y, "like state, which it is tied to":$states)> {
  let summary = "selective_scan of new tokens, from a state that earlier ones left";
  let description = [{
    Row t is the token at `position + t`. The state is updated in place; at position 0 it begins with zeros, whatever it holds.

    - C1: x and delta are `T x D` f32, a and state are `N x D` f32, b and c are `T x N` f32; D and N are static and at least 1;
      position is a rank-0 i32.
  }];
  let assemblyFormat = "operands attr-dict `:` type(operands)";
  let extraClassDeclaration = [{
    std::optional<unsigned> getTiedInput(unsigned output) {
      return output == 0 ? std::nullopt : std::optional<unsigned>(5);
    }
  }];
}

#endif // PEER_STATE_SPACE_OPS_TD
