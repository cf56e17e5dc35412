//===- Conversions.td - passes on trained models, their description halves ===//

#ifndef PEER_CONVERSIONS_TD
#define PEER_CONVERSIONS_TD

include "mlir/Pass/PassBase.td"

/// What all of them have: where the plan goes, and which layers are meant.
class Peer_Conversion<string name> : Pass<"peer-" # name, "::mlir::ModuleOp"> {
  list<Option> common = [
    Option<"plan", "plan", "std::string", "\"\"",
           "where to write how the weights follow from those of before (README.md; empty: nowhere)">,
    ListOption<"layers", "layers", "std::string",
               "names that the parameters of the layers to convert begin with, as blocks.1.ffw (none: all layers)">];
  let dependentDialects = ["::peer::PeerDialect", "::mlir::arith::ArithDialect", "::mlir::func::FuncDialect"];
}

def SplitExperts : Peer_Conversion<"split-experts"> {
  let summary = "cut each expert of several rows into smaller ones, the function unchanged";
  let description = [{
    Each expert becomes `factor` experts of `rows_per_expert / factor` rows each, with the same row of the router each; `factor` times as many are
    selected, which are all parts of those that were selected before, since ties go to the lower index. The pool stays as it is, but where the weights
    of the selected are shares of one (gate `softmax`, `probability`): parts have the `factor`-th part of the weight each, and the last vectors of the rows, the
    values, are multiplied by `factor`. Losses of balance, capacities and biases keep their meaning. (DeepSeekMoE, arXiv 2401.06066, section 3.1.)

    Layers whose experts are one row, and those of product keys, stay as they are. Refused are the policy `top_p`, which may stop between two parts, and whatever else reads the
    scores or the selection in a way that would change: the message names it.

    ```mlir
    %c = peer.param "router" normal(0.2) : tensor<1x1x8x128xf32>
    %s = peer.score %q, %c : tensor<?x1x1x128xf32>, tensor<1x1x8x128xf32>
    %i, %v = peer.select %s topk<2> : tensor<?x1x1x8xf32>
    %w = peer.gate %v softmax : tensor<?x1x2xf32>
    %y = peer.mix %x, %i, %w, %p silu {rows_per_expert = 64} : ...
    ```
    becomes, with `factor=4`,
    ```mlir
    %c = peer.param "router" normal(0.2) : tensor<1x1x32x128xf32>
    %s = peer.score %q, %c : tensor<?x1x1x128xf32>, tensor<1x1x32x128xf32>
    %i, %v = peer.select %s topk<8> : tensor<?x1x1x32xf32>
    %w = peer.gate %v softmax : tensor<?x1x8xf32>
    %y = peer.mix %x, %i, %w, %p silu {rows_per_expert = 16} : ...
    ```
  }];
  let options = common # [Option<"factor", "factor", "int64_t", "2", "parts of an expert">];
}

def MergeExperts : Peer_Conversion<"merge-experts"> {
  let summary = "make one expert of several with the same row of the router, the function unchanged";
  let description = [{
    The inverse of `--peer-split-experts`. What the description says must be multiples of `factor`: the experts, and how many are selected. That the
    `factor` experts that become one have the same row of the router is for the weights to show: the plan demands it.
  }];
  let options = common # [Option<"factor", "factor", "int64_t", "2", "experts that become one">];
}

def PruneExperts : Peer_Conversion<"prune-experts"> {
  let summary = "keep some experts of each layer, and their rows of the router";
  let description = [{
    Which experts are kept is the decision `kept:POOL` of the weights half (UNCURL, arXiv 2409.01483). With `how=merge` each expert that is left is a mean of several: its shares
    are a row of the decision `shares:POOL`, and the rows of a pool come into the order of `units:POOL` before it. As many are selected as before, of fewer; policies that
    select up to a number select at most those that there are. A layer of fewer experts than a `topk` selects is refused, and so is one of product keys.

    ```mlir
    %s = peer.score %q, %c : tensor<?x1x1x128xf32>, tensor<1x1x8x128xf32>
    %i, %v = peer.select %s topk<2> : tensor<?x1x1x8xf32>
    ```
    becomes, with `experts=6`,
    ```mlir
    %s = peer.score %q, %c : tensor<?x1x1x128xf32>, tensor<1x1x6x128xf32>
    %i, %v = peer.select %s topk<2> : tensor<?x1x1x6xf32>
    ```
  }];
  let options = common # [
    Option<"experts", "experts", "int64_t", "0", "experts to keep of each layer">,
    Option<"how", "how", "std::string", "\"drop\"", "what becomes of the others: drop, or merge into those that are kept">];
}

