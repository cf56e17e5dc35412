//===- TensorOps.td - rearranged, reduced, broadcast tensors -------------===//
//
// What upstream's `linalg` and `tensor` can say, too, but with outputs and dynamic sizes to spell out. Gradients are built of the
// same ops; `--peer-expand-tensor-ops` makes upstream's of them. A dynamic dimension is taken whole or walked by a loop.
//
//===----------------------------------------------------------------------===//

#ifndef PEER_TENSOR_OPS_TD
#define PEER_TENSOR_OPS_TD

include "dialect/ops/PeerOpBase.td"

def Peer_SoftmaxOp : Peer_DifferentiableOp<"softmax", (ins Peer_Shaped:$x),
    (outs "as x":$y)> {
  let summary = "softmax over the last dimension";
  let description = [{
    `y = exp(x - max) / sum of exp(x - max)`, where max and sum are over the last dimension.

    - C1: x is f32 of rank 1 at least, its last dimension static.

    ```mlir
    %p = peer.softmax %logits : tensor<?x4xf32>
    ```
  }];
  let assemblyFormat = "$x (`outs` `(` $outs^ `:` type($outs) `)`)? attr-dict `:` type($x)";
}

def Peer_BroadcastOp : Peer_DifferentiableOp<"broadcast",
    (ins Peer_Shaped:$x, Peer_Shaped:$like, DenseI64ArrayAttr:$dims),
    (outs "as like":$y)> {
  let summary = "x repeated along new dimensions, in the shape of another tensor";
  let description = [{
    The result has the shape of `like`, of which nothing else is read; `dims` are those of its dimensions that x lacks.

    - C1: x and like are f32.
    - C2: dims are in order, each once, and dimensions of like; x has the others, of the same sizes.

    ```mlir
    %b = peer.broadcast %weights like %x along [1] : tensor<?xf32>, tensor<?x64xf32>
    ```
  }];
  let assemblyFormat = [{
    $x `like` $like `along` $dims (`outs` `(` $outs^ `:` type($outs) `)`)? attr-dict `:` type($x) `,` type($like)
  }];
  let extraClassDeclaration = [{
    /// Dimensions of like that x has, too.
    ::llvm::SmallVector<int64_t> getKeptDims();
  }];
}

def Peer_ReduceOp : Peer_DifferentiableOp<"reduce",
    (ins Peer_ReduceAttr:$kind, Peer_Shaped:$x, DenseI64ArrayAttr:$dims),
    (outs "the dimensions of x that are left":$y)> {
  let summary = "sum, mean or max over some dimensions";
  let description = [{
    The gradient of `max` is shared equally by the elements that are as large as it.

    - C1: x is f32.
    - C2: dims are in order, each once, one at least, and dimensions of x.
    - C3: those of mean and max are static.

    ```mlir
    %s = peer.reduce sum %x along [1] : tensor<?x64xf32>
    ```
  }];
  let assemblyFormat = [{
    custom<Keyword>($kind) $x `along` $dims (`outs` `(` $outs^ `:` type($outs) `)`)? attr-dict `:` type($x)
  }];
  let extraClassDeclaration = [{
    /// Dimensions of x that are left.
    ::llvm::SmallVector<int64_t> getKeptDims();
  }];
}

def Peer_SliceOp : Peer_DifferentiableOp<"slice",
    (ins Peer_Shaped:$x, I64Attr:$dim, I64Attr:$from, I64Attr:$size),
    (outs "as x, of that size in that dimension":$y)> {
  let summary = "part of one dimension";
  let description = [{
    Of a parameter, too: the gradient of a part is that part of the parameter's.

    - C1: x is f32 or bf16, and `dim` one of its dimensions, static.
    - C2: `size` is 1 at least, and the part lies within the dimension.

    ```mlir
    %left = peer.slice %x along 1 from 0 size 32 : tensor<?x64xf32>
    ```
  }];
  let assemblyFormat = [{
    $x `along` $dim `from` $from `size` $size (`outs` `(` $outs^ `:` type($outs) `)`)? attr-dict `:` type($x)
  }];
}

