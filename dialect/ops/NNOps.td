//===- NNOps.td - what a language model needs that upstream lacks --------===//
//
// Activations are `T x D`: sequences of `context` tokens, one after the other.
// In constraints T and R may be dynamic, every other letter is a static size.
//
//===----------------------------------------------------------------------===//

#ifndef PEER_NN_OPS_TD
#define PEER_NN_OPS_TD

include "dialect/ops/PeerOpBase.td"

def Peer_LinearOp : Peer_DifferentiableOp<"linear",
    (ins Peer_Shaped:$x, Peer_Shaped:$weight, Optional<Peer_Shaped>:$bias, UnitAttr:$transpose_x,
         UnitAttr:$transpose_weight, OptionalAttr<TypeAttr>:$products),
    (outs "f32, the rows of x by the columns of weight":$y), [AttrSizedOperandSegments]> {
  let summary = "matrix product x . weight, plus a bias";
  let description = [{
    `y[t,j] = sum over i of x[t,i] * weight[i,j]`; `transpose_x` and `transpose_weight` read an operand transposed. The
    product goes to a BLAS, tile by tile. With a bias, `bias[j]` is added (`--peer-expand-tensor-ops` makes an op of its
    own of that). With `products = bf16` both factors of each product are rounded to bf16 first (to the nearest, ties to even), as units for
    such products want them; sums stay f32, and the products of its gradients are such, too.

    - C1: x and weight have rank 2; the product's inner dimensions agree.
    - C2: x and weight are f32.
    - C3: the bias is f32, one number for each column.
    - C4: products are bf16, where it is said what they are.

    ```mlir
    %y = peer.linear %x, %w, %b : tensor<?x256xf32>, tensor<256x2048xf32>, tensor<2048xf32>
    %z = peer.linear %x, %w {products = bf16} : tensor<?x256xf32>, tensor<256x2048xf32>
    ```
  }];
  let assemblyFormat = [{
    $x `,` $weight (`,` $bias^)? (`outs` `(` $outs^ `:` type($outs) `)`)? attr-dict `:` type($x) `,` type($weight)
    (`,` type($bias)^)?
  }];
  let extraClassDeclaration = [{
    int64_t getFlopsPerIteration();
  }];
}

def Peer_QuantizedLinearOp : Peer_DifferentiableOp<"quantized_linear",
    (ins Peer_Shaped:$x, Peer_Shaped:$weight, Peer_Shaped:$scales, Optional<Peer_Shaped>:$bias),
    (outs "T x O f32":$y), [AttrSizedOperandSegments]> {
  let summary = "matrix product with a weight stored as int8, int4 or fp8, for inference";
  let description = [{
    `y[t,o] = sum over i of x[t,i] * scales[o,i / g] * weight[o,i]`, plus `bias[o]`: the weight has a row for each output, as
    `peer-run convert quantize` makes it of one that was trained. Few tokens read the stored weight alone. Differentiating through it is refused.

    - C1: x is `T x I`, the weight `O x I`, or `O x I/2` i8 where each byte holds two elements; the scales are `O`, or `O x G`. Only T may be
      dynamic.
    - C2: x and scales are f32; the weight is i8 or f8E4M3FN.
    - C3: the bias is `O` f32.
    - C4: G groups of I / G elements are whole multiples of 32; of two elements a byte I is one.

    ```mlir
    %w = peer.param "up.weight" zeros : tensor<1024x256xi8>
    %s = peer.param "up.weight.scale" zeros : tensor<1024xf32>
    %y = peer.quantized_linear %x, %w, %s : tensor<?x256xf32>, tensor<1024x256xi8>, tensor<1024xf32>
    ```
    Two elements a byte are int4, -8 to 7: of the 32 elements from 32 b on, those at j and 16 + j, j below 16, are the lower and the upper
    four bits of byte 16 b + j.
  }];
  let assemblyFormat = [{
    $x `,` $weight `,` $scales (`,` $bias^)? (`outs` `(` $outs^ `:` type($outs) `)`)? attr-dict
    `:` type($x) `,` type($weight) `,` type($scales) (`,` type($bias)^)?
  }];
  let extraClassDeclaration = [{
    int64_t getFlopsPerIteration();
  }];
}