def Upcycle : Peer_Conversion<"upcycle"> {
  let summary = "make a mixture of experts of a dense layer, or put a PEER layer beside it, the function unchanged";
  let description = [{
    For models that are trained on. `form=moe`: the layer becomes `experts` copies of itself and a new router, of whose experts a token takes `top-k`, weighted by the softmax over
    those: the weights of equal copies add up to one (Sparse Upcycling, arXiv 2212.05055). `form=peer`: the layer stays, and a PEER layer (arXiv 2407.04153) of `experts` neurons is added to
    its output, with `heads` heads that take `top-k` each; their output vectors begin with zeros. Pools are in the group `experts`.

    A dense layer is `act(x . up) . down`, or `(act(x . gate) * (x . up)) . down`, without biases, with parameters of its own.

    ```mlir
    %u = peer.param "ffw.up.weight" normal(0.05) : tensor<128x512xf32>
    %h = peer.linear %x, %u : tensor<?x128xf32>, tensor<128x512xf32>
    %a = peer.activation %h gelu : tensor<?x512xf32>
    %d = peer.param "ffw.down.weight" normal(0.02) : tensor<512x128xf32>
    %y = peer.linear %a, %d : tensor<?x512xf32>, tensor<512x128xf32>
    ```
    becomes
    ```mlir
    %c = peer.param "ffw.router" normal(0.02) : tensor<1x1x8x128xf32>
    %q = peer.reshape %x to tensor<?x1x1x128xf32> : tensor<?x128xf32>
    %s = peer.score %q, %c : tensor<?x1x1x128xf32>, tensor<1x1x8x128xf32>
    %i, %v = peer.select %s topk<2> : tensor<?x1x1x8xf32>
    %w = peer.gate %v softmax : tensor<?x1x2xf32>
    %p = peer.param "ffw.experts" normal(0.02) group("experts") : tensor<4096x2x128xf32>
    %y = peer.mix %x, %i, %w, %p gelu {rows_per_expert = 512} : ...
    ```
  }];
  let options = common # [
    Option<"form", "form", "std::string", "\"moe\"", "moe: experts in place of the layer; peer: a PEER layer beside it">,
    Option<"experts", "experts", "int64_t", "8", "experts; of a PEER layer a square">,
    Option<"topK", "top-k", "int64_t", "2", "experts that a token takes, or a head of it">,
    Option<"heads", "heads", "int64_t", "4", "heads of a PEER layer">];
}

def Moefy : Peer_Conversion<"moefy"> {
  let summary = "cut a dense layer into groups of hidden units, of which a router takes some";
  let description = [{
    The rows of the layer's weights, in an order that groups those which belong together, are a pool of `experts` groups of equal size; the router's
    best `top-k` are added up, each with the weight 1 (MoEfication, arXiv 2110.01786). With all groups the function is the old one. The order and the router's rows
    are the decisions `order:LAYER` and `router:LAYER` of the weights half.

    The layer's IR is that of `--peer-upcycle`, but for the gate `one` and rows_per_expert, which is the `experts`-th part of the hidden units.
  }];
  let options = common # [Option<"experts", "experts", "int64_t", "16", "groups of hidden units; a divisor of their number">,
                          Option<"topK", "top-k", "int64_t", "4", "groups that a token takes">];
}

