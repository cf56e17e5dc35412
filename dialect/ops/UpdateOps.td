//===- UpdateOps.td - optimizers as ops ----------------------------------===//

#ifndef PEER_UPDATE_OPS_TD
#define PEER_UPDATE_OPS_TD

include "dialect/ops/PeerOpBase.td"

/// Updates have no `outs`: every result is tied to an input and written in place. C0 of all: operands are all
/// tensors or all buffers.
class Peer_UpdateOpBase<string mnemonic, dag inputs, list<Trait> traits = []>
    : Peer_Op<mnemonic, !listconcat(traits, [
        DeclareOpInterfaceMethods<Peer_GraphOpInterface,
          ["getOutsMutable", "getIndexNotation", "getTiedInput"]>, OpAsmOpInterface,
        Peer_NamedOutputs<(outs "":$updated)>, Peer_UpdateOpInterface, Peer_InferTypes, Peer_GraphOpEffects])> {
  let arguments = !con(inputs, (ins Variadic<Peer_Shaped>:$states));
  let results = (outs Peer_Results<(outs "the parameter, then its states, each like what it is tied to":$updated)>:$results);
  let assemblyFormat = "operands attr-dict `:` type(operands)";
}

def Peer_UpdateOp : Peer_UpdateOpBase<"update",
    (ins Peer_Shaped:$param, Peer_Shaped:$grad, Peer_Shaped:$learning_rate, Peer_Shaped:$step,
         Peer_Shaped:$scale, Peer_OptimizerAttr:$optimizer)> {
  let summary = "one exact optimizer step over a whole parameter";
  let description = [{
    Results: the parameter, then its states (adamw and rowwise_adam: m, if beta1 is not 0, and v; sgd: a momentum buffer, if momentum is not 0; rowwise_adagrad: sum;
    adafactor: the rows' and columns' moments, or v of a vector), all in place.
    Where `scale` is NaN the step is vetoed and nothing changes. Otherwise `g = scale * grad`. adamw, with `step` counted from 1 (arXiv 1711.05101, algorithm 2):
    `m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2;
    p -= lr * (m / (1 - b1^step) / (sqrt(v / (1 - b2^step)) + eps) + weight_decay * p)`.
    sgd: `m = momentum * m + g; p -= lr * (m + weight_decay * p)`.
    With q the mean of `g^2` over the elements of a row, rowwise_adam has `v = b2 v + (1 - b2) q`, and rowwise_adagrad
    `sum += q; p -= lr * (g / (sqrt(sum) + eps) + weight_decay * p)`. adafactor (arXiv 1804.04235, algorithm 4), with `w = step^-decay_rate`:
    `rows = (1 - w) rows + w (mean of g^2 over a row + eps)`, columns likewise; `u = g / sqrt(rows * columns / mean(rows))`,
    `p -= lr * (u / max(1, rms(u) / clip_threshold) + weight_decay * p)`; of a vector `v = (1 - w) v + w (g^2 + eps)` and `u = g / sqrt(v)`.
    What is kept in bf16, the parameter or states, is computed in f32 and rounded stochastically (arXiv 1502.02551), or with
    `rounding = nearest` as ever: up with the probability that makes the mean exact, by bits that are a hash of `step` and the element's
    number, the same on every target and others for each thing kept. What is finite stays so.

    - C1: the parameter is static, f32 or bf16; grad is f32 of its shape, states have the
      shapes and elements that the optimizer asks for.
    - C2: learning_rate, step and scale are rank-0 f32.
    - C3: as many states as the optimizer keeps.
  }];
}

def Peer_RowUpdateOp : Peer_UpdateOpBase<"row_update",
    (ins Peer_Shaped:$pool, Peer_Shaped:$idx, Peer_Shaped:$order, Peer_Shaped:$starts, Peer_Shaped:$count,
         Peer_Shaped:$coef, Peer_Shaped:$x, Peer_Shaped:$dy, Peer_Shaped:$learning_rate, Peer_Shaped:$step,
         Peer_Shaped:$scale, Peer_OptimizerAttr:$optimizer), [Peer_RowGradOpInterface]> {
  let summary = "one lazy optimizer step over the touched rows of a pool";
  let description = [{
    The row-sparse gradient (see `pool_grad`) summed for each touched row and applied at once, as `update` does.
    Where `scale` is NaN the step is vetoed: nothing changes. Rows that no pair touches keep value and states: weight decay and moment decay skip them too.
    Deterministic: each touched expert belongs to one segment, each segment to one thread.

    - C1: the row-sparse gradient's operands as for pool_grad; the pool is `R x F x D`, static, f32 or bf16; states
      have the shapes and elements that the optimizer asks for.
    - C2: learning_rate, step and scale are rank-0 f32.
    - C3: as many states as the optimizer keeps.
    - C4: r, the rows per expert, is at least 1 and divides R.
    - C5: the optimizer makes a step of some rows alone: it has no states of columns.
  }];
  let extraClassDeclaration = [{
    std::optional<int64_t> getGatheredElements(unsigned input);
  }];
}

def Peer_SumSquaresOp : Peer_GraphOp<"sum_squares", (ins Peer_Shaped:$x),
    (outs "a rank-0 f32":$squares)> {
  let summary = "sum of squares of all elements, a rank-0 f32";
  let description = [{
    The same on every run, whatever the number of threads.

    - C1: x is f32.
  }];
  let assemblyFormat = "operands attr-dict `:` type(operands)";
}

#endif // PEER_UPDATE_OPS_TD