def Peer_ReshapeOp : Peer_DifferentiableOp<"reshape",
    (ins Peer_Shaped:$x, TypeAttrOf<AnyRankedTensor>:$type),
    (outs "of the type that is asked for":$y)> {
  let summary = "the same elements in row-major order under another shape";
  let description = [{
    Upstream's reshapes want the dynamic size as an operand, which a description should not have to spell out;
    this one lets the first dimension be `?` and is lowered to them.

    - C1: neither shape has rank 0; only the first dimension may be dynamic; if one is, both are.
    - C2: element types agree, and so do the element counts: of the whole (static), or such that the product of one
      side's other dimensions divides the other's (dynamic).

    ```mlir
    %h = peer.reshape %q to tensor<?x8x2x128xf32> : tensor<?x2048xf32>
    ```
  }];
  let assemblyFormat = [{
    $x `to` $type (`outs` `(` $outs^ `:` type($outs) `)`)? attr-dict `:` type($x)
  }];
  let extraClassDeclaration = [{
    bool isView() { return true; }
  }];
  let hasFolder = 1;
}

def Peer_EmbeddingOp : Peer_DifferentiableOp<"embedding",
    (ins Peer_Shaped:$tokens, Peer_Shaped:$table),
    (outs "T x D f32":$y)> {
  let summary = "y[t,:] = table[tokens[t],:]";
  let description = [{
    - C1: tokens are `T` i32, the table is `V x D`, static, f32, bf16 or i8; the result is `T x D` f32.
  }];
  let assemblyFormat = [{
    $tokens `,` $table (`outs` `(` $outs^ `:` type($outs) `)`)? attr-dict `:` type($tokens) `,` type($table)
  }];
}

def Peer_EmbeddingGradOp : Peer_GraphOp<"embedding_grad",
    (ins Peer_Shaped:$tokens, Peer_Shaped:$dy, I64Attr:$rows),
    (outs "rows x D f32":$dtable)> {
  let summary = "dtable[v,:] = sum over t with tokens[t] = v of dy[t,:], in the order of t";
  let description = [{
    - C1: tokens are `T` i32, dy is `T x D` f32, D static; the result is `rows x D` f32.
    - C2: rows is at least 1.
  }];
  let assemblyFormat = "operands attr-dict `:` type(operands)";
}

def Peer_RMSNormOp : Peer_DifferentiableOp<"rms_norm",
    (ins Peer_Shaped:$x, Peer_Shaped:$weight, DefaultValuedAttr<Peer_F32Attr, "1.0e-5f">:$epsilon),
    (outs "T x D f32":$y)> {
  let summary = "root mean square norm over the last dimension (arXiv 1910.07467)";
  let description = [{
    `y = x * rstd * weight`, `rstd = 1 / sqrt(mean(x^2) + epsilon)`.

    - C1: x is `T x D` f32, weight `D` f32.
    - C2: epsilon is a normal f32 above 0.
  }];
  let assemblyFormat = [{
    $x `,` $weight (`outs` `(` $outs^ `:` type($outs) `)`)? attr-dict `:` type($x) `,` type($weight)
  }];
}

def Peer_RMSNormGradOp : Peer_GraphOp<"rms_norm_grad",
    (ins Peer_Shaped:$x, Peer_Shaped:$weight, Peer_Shaped:$dy, Peer_F32Attr:$epsilon),
    (outs "T x D f32":$dx, "T f32":$rstd)> {
  let summary = "dx `T x D` and rstd `T`";
  let description = [{
    `dx = rstd * (dy w - xhat * mean(dy w xhat))` with `xhat = x * rstd`.

    - C1: x and dy are `T x D` f32, weight `D` f32.
    - C2: epsilon is a normal f32 above 0.
  }];
  let assemblyFormat = "operands attr-dict `:` type(operands)";
}

def Peer_RMSNormWeightGradOp : Peer_GraphOp<"rms_norm_weight_grad",
    (ins Peer_Shaped:$x, Peer_Shaped:$rstd, Peer_Shaped:$dy),
    (outs "D f32":$dweight)> {
  let summary = "dweight = sum over t of dy * x * rstd";
  let description = [{
    - C1: x and dy are `T x D` f32, rstd `T` f32.
  }];
  let assemblyFormat = "operands attr-dict `:` type(operands)";
}

def Peer_LayerNormOp : Peer_DifferentiableOp<"layer_norm",
    (ins Peer_Shaped:$x, Peer_Shaped:$weight, Peer_Shaped:$bias,
         DefaultValuedAttr<Peer_F32Attr, "1.0e-5f">:$epsilon),
    (outs "T x D f32":$y)> {
  let summary = "layer norm over the last dimension (arXiv 1607.06450)";
  let description = [{
    `y = (x - mean) * rstd * weight + bias`, biased variance.

    - C1: x is `T x D` f32, weight and bias are `D` f32.
    - C2: epsilon is a normal f32 above 0.
  }];
  let assemblyFormat = [{
    $x `,` $weight `,` $bias (`outs` `(` $outs^ `:` type($outs) `)`)? attr-dict
    `:` type($x) `,` type($weight) `,` type($bias)
  }];
}

