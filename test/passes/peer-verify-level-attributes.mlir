// An attribute that nothing reads is a slip of the pen: the nearest one that something reads is named.
// RUN: %peer-pass %s --peer-verify-level=level=model -split-input-file -verify-diagnostics -o /dev/null

func.func @linear(%x: tensor<?x4xf32>, %w: tensor<4x4xf32>) {
  // expected-error @+1 {{op 'peer.linear' has no attribute 'transpos_x'; did you mean 'transpose_x'?}}
  %0 = peer.linear %x, %w {transpos_x} : tensor<?x4xf32>, tensor<4x4xf32>
  return
}

// -----

func.func @norm(%x: tensor<?x4xf32>, %w: tensor<4xf32>) {
  // expected-error @+1 {{op 'peer.rms_norm' has no attribute 'eps'; did you mean 'epsilon'?}}
  %0 = peer.rms_norm %x, %w {eps = 1.0e-6 : f32} : tensor<?x4xf32>, tensor<4xf32>
  return
}

// -----

func.func @mix(%x: tensor<?x4xf32>, %i: tensor<?x1x2xi32>, %w: tensor<?x1x2xf32>, %p: tensor<4x2x4xf32>) {
  // expected-error @+1 {{op 'peer.mix' has no attribute 'rows'; did you mean 'rows_per_expert'?}}
  %0 = peer.mix %x, %i, %w, %p gelu {rows = 2} : tensor<?x4xf32>, tensor<?x1x2xi32>, tensor<?x1x2xf32>, tensor<4x2x4xf32>
  return
}

// -----

func.func @far(%x: tensor<?x4xf32>, %w: tensor<4x4xf32>) {
  // expected-error @+1 {{op 'peer.linear' has no attribute 'bias'; known there is products, transpose_weight and transpose_x}}
  %0 = peer.linear %x, %w {bias} : tensor<?x4xf32>, tensor<4x4xf32>
  return
}

// -----

func.func @none(%x: tensor<?xf32>) {
  // expected-error @+1 {{op 'peer.mean' has no attribute 'axis'}}
  %0 = peer.mean %x {axis = 0} : tensor<?xf32>
  return
}

// -----

func.func @parameter() {
  // expected-error @+1 {{op 'peer.param' has no attribute 'grup'; did you mean 'group'?}}
  %0 = peer.param "w" zeros {grup = "experts"} : tensor<4xf32>
  return
}

// -----

