//===- ModelOps.td - ops of a model description --------------------------===//
//
// Gone after --peer-inline-modules (param, call, repeat) and the passes that
// answer the requests (gradient, train, decode).
//
//===----------------------------------------------------------------------===//

#ifndef PEER_MODEL_OPS_TD
#define PEER_MODEL_OPS_TD

include "dialect/ops/PeerOpBase.td"
include "mlir/IR/SymbolInterfaces.td"

def Peer_ParamOp : Peer_Op<"param", [Peer_ModelOp, DeclareOpInterfaceMethods<OpAsmOpInterface, ["getAsmResultNames"]>]> {
  let summary = "a named parameter, where it is used";
  let description = [{
    The full name is the prefixes of the calls around it and this name, joined by dots, as in a PyTorch state dict. Using
    one name twice shares the parameter. `buffer` marks running statistics, which training updates without a gradient;
    `frozen` what no training changes: it has no gradient, no optimizer's state and no decay.

    - C1: the name is printable UTF-8 without spaces, neither empty nor longer than 1024 bytes, nor what files use
      otherwise: `__metadata__`, `state:` at its start.
    - C2: the type is a static tensor of f32, bf16, i8 or f8E4M3FN.
    - C3: i8 and f8E4M3FN parameters, quantized rows that no training changes, are initialised by zeros.
    - C4: the group is such a name, too, without `=` and `,`.
    - C5: it is not both `buffer`, which training moves, and `frozen`.

    ```mlir
    %wq = peer.param "query.weight" normal(0.02) : tensor<256x2048xf32>
    %pool = peer.param "experts" normal(0.02) group("experts") : tensor<65536x2x256xf32>
    %mean = peer.param "running_mean" zeros buffer : tensor<128xf32>
    %up = peer.param "ffw.up.weight" normal(0.02) frozen : tensor<256x1024xf32>
    ```
  }];
  let arguments = (ins StrAttr:$name, Peer_InitAttr:$init, DefaultValuedStrAttr<StrAttr, "default">:$group, UnitAttr:$buffer,
                       UnitAttr:$frozen);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = [{
    $name custom<Init>($init) (`group` `(` $group^ `)`)? (`buffer` $buffer^)? (`frozen` $frozen^)? attr-dict `:` type($result)
  }];
  let hasVerifier = 1;
}

def Peer_CallOp : Peer_Op<"call", [Peer_ModelOp, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "a block, with its parameters under a prefix";
  let description = [{
    - C1: the callee is a function of the module and its type matches.
    - C2: the callee does not call itself, directly or through others (checked by --peer-inline-modules).
    - C3: the prefix is empty or as a parameter's name.

    ```mlir
    %2 = peer.call "blocks.5" @peer_block(%1) : (tensor<?x256xf32>) -> tensor<?x256xf32>
    ```
    An empty prefix adds nothing to the names.
  }];
  let arguments = (ins StrAttr:$prefix, FlatSymbolRefAttr:$callee, Variadic<AnyType>:$inputs);
  let results = (outs Variadic<AnyType>:$results);
  let assemblyFormat = "$prefix $callee `(` $inputs `)` attr-dict `:` functional-type($inputs, $results)";
}

def Peer_RepeatOp : Peer_Op<"repeat", [Peer_ModelOp, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "a block several times in sequence, each with parameters of its own";
  let description = [{
    Block i gets the prefix `PREFIX.i`, i counting from `from` (0 where not given).

    - C1: the callee is a function of the module that maps the operand types to themselves; the results are of those types.
    - C2: the count is at least 0, `from` too.
    - C3: the prefix is empty or as a parameter's name.

    ```mlir
    %1 = peer.repeat "blocks" 5 @dense_block(%0) : tensor<?x256xf32>
    %3 = peer.repeat "blocks" 6 from 6 @dense_block(%2) : tensor<?x256xf32>
    ```
  }];
  let arguments = (ins StrAttr:$prefix, I64Attr:$count, DefaultValuedAttr<I64Attr, "0">:$from,
                       FlatSymbolRefAttr:$callee, Variadic<AnyType>:$inputs);
  let results = (outs Variadic<AnyType>:$results);
  let assemblyFormat = [{
    $prefix $count (`from` $from^)? $callee `(` $inputs `)` attr-dict `:` custom<SameTypes>(type($inputs), type($results))
  }];
  let hasVerifier = 1;
  let hasFolder = 1;
}

/// A request for an entry derived from a function of the module.
class Peer_DerivedEntryOp<string mnemonic> : Peer_Op<mnemonic, [
    Peer_ModelOp, Symbol, DeclareOpInterfaceMethods<SymbolUserOpInterface>]>;

