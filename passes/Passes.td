//===- Passes.td - passes from a description to the tiled level ----------===//

#ifndef PEER_PASSES_TD
#define PEER_PASSES_TD

include "mlir/Pass/PassBase.td"

def InlineModules : Pass<"peer-inline-modules", "::mlir::ModuleOp"> {
  let summary = "inline blocks and turn named parameters into arguments";
  let description = [{
    Model level to graph level. Every public function is an entry: its calls are inlined, the prefixes of the calls joined
    with the names of the parameters, and each parameter becomes one trailing argument, in order of first use. One
    name used twice is one argument; used with another type, initialiser or group it is an error, across entries too.
    Private functions that nothing uses afterwards are erased.

    ```mlir
    func.func private @ffw(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
      %w = peer.param "weight" normal(0.02) : tensor<8x8xf32>
      %y = peer.linear %x, %w : tensor<?x8xf32>, tensor<8x8xf32>
      return %y : tensor<?x8xf32>
    }
    func.func @f(%x: tensor<?x8xf32> {peer.name = "x"}) -> (tensor<?x8xf32> {peer.name = "y"}) {
      %y = peer.call "blocks.0" @ffw(%x) : (tensor<?x8xf32>) -> tensor<?x8xf32>
      return %y : tensor<?x8xf32>
    }
    ```
    becomes
    ```mlir
    func.func @f(%x: tensor<?x8xf32> {peer.name = "x", peer.role = "input"},
                 %w: tensor<8x8xf32> {peer.name = "blocks.0.weight", peer.role = "parameter", peer.parameter = ...})
        -> (tensor<?x8xf32> {peer.name = "y"}) attributes {peer.kind = "forward"} {
      %y = peer.linear %x, %w : tensor<?x8xf32>, tensor<8x8xf32>
      return %y : tensor<?x8xf32>
    }
    ```
    The attributes of entries are described in Entries.h.
  }];
  let dependentDialects = ["::mlir::func::FuncDialect", "::mlir::bufferization::BufferizationDialect"];
}