def Peer_LayerNormGradOp : Peer_GraphOp<"layer_norm_grad",
    (ins Peer_Shaped:$x, Peer_Shaped:$weight, Peer_Shaped:$dy, Peer_F32Attr:$epsilon),
    (outs "T x D f32":$dx, "T f32":$mean, "T f32":$rstd)> {
  let summary = "dx `T x D`, mean `T` and rstd `T`";
  let description = [{
    `dx = rstd * (g - mean(g) - xhat * mean(g xhat))` with `g = dy w`, `xhat = (x - mean) * rstd`.

    - C1: x and dy are `T x D` f32, weight `D` f32.
    - C2: epsilon is a normal f32 above 0.
  }];
  let assemblyFormat = "operands attr-dict `:` type(operands)";
}

def Peer_LayerNormWeightGradOp : Peer_GraphOp<"layer_norm_weight_grad",
    (ins Peer_Shaped:$x, Peer_Shaped:$mean, Peer_Shaped:$rstd, Peer_Shaped:$dy),
    (outs "D f32":$dweight, "D f32":$dbias)> {
  let summary = "dweight = sum over t of dy * xhat and dbias = sum over t of dy";
  let description = [{
    - C1: x and dy are `T x D` f32, mean and rstd `T` f32.
  }];
  let assemblyFormat = "operands attr-dict `:` type(operands)";
}

def Peer_BatchNormOp : Peer_DifferentiableOp<"batch_norm",
    (ins Peer_Shaped:$x, Peer_Shaped:$weight, Peer_Shaped:$bias, Peer_Shaped:$mean, Peer_Shaped:$variance,
         DefaultValuedAttr<Peer_F32Attr, "1.0e-5f">:$epsilon, DefaultValuedAttr<Peer_F32Attr, "0.1f">:$momentum,
         UnitAttr:$batch_statistics),
    (outs "R x C f32":$y)> {
  let summary = "batch norm of queries (arXiv 1502.03167)";
  let description = [{
    `y[r,c] = (x[r,c] - mean[c]) / sqrt(variance[c] + epsilon) * weight[c] + bias[c]`, rows being tokens times heads.
    In a description mean and variance are the running ones. `--peer-add-optimizer` rewrites the loss that it trains: mean and
    variance come from `batch_stats`, `batch_statistics` is set (the gradient flows through them), and the running ones move by
    `running += momentum * (batch - running)`, the variance being the biased one.

    - C1: x is `R x C` f32; weight, bias, mean and variance are `C` f32.
    - C2: epsilon is a normal f32 above 0.
    - C3: momentum lies in [0, 1].
  }];
  let assemblyFormat = [{
    $x `,` $weight `,` $bias `,` $mean `,` $variance (`outs` `(` $outs^ `:` type($outs) `)`)? attr-dict
    `:` type($x) `,` type($weight) `,` type($bias) `,` type($mean) `,` type($variance)
  }];
}

def Peer_BatchStatsOp : Peer_GraphOp<"batch_stats", (ins Peer_Shaped:$x),
    (outs "C f32":$mean, "C f32":$variance)> {
  let summary = "mean `C` and biased variance `C` over the rows of x `R x C`; zeros where R = 0";
  let description = [{
    - C1: x is `R x C` f32.
  }];
  let assemblyFormat = "operands attr-dict `:` type(operands)";
}

def Peer_BatchNormWeightGradOp : Peer_GraphOp<"batch_norm_weight_grad",
    (ins Peer_Shaped:$x, Peer_Shaped:$mean, Peer_Shaped:$variance, Peer_Shaped:$dy, Peer_F32Attr:$epsilon),
    (outs "C f32":$dweight, "C f32":$dbias)> {
  let summary = "dweight = sum over rows of dy * xhat and dbias = sum over rows of dy";
  let description = [{
    - C1: x and dy are `R x C` f32, mean and variance `C` f32.
    - C2: epsilon is a normal f32 above 0.
  }];
  let assemblyFormat = "operands attr-dict `:` type(operands)";
}