def Peer_GradientOp : Peer_DerivedEntryOp<"gradient"> {
  let summary = "an entry that computes the gradient of a function";
  let description = [{
    The entry takes the function's arguments and one gradient `d<result>` per result, and returns `d<argument>` for each
    floating-point argument listed in `wrt` (positions; all of them where `wrt` is absent), then `grad.<parameter>` for
    each trainable parameter, dense (`parameters = false` leaves them out).

    With `saved` there are two entries: the one that it names returns what the function returns and then, as
    `saved.<name>`, what the gradient reads of values on the way; the gradient takes these and computes no forward pass.
    With `rows` the gradient of a pool is the pairs that it is the sum of (see `pool_grad`), one list for each op that
    reads the pool, and no `grad.<pool>`.

    - C1: the function exists and has a body.
    - C2: `wrt` lists floating-point arguments of the function.
    - C3: nothing else of the module has the name of the saving entry.

    ```mlir
    peer.gradient @layer_grad of @layer
    peer.gradient @layer_backward of @layer {saved = @layer_forward, rows}
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, FlatSymbolRefAttr:$function,
                       OptionalAttr<DenseI64ArrayAttr>:$wrt, DefaultValuedAttr<BoolAttr, "true">:$parameters,
                       OptionalAttr<FlatSymbolRefAttr>:$saved, UnitAttr:$rows);
  let assemblyFormat = "$sym_name `of` $function (`wrt` $wrt^)? attr-dict";
}

def Peer_TrainOp : Peer_DerivedEntryOp<"train"> {
  let summary = "an entry that makes one training step of a loss";
  let description = [{
    `--peer-add-optimizer` answers it with a function that computes loss and gradients and updates all parameters in place.
    `optimizer` serves the group `default`, `groups` the others by name. A pool in a `lazy` group is updated row by
    row, from the pairs of all ops that use it; where it is not lazy, every row is (exact, dense). Learning rates are run-time
    values; `schedule` in a group's optimizer says how its rate moves.

    - C1: the function exists and has a body; its first result, the loss, is a rank-0 f32 (passes append the values that it
      updates).
    - C2: every value of `groups` is an optimizer.

    ```mlir
    peer.train @train_step of @loss {optimizer = #peer.adamw<clip_norm = 1.0>,
                                     groups = {experts = #peer.adamw<learning_rate = 4.0e-3, lazy = true>}}
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, FlatSymbolRefAttr:$function, Peer_OptimizerAttr:$optimizer,
                       OptionalAttr<DictionaryAttr>:$groups);
  let assemblyFormat = "$sym_name `of` $function attr-dict";
}

def Peer_UpdateRowsOp : Peer_DerivedEntryOp<"update_rows"> {
  let summary = "an entry that makes one step of a pool from pairs that it is given";
  let description = [{
    The second half of `peer.gradient ... {rows}`: the entry takes the pairs of a pool's gradient, in any number (those of all
    uses, parts of a batch or machines, one after the other), and makes the step of `row_update` in place. Its scalars are
    the learning rate, the number of the step, and `scale`, by which the gradient is multiplied: where it is NaN nothing
    changes. Where there is a `norm`, an entry of this name returns the sum of squares of the gradient of such pairs.

    - C1: nothing else of the module has the name of the norm's entry.
    - C2: the optimizer is lazy, and does not clip: the caller does, by `scale`.
    - C3: the pool has a parameter's name.

    ```mlir
    peer.update_rows @experts_update norm @experts_norm of "experts" {optimizer = #peer.adamw<lazy>}
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, OptionalAttr<SymbolNameAttr>:$norm, StrAttr:$pool,
                       Peer_OptimizerAttr:$optimizer);
  let assemblyFormat = "$sym_name (`norm` $norm^)? `of` $pool attr-dict";
}

def Peer_DecodeOp : Peer_DerivedEntryOp<"decode"> {
  let summary = "entries that decode with a key-value cache";
  let description = [{
    `--peer-derive-decode` answers it with a prefill entry (a prompt of up to `context` tokens) and a decode entry (one
    token), both of which fill and use the caches.

    - C1: the function exists and has a body; its first argument is `T` i32, the tokens, and its one result a tensor.
    - C2: nothing else of the module has the name of the prefill entry.

    ```mlir
    peer.decode @decode prefill @prefill of @logits
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, SymbolNameAttr:$prefill, FlatSymbolRefAttr:$function);
  let assemblyFormat = "$sym_name `prefill` $prefill `of` $function attr-dict";
}

def Peer_MarkOp : Peer_Op<"mark", [MemoryEffects<[MemWrite]>]> {
  let summary = "a kernel starts here";
  let description = [{
    Placed by `--peer-tile` before each kernel; becomes a call of the runtime's profiling hook. `bytes` and `flops` are the
    kernel's work, `[constant, per token]`. An index of -1 ends the last kernel.

    - C1: bytes and flops are two numbers each.
  }];
  let arguments = (ins I64Attr:$index, StrAttr:$kernel, DenseI64ArrayAttr:$bytes, DenseI64ArrayAttr:$flops);
  let assemblyFormat = "$index $kernel `bytes` $bytes `flops` $flops attr-dict";
  let hasVerifier = 1;
}

#endif // PEER_MODEL_OPS_TD