def DeriveDecode : Pass<"peer-derive-decode", "::mlir::ModuleOp"> {
  let summary = "derive prefill and single-token decode from a forward function";
  let description = [{
    Answers `peer.decode`. Both entries take tokens, a `position`, the parameters and one pair of caches per attention (`cache.N.key` and
    `.value`, after the decode entry's name where there are several requests), and return the logits and the caches, in place. Rotary positions and attention become their cached forms:

    ```mlir
    %q1 = peer.rotary %q heads 4 context 128 : tensor<?x128xf32>
    %o = peer.attention %q1, %k1, %v heads 4 context 128 : tensor<?x128xf32>, tensor<?x128xf32>, tensor<?x128xf32>
    ```
    becomes, in the decode entry,
    ```mlir
    %q1 = peer.rotary_at %q, %position heads 4 : tensor<1x128xf32>, tensor<i32>
    %o:3 = peer.cached_attention %q1, %k1, %v, %key_cache, %value_cache, %position {heads = 4}
       : tensor<1x128xf32>, tensor<1x128xf32>, tensor<1x128xf32>, tensor<128x128xf32>, tensor<128x128xf32>, tensor<i32>
    ```
    All rotary positions and attentions must have the same context. An op that mixes tokens in another way is refused,
    and one that adds to tokens' rows what is not computed from tokens; what the result does not need is left out.
  }];
  let dependentDialects = ["::mlir::func::FuncDialect", "::mlir::bufferization::BufferizationDialect"];
}

def DeriveUpdates : Pass<"peer-derive-updates", "::mlir::ModuleOp"> {
  let summary = "build the steps from given pairs that peer.update_rows asks for";
  let description = [{
    How many pairs a token has is read off the ops that use the pool. Where these differ, the entry has one head and as many pairs as the
    largest of them; a caller fills up with indices of -1.

    ```mlir
    peer.update_rows @experts_update norm @experts_norm of "experts" {optimizer = #peer.sgd<lazy>}
    ```
    becomes
    ```mlir
    func.func @experts_update(%idx: tensor<?x4x8xi32> {peer.name = "experts.idx"}, %coef, %x, %dy, %pool: tensor<4096x2x64xf32>,
                              %lr: tensor<f32>, %step: tensor<f32>, %scale: tensor<f32>)
        -> (tensor<4096x2x64xf32> {peer.name = "experts", peer.updates = 4 : i64}) {
      %order, %starts, %count = peer.sort_pairs %idx experts 4096 : tensor<?x4x8xi32>
      %new = peer.row_update %pool, %idx, %order, %starts, %count, %coef, %x, %dy, %lr, %step, %scale {optimizer = ...} : ...
      return %new : tensor<4096x2x64xf32>
    }
    func.func @experts_norm(%idx, %coef, %x, %dy) -> (tensor<f32> {peer.name = "squares"}) { ... peer.pool_grad_norm ... }
    ```
  }];
  let dependentDialects = ["::mlir::func::FuncDialect", "::mlir::bufferization::BufferizationDialect"];
}

def Differentiate : Pass<"peer-differentiate", "::mlir::ModuleOp"> {
  let summary = "build the gradient entries that peer.gradient asks for";
  let description = [{
    Reverse mode, op by op, through `DifferentiableOpInterface`; contributions to one value are added with `arith.addf`.
    Only what the wanted gradients need is built. A gradient that nothing reaches is zero. The gradient of a value narrower than f32 is f32.

    ```mlir
    func.func @f(%x: tensor<?x8xf32>, %w: tensor<8x8xf32> {peer.parameter = ...}) -> tensor<?x8xf32> {
      %y = peer.linear %x, %w : tensor<?x8xf32>, tensor<8x8xf32>
      return %y : tensor<?x8xf32>
    }
    peer.gradient @f_grad of @f
    ```
    becomes, beside `@f`,
    ```mlir
    func.func @f_grad(%x: tensor<?x8xf32>, %dy: tensor<?x8xf32>, %w: tensor<8x8xf32> {peer.parameter = ...})
        -> (tensor<?x8xf32> {peer.name = "dx"}, tensor<8x8xf32> {peer.name = "grad.w"}) {
      %dx = peer.linear %dy, %w {transpose_weight} : tensor<?x8xf32>, tensor<8x8xf32>
      %dw = peer.linear %x, %dy {transpose_x} : tensor<?x8xf32>, tensor<?x8xf32>
      return %dx, %dw : tensor<?x8xf32>, tensor<8x8xf32>
    }
    ```
    With `saved` this is two entries. What the gradient reads of the forward pass is returned by the saving entry, and an argument
    of the other, but for what is an argument, costs no more than reading it to compute again (elementwise ops, norms and gates,
    whose operands are there), or is made of parameters alone: a table is never saved. With `rows` a pool's gradient is left in pair
    form; the attribute `peer.pairs` says which arguments and results its pairs consist of.
  }];
  let dependentDialects = ["::mlir::func::FuncDialect", "::mlir::bufferization::BufferizationDialect",
                           "::mlir::arith::ArithDialect", "::mlir::linalg::LinalgDialect", "::mlir::tensor::TensorDialect"];
}

def AddOptimizer : Pass<"peer-add-optimizer", "::mlir::ModuleOp"> {
  let summary = "build the training step that peer.train asks for";
  let description = [{
    The step computes the loss in training mode (batch norms use the batch's statistics and move the running ones, dropouts
    drop by the scalar `dropout_seed`), the gradient of every trainable parameter, one gradient norm per group, and updates
    parameters and optimizer states in place.

    A pool in a lazy group is updated row by row from the row-sparse gradient of its mix; any other parameter of such
    a group is updated as a whole. The pairs of several mixes that share a pool are one list. A parameter that no gradient reaches
    is left alone, with a warning. A group of pools updated lazily reports its gradient norm only where it is clipped,
    and otherwise `gradient_fault.<group>`, which is 0, or NaN where its gradient is not finite.
    A step whose loss or gradients are not finite is vetoed: parameters, states and running statistics stay as they were.

    Arguments: the loss's inputs, parameters, states (`<parameter>.m`, `.v` or `.momentum`), `learning_rate.<group>` for
    each group, `step`. Results: `loss`, `gradient_norm.<group>`, then everything updated.

    ```mlir
    func.func @loss(%x: tensor<?x8xf32>, %w: tensor<8x8xf32> {peer.parameter = ...}) -> tensor<f32> { ... }
    peer.train @train_step of @loss {optimizer = #peer.sgd<clip_norm = 1.0>}
    ```
    becomes, beside `@loss`,
    ```mlir
    func.func @train_step(%x, %w, %lr: tensor<f32> {peer.name = "learning_rate.default"}, %step: tensor<f32>)
        -> (tensor<f32> {peer.name = "loss"}, tensor<f32> {peer.name = "gradient_norm.default"},
            tensor<8x8xf32> {peer.name = "w", peer.updates = 1 : i64}) {
      ...                                      // loss and gradient %dw, as --peer-differentiate builds them
      %squares = peer.sum_squares %dw : tensor<8x8xf32>
      %norm = math.sqrt %squares : tensor<f32>
      ...                                      // %scale = min(1, clip_norm / (%norm + 1e-6)), or NaN: vetoed
      %new = peer.update %w, %dw, %lr, %step, %scale {optimizer = ...} : ...
      return %value, %norm, %new : ...
    }
    ```

    With `accumulate` the step is there in two more entries, so that gradients can be summed over the parts of a batch
    that is too large for memory:

    - `NAME_accumulate`, of kind `accumulate`: loss and gradients. It takes the loss's inputs, the parameters and two scalars:
      `gradient_weight`, the gradient of the loss, is 1/N for N parts; where `first_part` is not 0 sums begin. A dense gradient is
      added, in place, to the state `<parameter>.gradient`; of a row-sparse one the results are `<pool>.idx`, `.coef`, `.x`
      and `.dy` (see `peer.pool_grad`), with one row per token.
    - `NAME_update`, of kind `update`: norms, clipping and updates. It takes as inputs the row-sparse gradients of all parts, one
      after the other, the parameters, the sums, the optimizer's states, learning rates and `step`, and the
      scalar `loss`, which vetoes the step where it is not finite.

    N calls of the first and one of the second are the step on the whole batch, to rounding, if its loss is the mean of those
    of its parts; what cannot be seen to be so is refused. Batch norms take the statistics of a part; what they move the
    running ones towards is the whole batch's, put together from the states `<statistic>.batch`.

    ```mlir
    func.func @train_step_accumulate(%x, %w, %weight: tensor<f32> {peer.name = "gradient_weight"},
                                     %first: tensor<f32> {peer.name = "first_part"}, %sum: tensor<8x8xf32> {peer.name = "w.gradient"}) -> ... {
      ...                                      // loss and gradient %dw, where that of the loss is %weight
      %new = linalg.generic ... ins(%dw, %first) outs(%sum) ...    // (%first != 0 ? 0 : %sum) + %dw
      return %value, %new : ...
    }
    func.func @train_step_update(%w, %sum: tensor<8x8xf32> {peer.name = "w.gradient"}, %lr, %step, %loss) -> ... {
      ...                                      // norm and scale, of %sum
      %new = peer.update %w, %sum, %lr, %step, %scale {optimizer = ...} : ...
      return %norm, %new : ...
    }
    ```
  }];
  let options = [Option<"accumulate", "accumulate", "bool", "false",
                        "build the step in two entries, too, whose gradients can be summed over calls">];
  let dependentDialects = ["::mlir::func::FuncDialect", "::mlir::bufferization::BufferizationDialect",
                           "::mlir::arith::ArithDialect", "::mlir::math::MathDialect",
                           "::mlir::linalg::LinalgDialect", "::mlir::tensor::TensorDialect"];
}

def AddUsage : Pass<"peer-add-usage", "::mlir::ModuleOp"> {
  let summary = "let loss and training entries count which experts are used";
  let description = [{
    Adds a `peer.usage` beside each `peer.mix` of an entry of kind `loss`, `train` or `accumulate`, with an argument of role `usage`,
    named as the pool, and its result, in place. Mixes that share a pool share the histogram. A mix with one expert (a dense
    layer) and a mix whose pool is not a parameter have nothing to count or no name to count it under, and are skipped.

    ```mlir
    %y = peer.mix %x, %idx, %w, %pool gelu : ...
    ```
    becomes
    ```mlir
    %y = peer.mix %x, %idx, %w, %pool gelu : ...
    %used = peer.usage %idx, %w, %mass : tensor<?x8x16xi32>, tensor<?x8x16xf32>, tensor<65536xf64>
    ```
  }];
  let dependentDialects = ["::mlir::func::FuncDialect", "::mlir::bufferization::BufferizationDialect"];
}

def GuardIndices : Pass<"peer-guard-indices", "::mlir::func::FuncOp"> {
  let summary = "see to it that no index reaches beyond what it indexes";
  let description = [{
    What an op takes as an index (`IndexingOpInterface`) is in range where that follows: from the `peer.range` of
    an entry's argument, which is checked before a call, from a selection, a constant, integer arithmetic. Where it does not
    follow, the index is clamped and the values that changed are counted; the count is one more result of the entry, with a
    `peer.check` that says what was counted, and a call in which it is not 0 fails. Updates are vetoed then, too.

    Refused are indices into nothing, and a row-sparse gradient that no `peer.sort_pairs` of its indices made.

    ```mlir
    %u = arith.addi %t, %t : tensor<?xi32>
    %y = peer.embedding %u, %table : tensor<?xi32>, tensor<8x4xf32>
    return %y : tensor<?x4xf32>
    ```
    becomes
    ```mlir
    %u = arith.addi %t, %t : tensor<?xi32>
    %inside, %changed = linalg.generic ...      // min(max(u, 0), 7), and 1.0 where that is another value
    %y = peer.embedding %inside, %table : tensor<?xi32>, tensor<8x4xf32>
    %count = peer.sum_squares %changed : tensor<?xf32>
    return %y, %count : tensor<?x4xf32>, tensor<f32>
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::math::MathDialect", "::mlir::linalg::LinalgDialect",
                           "::mlir::tensor::TensorDialect"];
}

def Fuse : Pass<"peer-fuse", "::mlir::func::FuncOp"> {
  let summary = "fold ops so that large intermediate tensors are never formed, on any target";
  let description = [{
    The gradient of scores through a selection touches the selected keys only:

    ```mlir
    %dlogits = peer.select_grad %idx, %dval product_topk<16> n 1024 : tensor<?x8x16xi32>, tensor<?x8x16xf32>
    %dq = peer.score_query_grad %dlogits, %keys : tensor<?x8x2x1024xf32>, tensor<8x2x1024x128xf32>
    %dk = peer.score_key_grad %dlogits, %q : tensor<?x8x2x1024xf32>, tensor<?x8x2x128xf32>
    ```
    becomes
    ```mlir
    %dq = peer.route_query_grad %idx, %dval, %keys product_topk<16> : ...
    %dk = peer.route_key_grad %idx, %dval, %q product_topk<16> n 1024 : ...
    ```
    Under the policy `all` every key is selected and the dense form stays. Chains of `peer.reshape` become one, or none.

    Then the scores themselves: score, the select that alone reads its logits, and the gate of what it selects, if there is one,
    become a `peer.route`, which forms them a tile at a time.

    ```mlir
    %s = peer.score %q, %keys : tensor<?x8x2x128xf32>, tensor<8x2x1024x128xf32>
    %idx, %val = peer.select %s product_topk<16> : tensor<?x8x2x1024xf32>
    %w = peer.gate %val softmax : tensor<?x8x16xf32>
    ```
    becomes
    ```mlir
    %idx, %w = peer.route %q, %keys product_topk<16> gate softmax : tensor<?x8x2x128xf32>, tensor<8x2x1024x128xf32>
    ```
    Where something else reads `%val`, a gradient for one, it is a third result (`keep_val`). Where something else reads `%s`, or
    several gates `%val`, those ops stay as they are.
  }];
}

def ExpandTensorOps : Pass<"peer-expand-tensor-ops", "::mlir::func::FuncOp"> {
  let summary = "softmax, broadcast, reduce, slice, pad, concat, transpose, straight_through and hash as ops of linalg and tensor";
  let description = [{
    Sizes are read off operands. So `%b = peer.broadcast %w like %x along [1]` becomes
    `linalg.generic {indexing_maps = [(d0, d1) -> (d0), (d0, d1) -> (d0, d1)], ...} ins(%w) outs(%0) {...}`.
  }];
  let dependentDialects = ["::mlir::linalg::LinalgDialect", "::mlir::math::MathDialect", "::mlir::tensor::TensorDialect"];
}

def DecomposeRoutes : Pass<"peer-decompose-routes", "::mlir::func::FuncOp"> {
  let summary = "peer.route as score, select and gate again";
  let description = [{
    For targets that have a kernel for each of the three and a tile of scores between them, and for shapes that no kernel
    takes as one: whole tensors before `--peer-tile`, or the tiles that it made.

    ```mlir
    %idx, %w = peer.route %q, %keys product_topk<16> gate softmax : tensor<?x1x2x128xf32>, tensor<1x2x1024x128xf32>
    ```
    becomes
    ```mlir
    %s = peer.score %q, %keys : tensor<?x1x2x128xf32>, tensor<1x2x1024x128xf32>
    %idx, %val = peer.select %s product_topk<16> : tensor<?x1x2x1024xf32>
    %w = peer.gate %val softmax : tensor<?x1x16xf32>
    ```
  }];
}

def FuseElementwise : Pass<"peer-fuse-elementwise", "::mlir::func::FuncOp"> {
  let summary = "chains of elementwise linalg ops become one op each, of 64 operations at most";
  let description = [{
    Upstream's `linalg-fuse-elementwise-ops` with a limit: a fused body is made anew for each op that joins, so that its time
    grows with the square of a chain's length.

    ```mlir
    %0 = linalg.generic ... ins(%x) { arith.addf }
    %1 = linalg.generic ... ins(%0) { arith.mulf }
    ```
    becomes
    ```mlir
    %1 = linalg.generic ... ins(%x) { arith.addf; arith.mulf }
    ```
  }];
  let dependentDialects = ["::mlir::affine::AffineDialect", "::mlir::linalg::LinalgDialect", "::mlir::tensor::TensorDialect"];
}

def Tile : Pass<"peer-tile", "::mlir::func::FuncOp"> {
  let summary = "put kernels into parallel loops over tiles, and mark where they start";
  let description = [{
    Graph level to tiled level. Each op for which the target's model has sizes is put into an `scf.forall` over tiles
    of its parallel loops. Elementwise ops share a loop where one is the only user of the other. Ops without sizes stay as they
    are: their emitters make their own loops.

    A `peer.mark` before each kernel says what it moves and computes, of whole tensors: bytes and floating-point operations,
    `[constant, per token]`; one of index -1 ends the last.

    `sizes` gives sizes by kernel name instead of a target's: loops are the letters of the index notation, `d0`, `d1`, ... for
    linalg ops, e.g. `route:t=64,h=1;mix:t=32;elementwise:d0=64`. A static loop other than over tokens takes the
    largest divisor up to the size given.

    ```mlir
    %idx, %w = peer.route %q, %keys product_topk<16> gate softmax : tensor<?x8x2x128xf32>, tensor<8x2x1024x128xf32>
    ```
    becomes
    ```mlir
    peer.mark 0 "route" bytes [8388608, 9216] flops [0, 4194304]
    %r:2 = scf.forall (%t, %h) = (0, 0) to (%T, 8) step (64, 1) shared_outs(%idx0 = ..., %w0 = ...) {
      %size = affine.min ...                       // 64 but for the last tile
      %q1 = tensor.extract_slice %q[%t, %h, 0, 0] [%size, 1, 2, 128] [1, 1, 1, 1] : ...
      %k1 = tensor.extract_slice %keys[%h, 0, 0, 0] [1, 2, 1024, 128] [1, 1, 1, 1] : ...
      %idx, %w = peer.route %q1, %k1 product_topk<16> gate softmax : tensor<?x1x2x128xf32>, tensor<1x2x1024x128xf32>
      scf.forall.in_parallel { ... }
    }
    ```
  }];
  let options = [Option<"sizes", "sizes", "std::string", "\"\"", "tile sizes by kernel name">];
  let dependentDialects = ["::peer::PeerDialect", "::mlir::affine::AffineDialect", "::mlir::arith::ArithDialect",
                           "::mlir::scf::SCFDialect", "::mlir::tensor::TensorDialect"];
}

def ToDestinations : Pass<"peer-to-destinations", "::mlir::func::FuncOp"> {
  let summary = "give graph ops tensors to write to";
  let description = [{
    Bufferization then decides on buffers for the tensors only, and `--eliminate-empty-tensors` lets a tile write into the
    loop's result directly. A result that is tied to an input needs none.

    ```mlir
    %w = peer.gate %val softmax : tensor<?x8x16xf32>
    ```
    becomes
    ```mlir
    %0 = tensor.empty(%T) : tensor<?x8x16xf32>
    %w = peer.gate %val softmax outs(%0 : tensor<?x8x16xf32>) : tensor<?x8x16xf32>
    ```
    A `peer.reshape` is refused: as a view it must have been lowered before.
  }];
  let dependentDialects = ["::mlir::affine::AffineDialect", "::mlir::arith::ArithDialect",
                           "::mlir::tensor::TensorDialect"];
}

def VerifyLevel : Pass<"peer-verify-level", "::mlir::ModuleOp"> {
  let summary = "check that a module is at the level it should be";
  let description = [{
    | level | allowed |
    |---|---|
    | `model` | what a description may hold (README.md): functions, requests, peer ops that people write, elementwise `arith` and `math`, `linalg` |
    | `graph` | peer ops on tensors, `arith`, `math`, `tensor`, `linalg`, functions; no names, calls or requests left |
    | `tiled` | the same and `scf` loops, `bufferization`, `affine` index arithmetic; scores stand inside a loop or have static shapes |
    | `kernel` | `vector`, `memref`, `scf` and what the target's code is written in; no peer op, no `linalg` and no tensor |

    Reports the first op that does not belong there, or that mixes a pool of more or fewer experts than were selected among;
    at the graph level also one whose operands have different numbers of rows per token, after a reshape.
  }];
  let options = [Option<"level", "level", "std::string", "\"graph\"", "model, graph, tiled or kernel">];
}

#endif // PEER_PASSES_TD
