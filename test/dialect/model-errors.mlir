// RUN: %peer-pass %s -split-input-file -verify-diagnostics

// One case per constraint of the model-level ops, named after it.
func.func @param_c2_dynamic() {
  // expected-error @+1 {{'peer.param' op C2: expected a static tensor of f32, bf16, i8 or f8E4M3FN, got 'tensor<?xf32>'}}
  %0 = peer.param "a" zeros : tensor<?xf32>
  return
}

// -----

func.func @param_c2_type() {
  // expected-error @+1 {{'peer.param' op C2: expected a static tensor of f32, bf16, i8 or f8E4M3FN, got 'tensor<4xi32>'}}
  %0 = peer.param "a" zeros : tensor<4xi32>
  return
}

// -----

func.func @param_c3_normal() {
  // expected-error @+1 {{'peer.param' op C3: expected zeros as the initialiser of i8 and f8E4M3FN values, which come from a file of quantized weights}}
  %0 = peer.param "a" normal(1.0) : tensor<4xi8>
  return
}

// -----

func.func @param_c3_ones() {
  // expected-error @+1 {{'peer.param' op C3: expected zeros as the initialiser of i8 and f8E4M3FN values, which come from a file of quantized weights}}
  %0 = peer.param "a" ones : tensor<4xi8>
  return
}

// -----

func.func @param_c5_both() {
  // expected-error @+1 {{'peer.param' op C5: expected 'buffer', what training moves, or 'frozen', what nothing moves, got both}}
  %0 = peer.param "a" zeros buffer frozen : tensor<4xf32>
  return
}

// -----