def Quantize : Peer_Conversion<"quantize"> {
  let summary = "store pools, weights of linear layers and embeddings as int8, int4 or fp8, for inference";
  let description = [{
    Each parameter that only `peer.mix` reads, as its pool, `peer.linear`, as its weight, or `peer.embedding`, as its table, becomes an i8 (or f8E4M3FN) parameter of its name and NAME.scale,
    read by `peer.quantized_mix`, `peer.quantized_linear`, and two `peer.embedding`, one of numbers and one of their scales. A weight gets a row for each output; a table that is the
    transposed weight of the head, too, is stored once, for both. `bits=4` stores two elements a byte; what an embedding reads has 8 bits, and is i8 always. Each vector has a
    scale, or each `group` elements of it. What these ops have no gradient for is gone: requests of gradients and of training; the loss stays.

    ```mlir
    %w = peer.param "up.weight" normal(0.02) : tensor<256x1024xf32>
    %y = peer.linear %x, %w : tensor<?x256xf32>, tensor<256x1024xf32>
    ```
    becomes
    ```mlir
    %w = peer.param "up.weight" zeros frozen : tensor<1024x256xi8>
    %s = peer.param "up.weight.scale" zeros frozen : tensor<1024xf32>
    %y = peer.quantized_linear %x, %w, %s : tensor<?x256xf32>, tensor<1024x256xi8>, tensor<1024xf32>
    ```
  }];
  let options = common # [
    Option<"bits", "bits", "int64_t", "8", "of an element: 8 or 4">,
    Option<"format", "format", "std::string", "\"int\"", "int: whole numbers; fp8: floating-point numbers of 8 bits (f8E4M3FN)">,
    Option<"group", "group", "int64_t", "0", "elements with a scale of their own; 0: a vector, or with 4 bits 32">,
    Option<"tables", "tables", "std::string", "\"all\"", "experts: pools; dense: weights of linear layers; embeddings: their tables; all">];
}

def DropBlocks : Peer_Conversion<"drop-blocks"> {
  let summary = "leave out blocks that return what they take";
  let description = [{
    A block is an iteration of `peer.repeat`, or a `peer.call` of the types of its inputs under a name that ends with a number; it takes all parameters below its name with it. Which ones
    `drop` names is the decision of the weights half (ShortGPT, arXiv 2403.03853; Mamba-Shedder, arXiv 2501.17088). Those that are left count on without gaps, where no parameter beside
    them has such a name. `layers` are blocks, by their full names. With `marks`, what each block takes and returns first goes through a `peer.reshape` that says so, for `--peer-calibrate`.

    ```mlir
    %1 = peer.call "blocks.0" @first(%0) : (tensor<?x128xf32>) -> tensor<?x128xf32>
    %2 = peer.repeat "blocks" 3 from 1 @block(%1) : tensor<?x128xf32>
    ```
    becomes, with `drop=blocks.0,blocks.2`,
    ```mlir
    %2 = peer.repeat "blocks" 2 @block(%0) : tensor<?x128xf32>
    ```
    and the parameters of `blocks.1` and `blocks.3` are those of `blocks.0` and `blocks.1`.
  }];
  let options = common # [ListOption<"drop", "drop", "std::string", "full names of the blocks to leave out">,
                          Option<"marks", "marks", "bool", "false", "mark what blocks take and return">];
}

def Dsmoe : Peer_Conversion<"dsmoe"> {
  let summary = "cut dense layers into blocks of hidden units behind sigmoid gates";
  let description = [{
    The hidden units of a layer, in their order, are `experts` blocks; a token has those whose gate, a sigmoid of a new router's score, is above 0.5, and what they give is divided by
    the share of blocks that it has: with all of them the function is the old one (DSMoE, arXiv 2502.12455). It is to be trained on, which goes by copies of the functions
    that `peer.train` asks for: all blocks are computed there, behind gates of 0 or 1 whose gradient is the sigmoid's (`peer.straight_through`), and the loss has the
    mean share of blocks that are on, times `sparsity`, beside it.

    ```mlir
    %i, %v = peer.select %s threshold<0.5, of = sigmoid, max = 8> : tensor<?x1x1x8xf32>
    %w = peer.gate %v one : tensor<?x1x8xf32>
    ```
    is in training
    ```mlir
    %i, %v = peer.select %s all : tensor<?x1x1x8xf32>
    %w = peer.straight_through %v : tensor<?x1x8xf32>
    ```
  }];
  let options = common # [Option<"experts", "experts", "int64_t", "8", "blocks; a divisor of the hidden units">,
                          Option<"sparsity", "sparsity", "double", "0.01", "what the share of blocks that are on weighs in the training loss">];
}

