// RUN: %peer-pass %s --peer-merge-experts="factor=2 plan=%t.json" --split-input-file --verify-diagnostics | FileCheck %s

// With the gate of a sigmoid weights do not depend on how many experts there are: the pool stays as it is.
// CHECK-LABEL: func.func @merged
func.func @merged(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // CHECK: peer.param "router" normal(2.000000e-01) : tensor<1x1x2x8xf32>
  %c = peer.param "router" normal(0.2) : tensor<1x1x4x8xf32>
  %q = peer.reshape %x to tensor<?x1x1x8xf32> : tensor<?x8xf32>
  %s = peer.score %q, %c : tensor<?x1x1x8xf32>, tensor<1x1x4x8xf32>
  // CHECK: threshold<5.000000e-01, of = sigmoid, max = 1> : tensor<?x1x1x2xf32>
  %i, %v = peer.select %s threshold<0.5, of = sigmoid, max = 2> : tensor<?x1x1x4xf32>
  %w = peer.gate %v sigmoid : tensor<?x1x2xf32>
  %p = peer.param "experts" normal(0.2) : tensor<16x2x8xf32>
  // CHECK: peer.mix %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} gelu {rows_per_expert = 8 : i64}
  %y = peer.mix %x, %i, %w, %p gelu {rows_per_expert = 4} : tensor<?x8xf32>, tensor<?x1x2xi32>, tensor<?x1x2xf32>, tensor<16x2x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @odd(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %c = peer.param "router" normal(0.2) : tensor<1x1x4x8xf32>
  %q = peer.reshape %x to tensor<?x1x1x8xf32> : tensor<?x8xf32>
  %s = peer.score %q, %c : tensor<?x1x1x8xf32>, tensor<1x1x4x8xf32>
  // expected-error @+1 {{expected how many experts are selected to be a multiple of factor = 2, got 3}}
  %i, %v = peer.select %s topk<3> : tensor<?x1x1x4xf32>
  %w = peer.gate %v softmax : tensor<?x1x3xf32>
  %p = peer.param "experts" normal(0.2) : tensor<16x2x8xf32>
  %y = peer.mix %x, %i, %w, %p gelu {rows_per_expert = 4} : tensor<?x8xf32>, tensor<?x1x3xi32>, tensor<?x1x3xf32>, tensor<16x2x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// expected-error @+1 {{the model has no layer in which a router's own rows select among experts}}
module {
}