func.func @call_c1_unknown(%x: tensor<4xf32>) {
  // expected-error @+1 {{'peer.call' op C1: expected a function of this module, got @block}}
  %0 = peer.call "a" @block(%x) : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func private @block(%x: tensor<4xf32>) -> tensor<8xf32>
func.func @call_c1_type(%x: tensor<4xf32>) {
  // expected-error @+1 {{'peer.call' op C1: expected the type of @block, '(tensor<4xf32>) -> tensor<8xf32>', got '(tensor<4xf32>) -> tensor<4xf32>'}}
  %0 = peer.call "a" @block(%x) : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

// C2 of peer.call is a property of the module: see test/passes/peer-inline-modules-errors.mlir.
func.func @repeat_c1_unknown(%x: tensor<4xf32>) {
  // expected-error @+1 {{'peer.repeat' op C1: expected a function of this module, got @block}}
  %0 = peer.repeat "a" 2 @block(%x) : tensor<4xf32>
  return
}

// -----

func.func private @block(%x: tensor<4xf32>) -> tensor<8xf32>
func.func @repeat_c1_to_itself(%x: tensor<4xf32>) {
  // expected-error @+1 {{'peer.repeat' op C1: expected @block to map 'tensor<4xf32>' to itself, got '(tensor<4xf32>) -> tensor<8xf32>'}}
  %0 = peer.repeat "a" 2 @block(%x) : tensor<4xf32>
  return
}

// -----

func.func private @block(%x: tensor<4xf32>) -> tensor<4xf32>
func.func @repeat_c1_results(%x: tensor<4xf32>) {
  // expected-error @+1 {{'peer.repeat' op C1: expected results of the operand types, got '(tensor<4xf32>) -> tensor<8xf32>'}}
  %0 = "peer.repeat"(%x) {prefix = "a", count = 2 : i64, callee = @block} : (tensor<4xf32>) -> tensor<8xf32>
  return
}

// -----

func.func private @block(%x: tensor<4xf32>) -> tensor<4xf32>
func.func @repeat_c2_count(%x: tensor<4xf32>) {
  // expected-error @+1 {{'peer.repeat' op C2: expected a count and a start of at least 0, got -1 and 0}}
  %0 = peer.repeat "a" -1 @block(%x) : tensor<4xf32>
  return
}

// -----

func.func private @block(%x: tensor<4xf32>) -> tensor<4xf32>
func.func @repeat_c2_many(%x: tensor<4xf32>) {
  // expected-error @+1 {{'peer.repeat' op C2: expected a count of at most 65536, got 4294967296}}
  %0 = peer.repeat "a" 4294967296 @block(%x) : tensor<4xf32>
  return
}

// -----

func.func private @block(%x: tensor<4xf32>) -> tensor<4xf32>
func.func @repeat_c2_from(%x: tensor<4xf32>) {
  // expected-error @+1 {{'peer.repeat' op C2: expected a count and a start of at least 0, got 1 and -2}}
  %0 = peer.repeat "a" 1 from -2 @block(%x) : tensor<4xf32>
  return
}

// -----

// expected-error @+1 {{'peer.gradient' op C1: expected a function of this module, got @layer}}
peer.gradient @gradient_c1_unknown of @layer

// -----

func.func private @layer(%x: tensor<4xf32>) -> tensor<4xf32>
// expected-error @+1 {{'peer.gradient' op C1: expected @layer to have a body}}
peer.gradient @gradient_c1_body of @layer

// -----

func.func @layer(%x: tensor<4xf32>, %i: tensor<4xi32>) -> tensor<4xf32> {
  return %x : tensor<4xf32>
}
// expected-error @+1 {{'peer.gradient' op C2: expected wrt to list floating-point arguments of @layer, got 1}}
peer.gradient @gradient_c2_integer of @layer wrt [0, 1]

// -----

func.func @layer(%x: tensor<4xf32>) -> tensor<4xf32> {
  return %x : tensor<4xf32>
}
// expected-error @+1 {{'peer.gradient' op C2: expected wrt to list floating-point arguments of @layer, got 3}}
peer.gradient @gradient_c2_position of @layer wrt [3]

// -----

// expected-error @+1 {{'peer.train' op C1: expected a function of this module, got @loss}}
peer.train @train_c1_unknown of @loss {optimizer = #peer.sgd}

// -----

func.func private @loss() -> tensor<f32>
// expected-error @+1 {{'peer.train' op C1: expected @loss to have a body}}
peer.train @train_c1_body of @loss {optimizer = #peer.sgd}

// -----

func.func @loss(%x: tensor<1xf32>) -> tensor<1xf32> {
  return %x : tensor<1xf32>
}
// expected-error @+1 {{'peer.train' op C1: expected @loss to return a rank-0 f32 loss}}
peer.train @train_c1_loss of @loss {optimizer = #peer.sgd}

// -----

func.func @loss(%x: tensor<f32>) -> tensor<f32> {
  return %x : tensor<f32>
}
// expected-error @+1 {{'peer.train' op C2: expected group 'experts' to be #peer.adamw or #peer.sgd}}
peer.train @train_c2_group of @loss {optimizer = #peer.sgd, groups = {experts = 3}}

// -----

func.func @loss(%x: tensor<f32>) -> tensor<f32> {
  return %x : tensor<f32>
}
// expected-error @+1 {{'peer.train' op attribute 'optimizer' failed to satisfy constraint: an optimizer: #peer.adamw, #peer.sgd, #peer.rowwise_adagrad, #peer.rowwise_adam or #peer.adafactor}}
peer.train @train_optimizer of @loss {optimizer = "adam"}

// -----

// expected-error @+1 {{'peer.decode' op C1: expected a function of this module, got @logits}}
peer.decode @decode_c1_unknown prefill @prefill of @logits

// -----

func.func @logits(%x: tensor<?xf32>) -> tensor<?xf32> {
  return %x : tensor<?xf32>
}
// expected-error @+1 {{'peer.decode' op C1: expected @logits to map tokens, a vector of i32, to one tensor}}
peer.decode @decode_c1_tokens prefill @prefill of @logits

// -----

func.func @logits(%x: tensor<?xi32>) -> i32 {
  %c = arith.constant 1 : i32
  return %c : i32
}
// expected-error @+1 {{'peer.decode' op C1: expected @logits to map tokens, a vector of i32, to one tensor}}
peer.decode @decode_c1_result prefill @prefill of @logits

// -----

func.func @mark_c1_numbers() {
  // expected-error @+1 {{'peer.mark' op C1: expected bytes and flops of two numbers each, got 1 and 2}}
  peer.mark 0 "score" bytes [1] flops [0, 0]
  return
}

// -----

func.func private @layer(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  return %x : tensor<?x4xf32>
}
// expected-error @+1 {{'peer.gradient' op C3: expected a saving entry with a name of its own, got @layer}}
peer.gradient @gradient_c3 of @layer {saved = @layer}

// -----

func.func private @layer(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  return %x : tensor<?x4xf32>
}
// expected-error @+1 {{'peer.gradient' op C3: expected a saving entry with a name of its own, got @forward}}
peer.gradient @gradient_c3_twice of @layer {saved = @forward}
peer.gradient @gradient_c3_other of @layer {saved = @forward}

// -----

peer.update_rows @update norm @norm of "experts" {optimizer = #peer.sgd<lazy>}
// expected-error @+1 {{'peer.update_rows' op C1: expected an entry of the norm with a name of its own, got @update}}
peer.update_rows @update_rows_c1 norm @update of "experts" {optimizer = #peer.sgd<lazy>}

// -----

// expected-error @+1 {{'peer.update_rows' op C2: expected a lazy optimizer, since rows that no pair touches are not moved; write 'lazy'}}
peer.update_rows @update_rows_c2_lazy of "experts" {optimizer = #peer.adamw}

// -----

// expected-error @+1 {{'peer.update_rows' op C2: expected no clip_norm, since the gradients of other parameters are not known here; give the entry a scale}}
peer.update_rows @update_rows_c2_clip of "experts" {optimizer = #peer.adamw<clip_norm = 1.0, lazy>}

// -----

// expected-error @+1 {{'peer.update_rows' op C3: expected the name of a pool, got 'a pool': }}
peer.update_rows @update_rows_c3 of "a pool" {optimizer = #peer.adamw<lazy>}