def Matformer : Peer_Conversion<"matformer"> {
  let summary = "the model of each dense layer's first hidden units";
  let description = [{
    `widths` are the hidden units that dense layers keep, in the order in which an entry comes to them, or one number for all (MatFormer, arXiv 2310.07707). Blocks that keep as many
    stay one block; a `peer.repeat` of others becomes several. Where the description has the smaller model, too, as `peer.slice` of the same parameters, that stays what it is, or
    becomes the extracted one where it has more.

    ```mlir
    %3 = peer.repeat "blocks" 3 @block(%0) : tensor<?x128xf32>
    ```
    becomes, with `widths=64,64,512`,
    ```mlir
    %2 = peer.repeat "blocks" 2 @block(%0) : tensor<?x128xf32>
    %3 = peer.repeat "blocks" 1 from 2 @block_2(%2) : tensor<?x128xf32>
    ```
  }];
  let options = common # [ListOption<"widths", "widths", "int64_t", "hidden units that each layer keeps">];
}

def Pesc : Peer_Conversion<"pesc"> {
  let summary = "put adapters as experts on dense layers, which are frozen; the function unchanged";
  let description = [{
    On the output `f` of a layer, whose parameters no training changes any more, there are `experts` adapters of `adapter` hidden units; a router that reads what the layer reads
    takes `top-k` of them, weighted by the softmax over those: `f + sum w_i adapter_i(f)` (PESC, arXiv 2401.02731). What adapters return begins with zeros.

    ```mlir
    %f = peer.linear %a, %d : tensor<?x512xf32>, tensor<512x128xf32>
    ```
    becomes
    ```mlir
    %f = peer.linear %a, %d : tensor<?x512xf32>, tensor<512x128xf32>
    %c = peer.param "ffw.router" normal(0.02) : tensor<1x1x8x128xf32>
    %q = peer.reshape %x to tensor<?x1x1x128xf32> : tensor<?x128xf32>
    %s = peer.score %q, %c : tensor<?x1x1x128xf32>, tensor<1x1x8x128xf32>
    %i, %v = peer.select %s topk<2> : tensor<?x1x1x8xf32>
    %p = peer.param "ffw.experts" normal(0.09) group("experts") : tensor<512x2x128xf32>
    %w = peer.gate %v softmax : tensor<?x1x2xf32>
    %m = peer.mix %f, %i, %w, %p gelu {rows_per_expert = 64} : ...
    %y = arith.addf %f, %m : tensor<?x128xf32>
    ```
  }];
  let options = common # [Option<"experts", "experts", "int64_t", "8", "adapters">,
                          Option<"topK", "top-k", "int64_t", "2", "adapters that a token takes">,
                          Option<"adapter", "adapter", "int64_t", "64", "hidden units of an adapter">];
}

def Calibrate : Pass<"peer-calibrate", "::mlir::ModuleOp"> {
  let summary = "a description of nothing but an entry that returns what a conversion wants to see of a model";
  let description = [{
    Takes what `--peer-inline-modules` makes, and leaves one function, made of the loss: its parameters are `peer.param` again, under their full names.
    `of=loss`: the loss alone. `of=dense`: an entry `calibrate` that takes what the loss takes and returns the input of each dense layer, `LAYER.x` (`T x D`). `of=marks`: the same of what
    `--peer-drop-blocks` marked, `BLOCK.in` and `BLOCK.out`.
  }];
  let options = [Option<"of", "of", "std::string", "\"loss\"", "loss, dense or marks">];
  let dependentDialects = ["::peer::PeerDialect", "::mlir::func::FuncDialect"];
}

#endif // PEER_CONVERSIONS_TD