def Peer_PadOp : Peer_DifferentiableOp<"pad",
    (ins Peer_Shaped:$x, I64Attr:$dim, I64Attr:$low, I64Attr:$high),
    (outs "as x, with zeros on both sides of that dimension":$y)> {
  let summary = "zeros before and after, in one dimension";
  let description = [{
    - C1: x is f32, and `dim` one of its dimensions, static.
    - C2: `low` and `high` are 0 at least.

    ```mlir
    %wide = peer.pad %x along 1 low 0 high 32 : tensor<?x32xf32>
    ```
  }];
  let assemblyFormat = [{
    $x `along` $dim `low` $low `high` $high (`outs` `(` $outs^ `:` type($outs) `)`)? attr-dict `:` type($x)
  }];
}

def Peer_ConcatOp : Peer_DifferentiableOp<"concat",
    (ins Variadic<Peer_Shaped>:$xs, I64Attr:$dim),
    (outs "the parts, one after the other":$y), [AttrSizedOperandSegments]> {
  let summary = "parts one after the other, in one dimension";
  let description = [{
    - C1: one part at least; all are f32, or all i32, and of one rank.
    - C2: `dim` is one of their dimensions, static; the others are of the same sizes.

    ```mlir
    %x = peer.concat %left, %right along 1 : tensor<?x32xf32>, tensor<?x32xf32>
    ```
  }];
  let assemblyFormat = [{
    $xs `along` $dim (`outs` `(` $outs^ `:` type($outs) `)`)? attr-dict `:` type($xs)
  }];
}

def Peer_TransposeOp : Peer_DifferentiableOp<"transpose",
    (ins Peer_Shaped:$x, DenseI64ArrayAttr:$permutation),
    (outs "x with its dimensions in another order":$y)> {
  let summary = "dimensions in another order";
  let description = [{
    Dimension i of the result is dimension `permutation[i]` of x.

    - C1: x is f32.
    - C2: permutation has each dimension of x once.

    ```mlir
    %t = peer.transpose %x [0, 2, 1] : tensor<?x8x4xf32>
    ```
  }];
  let assemblyFormat = [{
    $x $permutation (`outs` `(` $outs^ `:` type($outs) `)`)? attr-dict `:` type($x)
  }];
}

def Peer_DropoutOp : Peer_DifferentiableOp<"dropout",
    (ins Peer_Shaped:$x, Optional<Peer_Shaped>:$seed, Peer_F32Attr:$rate, DefaultValuedAttr<I64Attr, "0">:$place),
    (outs "as x":$y), [AttrSizedOperandSegments]> {
  let summary = "elements that are dropped by chance while training";
  let description = [{
    In a step of `peer.train` an element is 0 with the probability `rate`, else it is divided by `1 - rate` (arXiv 1207.0580).
    Everywhere else the result is x: where a loss is evaluated, in decoding, and in what `peer.gradient` makes.

    Such a step gives it a `seed`, which is another for each call, and a `place`, which is another for each dropout. An element is
    kept where a hash of seed, place and its number in the tensor is at least `rate * 2^32`: the same bits on every target and at
    every number of threads, and again in the gradient, so that nothing has to be kept of them.

    - C1: x is f32, of rank 1 at least.
    - C2: rate is at least 0 and below 1.
    - C3: seed is a rank-0 i32.

    ```mlir
    %y = peer.dropout %x {rate = 0.1 : f32} : tensor<?x64xf32>
    ```
  }];
  let assemblyFormat = [{
    $x (`seed` $seed^)? (`outs` `(` $outs^ `:` type($outs) `)`)? attr-dict `:` type($x) (`,` type($seed)^)?
  }];
  let extraClassDeclaration = [{
    bool isElementwise() { return !getSeed(); }
  }];
}

#endif // PEER_TENSOR_OPS_TD
