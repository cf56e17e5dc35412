// RUN: %peer-pass %s --peer-prune-experts="experts=3 plan=%t.json" --split-input-file --verify-diagnostics | FileCheck %s

// Scores are of three experts, selections of as many as before.
// CHECK-LABEL: func.func @layer
func.func @layer(%x: tensor<?x8xf32>) -> (tensor<?x8xf32>, tensor<?xf32>) {
  // CHECK: peer.param "router" normal(2.000000e-01) : tensor<1x1x3x8xf32>
  %c = peer.param "router" normal(0.2) : tensor<1x1x4x8xf32>
  %q = peer.reshape %x to tensor<?x1x1x8xf32> : tensor<?x8xf32>
  %s = peer.score %q, %c : tensor<?x1x1x8xf32>, tensor<1x1x4x8xf32>
  // CHECK: peer.param "bias" zeros buffer : tensor<1x3xf32>
  %e = peer.param "bias" zeros buffer : tensor<1x4xf32>
  %b = peer.balance_bias %s, %e : tensor<?x1x1x4xf32>, tensor<1x4xf32>
  // CHECK: peer.select %{{.*}} topk<2> : tensor<?x1x1x3xf32>
  %i, %u = peer.select %b topk<2> : tensor<?x1x1x4xf32>
  %v = peer.gather %s, %i : tensor<?x1x1x4xf32>, tensor<?x1x2xi32>
  // CHECK: peer.gate %{{.*}} softmax : tensor<?x1x2xf32>
  %w = peer.gate %v softmax : tensor<?x1x2xf32>
  %p = peer.param "experts" normal(0.2) : tensor<16x2x8xf32>
  // CHECK: peer.mix %{{.*}} gelu {rows_per_expert = 4 : i64} : tensor<?x8xf32>, tensor<?x1x2xi32>, tensor<?x1x2xf32>, tensor<12x2x8xf32>
  %y = peer.mix %x, %i, %w, %p gelu {rows_per_expert = 4} : tensor<?x8xf32>, tensor<?x1x2xi32>, tensor<?x1x2xf32>, tensor<16x2x8xf32>
  // CHECK: peer.expert_load %{{.*}} keys 3
  %f = peer.expert_load %i keys 4 : tensor<?x1x2xi32>
  // CHECK: peer.balance_loss %{{.*}} : tensor<?x1x1x3xf32>, tensor<1x3xf32>
  %l = peer.balance_loss %s, %f : tensor<?x1x1x4xf32>, tensor<1x4xf32>
  return %y, %l : tensor<?x8xf32>, tensor<?xf32>
}

// -----

// CHECK-LABEL: func.func @every
func.func @every(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %c = peer.param "router" normal(0.2) : tensor<1x1x4x8xf32>
  %q = peer.reshape %x to tensor<?x1x1x8xf32> : tensor<?x8xf32>
  %s = peer.score %q, %c : tensor<?x1x1x8xf32>, tensor<1x1x4x8xf32>
  %i, %v = peer.select %s all : tensor<?x1x1x4xf32>
  // CHECK: peer.gate %{{.*}} sigmoid : tensor<?x1x3xf32>
  %w = peer.gate %v sigmoid : tensor<?x1x4xf32>
  %p = peer.param "experts" normal(0.2) : tensor<4x2x8xf32>
  %y = peer.mix %x, %i, %w, %p gelu : tensor<?x8xf32>, tensor<?x1x4xi32>, tensor<?x1x4xf32>, tensor<4x2x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @many(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %c = peer.param "router" normal(0.2) : tensor<1x1x4x8xf32>
  %q = peer.reshape %x to tensor<?x1x1x8xf32> : tensor<?x8xf32>
  %s = peer.score %q, %c : tensor<?x1x1x8xf32>, tensor<1x1x4x8xf32>
  // expected-error @+1 {{of the experts that are kept as many cannot be selected: expected 1 <= k <= n = 3, got k = 4}}
  %i, %v = peer.select %s topk<4> : tensor<?x1x1x4xf32>
  %w = peer.gate %v softmax : tensor<?x1x4xf32>
  %p = peer.param "experts" normal(0.2) : tensor<4x2x8xf32>
  %y = peer.mix %x, %i, %w, %p gelu : tensor<?x8xf32>, tensor<?x1x4xi32>, tensor<?x1x4xf32>, tensor<4x2x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @few(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %c = peer.param "router" normal(0.2) : tensor<1x1x2x8xf32>
  %q = peer.reshape %x to tensor<?x1x1x8xf32> : tensor<?x8xf32>
  // expected-error @+1 {{expected experts between 1 and the 2 of the layer, got 3}}
  %s = peer.score %q, %c : tensor<?x1x1x8xf32>, tensor<1x1x2x8xf32>
  %i, %v = peer.select %s topk<1> : tensor<?x1x1x2xf32>
  %w = peer.gate %v softmax : tensor<?x1x1xf32>
  %p = peer.param "experts" normal(0.2) : tensor<4x2x8xf32>
  %y = peer.mix %x, %i, %w, %p gelu {rows_per_expert = 2} : tensor<?x8xf32>, tensor<?x1x1xi32>, tensor<?x1x1xf32>, tensor<4x2x8xf32>
  return %y : tensor<?x8xf32>
}