def Peer_BatchNormGradOp : Peer_GraphOp<"batch_norm_grad",
    (ins Peer_Shaped:$x, Peer_Shaped:$weight, Peer_Shaped:$mean, Peer_Shaped:$variance, Peer_Shaped:$dy,
         Peer_Shaped:$dweight, Peer_Shaped:$dbias, Peer_F32Attr:$epsilon, UnitAttr:$batch_statistics),
    (outs "R x C f32":$dx)> {
  let summary = "dx of batch_norm";
  let description = [{
    `dx = w * rstd * dy`, and with `batch_statistics` `dx = w * rstd * (dy - (dbias + xhat * dweight) / R)`: R is the whole
    batch's row count, so the op is tiled over channels, not rows.

    - C1: x and dy are `R x C` f32, the others `C` f32.
    - C2: epsilon is a normal f32 above 0.
  }];
  let assemblyFormat = "operands attr-dict `:` type(operands)";
}

def Peer_ActivationOp : Peer_DifferentiableOp<"activation",
    (ins Peer_Shaped:$x, Peer_ActivationAttr:$kind),
    (outs "T x D f32":$y)> {
  let summary = "gelu (exact), silu, relu, sigmoid or tanh of every element";
  let description = [{
    - C1: x is `T x D` f32.
  }];
  let assemblyFormat = [{
    $x custom<Keyword>($kind) (`outs` `(` $outs^ `:` type($outs) `)`)? attr-dict `:` type($x)
  }];
  let extraClassDeclaration = [{
    bool isElementwise() { return true; }
  }];
  let hasFolder = 1;
}

def Peer_ActivationGradOp : Peer_GraphOp<"activation_grad",
    (ins Peer_Shaped:$x, Peer_Shaped:$dy, Peer_ActivationAttr:$kind),
    (outs "T x D f32":$dx)> {
  let summary = "dx = dy * act'(x); relu'(0) is 0";
  let description = [{
    - C1: x and dy are `T x D` f32.
  }];
  let assemblyFormat = [{
    $x `,` $dy custom<Keyword>($kind) (`outs` `(` $outs^ `:` type($outs) `)`)? attr-dict `:` type($x) `,` type($dy)
  }];
  let extraClassDeclaration = [{
    bool isElementwise() { return true; }
  }];
}

def Peer_CrossEntropyOp : Peer_DifferentiableOp<"cross_entropy",
    (ins Peer_Shaped:$logits, Peer_Shaped:$targets),
    (outs "T f32":$loss)> {
  let summary = "loss[t] = logsumexp(logits[t,:]) - logits[t,targets[t]], in nats";
  let description = [{
    - C1: logits are `T x V` f32, targets `T` i32; the result is `T` f32.
  }];
  let assemblyFormat = [{
    $logits `,` $targets (`outs` `(` $outs^ `:` type($outs) `)`)? attr-dict `:` type($logits) `,` type($targets)
  }];
}

def Peer_CrossEntropyGradOp : Peer_GraphOp<"cross_entropy_grad",
    (ins Peer_Shaped:$logits, Peer_Shaped:$targets, Peer_Shaped:$dloss),
    (outs "T x V f32":$dlogits)> {
  let summary = "dlogits = dloss[t] * (softmax(logits[t,:]) - onehot(targets[t]))";
  let description = [{
    - C1: logits are `T x V` f32, targets `T` i32, dloss `T` f32.
  }];
  let assemblyFormat = "operands attr-dict `:` type(operands)";
}

def Peer_ColumnSumsOp : Peer_GraphOp<"column_sums", (ins Peer_Shaped:$x),
    (outs "D f32":$sums)> {
  let summary = "sums over all rows: the gradient of a bias";
  let description = [{
    - C1: x is `T x D` f32.
  }];
  let assemblyFormat = "operands attr-dict `:` type(operands)";
}

def Peer_MeanOp : Peer_DifferentiableOp<"mean", (ins Peer_Shaped:$x),
    (outs "a rank-0 f32":$mean)> {
  let summary = "mean of a vector, a rank-0 f32; 0 of an empty one";
  let description = [{
    - C1: x is `T` f32.
  }];
  let assemblyFormat = [{
    $x (`outs` `(` $outs^ `:` type($outs) `)`)? attr-dict `:` type($x)
  }];
}

def Peer_MeanGradOp : Peer_GraphOp<"mean_grad", (ins Peer_Shaped:$x, Peer_Shaped:$dmean),
    (outs "T f32":$dx)> {
  let summary = "dx[t] = dmean / T; x gives the shape only";
  let description = [{
    - C1: x is `T` f32, dmean a rank-0 f32.
  }];
  let assemblyFormat = "operands attr-dict `:` type(operands)";
}

#endif // PEER_NN_OPS_TD
