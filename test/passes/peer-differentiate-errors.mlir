// RUN: %peer-pass %s --peer-differentiate --split-input-file --verify-diagnostics

func.func @f(%x: tensor<8xf32>) -> tensor<8xf32> {
  // expected-error @+1 {{op 'math.floor' has no gradient: implement peer::DifferentiableOpInterface}}
  %y = math.floor %x : tensor<8xf32>
  return %y : tensor<8xf32>
}
peer.gradient @g of @f

// -----

// An op that no gradient flows through needs none.
func.func @f(%x: tensor<8xf32>, %z: tensor<8xf32>) -> tensor<8xf32> {
  %e = math.floor %z : tensor<8xf32>
  %y = arith.mulf %x, %e : tensor<8xf32>
  return %y : tensor<8xf32>
}
peer.gradient @g of @f wrt [0]

// -----

func.func @f(%x: tensor<8xf32>, %c: i1) -> tensor<8xf32> {
  // expected-error @+1 {{op 'scf.if' has no gradient: implement peer::DifferentiableOpInterface}}
  %y = scf.if %c -> tensor<8xf32> {
    %s = arith.addf %x, %x : tensor<8xf32>
    scf.yield %s : tensor<8xf32>
  } else {
    scf.yield %x : tensor<8xf32>
  }
  return %y : tensor<8xf32>
}
peer.gradient @g of @f

// -----

func.func @f(%x: tensor<?x4xf32>, %m: tensor<4xf32>) -> tensor<?x4xf32> {
  // expected-error @+1 {{has no gradient for running statistics; set batch_statistics to train through them}}
  %y = peer.batch_norm %x, %m, %m, %m, %m : tensor<?x4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>
  return %y : tensor<?x4xf32>
}
peer.gradient @g of @f

// -----

func.func @f(%x: tensor<8xf32>) -> tensor<8xf32> {
  cf.br ^end
^end:
  return %x : tensor<8xf32>
}
// expected-error @+1 {{wants a function without control flow, but @f has 2 blocks}}
peer.gradient @g of @f

// -----

func.func @f(%x: tensor<?x8xf32>, %i: tensor<?x1x2xi32>, %w: tensor<?x1x2xf32>) -> tensor<?x8xf32> {
  %p = peer.param "experts" zeros : tensor<16x2x8xi8>
  %s = peer.param "experts.scale" zeros : tensor<16x2xf32>
  // expected-error @+1 {{op 'peer.quantized_mix' has no gradient: int8 rows are for inference; train with peer.mix and quantize what it learned}}
  %y = peer.quantized_mix %x, %i, %w, %p, %s gelu
     : tensor<?x8xf32>, tensor<?x1x2xi32>, tensor<?x1x2xf32>, tensor<16x2x8xi8>, tensor<16x2xf32>
  return %y : tensor<?x8xf32>
}
peer.gradient @g of @f

// -----

func.func @f(%x: tensor<?x8xf32>) -> tensor<?x16xf32> {
  %w = peer.param "weight" zeros : tensor<16x8xi8>
  %s = peer.param "weight.scale" zeros : tensor<16xf32>
  // expected-error @+1 {{op 'peer.quantized_linear' has no gradient: stored weights are for inference; train with peer.linear and quantize what it learned}}
  %y = peer.quantized_linear %x, %w, %s : tensor<?x8xf32>, tensor<16x8xi8>, tensor<16xf32>
  return %y : tensor<?x16xf32>
}
peer.gradient @g of @f

// -----

// A reduction by a product has no derived gradient.
func.func @f(%x: tensor<?x4xf32>, %i: tensor<?xf32>) -> tensor<?xf32> {
  // expected-error @+1 {{op 'linalg.generic' reduces by something other than a sum, of which no gradient is derived; peer.reduce has one of max}}
  %y = linalg.generic {indexing_maps = [affine_map<(t, d) -> (t, d)>, affine_map<(t, d) -> (t)>],
      iterator_types = ["parallel", "reduction"]} ins(%x : tensor<?x4xf32>) outs(%i : tensor<?xf32>) {
    ^bb0(%a: f32, %s: f32):
      %0 = arith.mulf %a, %s : f32
      linalg.yield %0 : f32
  } -> tensor<?xf32>
  return %y : tensor<?xf32>
}
peer.gradient @g of @f

// -----

// What stands in a body is named, too.
func.func @f(%x: tensor<4xf32>, %i: tensor<4xf32>) -> tensor<4xf32> {
  %y = linalg.generic {indexing_maps = [affine_map<(d) -> (d)>, affine_map<(d) -> (d)>], iterator_types = ["parallel"]}
      ins(%x : tensor<4xf32>) outs(%i : tensor<4xf32>) {
    ^bb0(%a: f32, %s: f32):
      // expected-error @+1 {{op 'math.floor' has no gradient: implement peer::DifferentiableOpInterface}}
      %0 = math.floor %a : f32
      linalg.yield %0 : f32
  } -> tensor<4xf32>
  return %y : tensor<4xf32>
}
peer.gradient @g of @f

// -----

func.func @f(%s: tensor<?x1x1x8xf32>) -> tensor<?x1x3xf32> {
  %i, %v = peer.select %s topk<3> : tensor<?x1x1x8xf32>
  // expected-error @+1 {{op 'peer.straight_through' wants the scores of all experts, which learn by its gradient, and gets those that topk selects; select all, or for inference use the gate one}}
  %w = peer.straight_through %v : tensor<?x1x3xf32>
  return %w : tensor<?x1x3xf32>
}
peer.gradient @g of @f

// -----

func.func @f(%v: tensor<?x1x8xf32>) -> tensor<?x1x8xf32> {
  // expected-error @+1 {{op 'peer.straight_through' wants the scores of all experts, which learn by its gradient; take them from peer.select all}}
  %w = peer.straight_through %v : tensor<?x1x8xf32>
  return %w : tensor<?x1x8xf32>
}
peer.gradient @g of @f

// -----

// All of them, in whatever order, and by their indices.
func.func @f(%s: tensor<?x1x1x8xf32>) -> (tensor<?x1x8xf32>, tensor<?x1x8xf32>) {
  %i, %v = peer.select %s topk<8> : tensor<?x1x1x8xf32>
  %w = peer.straight_through %v : tensor<?x1x8xf32>
  %u = peer.gather %s, %i : tensor<?x1x1x8xf32>, tensor<?x1x8xi32>
  %x = peer.straight_through %u soft : tensor<?x1x8xf32>
  return %w, %x : tensor<?x1x8xf32>, tensor<?x1x8xf32>
}
peer.gradient @g of @f