func.func @loss(%x: tensor<f32>) -> tensor<f32> {
  return %x : tensor<f32>
}
// expected-error @+1 {{op 'peer.train' has no attribute 'group'; did you mean 'groups'?}}
peer.train @step of @loss {optimizer = #peer.adamw<>, group = {experts = #peer.sgd<>}}

// -----

func.func @loss(%x: tensor<f32>) -> tensor<f32> {
  return %x : tensor<f32>
}
// expected-error @+1 {{op 'peer.gradient' has no attribute 'parameter'; did you mean 'parameters'?}}
peer.gradient @grad of @loss {parameter = false}

// -----

// expected-error @+1 {{argument 0 of @argument has no attribute 'peer.nam'; did you mean 'peer.name'?}}
func.func @argument(%x: tensor<4xf32> {peer.nam = "x"}) {
  return
}

// -----

// Known only where integers are.
// expected-error @+1 {{argument 0 of @floats has no attribute 'peer.range'; known there is peer.name}}
func.func @floats(%x: tensor<4xf32> {peer.range = [0, 4]}) {
  return
}

// -----

func.func @range(%x: tensor<4xi32> {peer.range = [0, 4]}) {
  return
}

// -----

// expected-error @+1 {{expected 'peer.range' of argument 0 of @range to be [FIRST, END], the half-open interval that the values lie in, got [4, 0]}}
func.func @range(%x: tensor<4xi32> {peer.range = [4, 0]}) {
  return
}

// -----

// expected-error @+1 {{result 0 of @result has no attribute 'peer.nme'; did you mean 'peer.name'?}}
func.func @result(%x: tensor<4xf32>) -> (tensor<4xf32> {peer.nme = "y"}) {
  return %x : tensor<4xf32>
}

// -----

// expected-error @+1 {{@function has no attribute 'peer.kin'; did you mean 'peer.kind'?}}
func.func @function() attributes {peer.kin = "loss"} {
  return
}

// -----

// expected-error @+1 {{@bare has no attribute 'kind'; did you mean 'peer.kind'?}}
func.func @bare() attributes {kind = "loss"} {
  return
}

// -----

// expected-error @+1 {{@place has no attribute 'peer.name'; known there is peer.kind}}
func.func @place() attributes {peer.name = "f"} {
  return
}

// -----

// expected-error @+1 {{expected 'peer.kind' of @kind to be "loss" or "forward"; other kinds follow from requests, got "los"}}
func.func @kind() attributes {peer.kind = "los"} {
  return
}

// -----

// expected-error @+1 {{expected 'peer.name' of argument 0 of @number to be a name in quotes, got 3 : i64}}
func.func @number(%x: tensor<4xf32> {peer.name = 3}) {
  return
}

// -----

// expected-error @+1 {{argument 0 of @role has no attribute 'peer.role'; known there is peer.name}}
func.func @role(%x: tensor<4xf32> {peer.role = "state"}) {
  return
}

// -----

// expected-error @+1 {{the module has no attribute 'peer.groups'}}
module attributes {peer.groups = []} {}

// -----

func.func @op(%x: tensor<4xf32>) {
  // expected-error @+1 {{op 'arith.addf' has no attribute 'peer.blocks'; known there is fastmath}}
  %0 = arith.addf %x, %x {peer.blocks = 2} : tensor<4xf32>
  return
}

// -----

func.func @upstream(%x: tensor<4xf32>) {
  // expected-error @+1 {{op 'arith.addf' has no attribute 'fast_math'; did you mean 'fastmath'?}}
  %0 = arith.addf %x, %x {fast_math} : tensor<4xf32>
  return
}

// -----

// Those of dialects that are here say how code is made.
// expected-error @+1 {{the attribute 'bufferization.buffer_layout' of argument 0 of @layout belongs to dialect 'bufferization'; a description has none of that}}
func.func @layout(%x: tensor<4xf32> {bufferization.buffer_layout = affine_map<(i) -> (2 * i)>}) {
  return
}

// -----

// expected-error @+1 {{argument 0 of @prefix has no attribute 'per.name'; did you mean 'peer.name'?}}
func.func @prefix(%x: tensor<4xf32> {per.name = "x"}) {
  return
}

// -----

// Notes of tools that nobody here knows stay.
func.func @notes(%x: tensor<?x4xf32> {torch.name = "x"}, %w: tensor<4x4xf32>) attributes {frontend.source = "x.py"} {
  %0 = peer.linear %x, %w {torch.line = 3} : tensor<?x4xf32>, tensor<4x4xf32>
  %1 = arith.addf %0, %0 {note} : tensor<?x4xf32>
  return
}

// -----

// So it is with keywords.
func.func @policy(%s: tensor<?x1x1x4xf32>) {
  // expected-error @+1 {{unknown policy 'top_k'; known are topk<k>, product_topk<k>, all, top_p<p, max = m>, threshold<t, max = m> and expert_choice<factor>; did you mean 'topk'?}}
  %0, %1 = peer.select %s top_k<2> : tensor<?x1x1x4xf32>
  return
}

// -----

func.func @gate(%v: tensor<?x1x4xf32>) {
  // expected-error @+1 {{unknown keyword 'sofmax'; known are softmax, sigmoid, relu and one; did you mean 'softmax'?}}
  %0 = peer.gate %v sofmax : tensor<?x1x4xf32>
  return
}

// -----

func.func @init() {
  // expected-error @+1 {{unknown initialiser 'gauss'; known are normal(std), uniform(low, high), constant(value), zeros, ones}}
  %0 = peer.param "a" gauss(0.1) : tensor<4xf32>
  return
}

// -----

// expected-error @+1 {{unknown field 'weight_deacy'; known are learning_rate, beta1, beta2, epsilon, weight_decay, clip_norm, lazy, schedule, rounding, states; did you mean 'weight_decay'?}}
module attributes {test.a = #peer.adamw<weight_deacy = 0.1>} {}
