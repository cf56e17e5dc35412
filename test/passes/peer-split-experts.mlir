// RUN: %peer-pass %s --peer-split-experts="factor=4 plan=%t.json" | FileCheck %s
// RUN: FileCheck %s --check-prefix=PLAN --input-file=%t.json

// PLAN: "experts": 32,
// PLAN: "rows_per_expert": 16,
// PLAN: "experts": [
// PLAN-NEXT: "concat",
// PLAN: "router": [
// PLAN-NEXT: "repeat",
// PLAN: "router.bias": [
// PLAN-NEXT: "repeat",

// Everything that counts experts, here and where another function goes on.
// CHECK-LABEL: func.func private @scores
// CHECK-SAME:    -> tensor<?x1x1x32xf32>
func.func private @scores(%x: tensor<?x16xf32>) -> tensor<?x1x1x8xf32> {
  // CHECK: peer.param "router" normal(2.000000e-01) : tensor<1x1x32x16xf32>
  %c = peer.param "router" normal(0.2) : tensor<1x1x8x16xf32>
  %q = peer.reshape %x to tensor<?x1x1x16xf32> : tensor<?x16xf32>
  %s = peer.score %q, %c : tensor<?x1x1x16xf32>, tensor<1x1x8x16xf32>
  return %s : tensor<?x1x1x8xf32>
}
// CHECK-LABEL: func.func @layer
func.func @layer(%x: tensor<?x16xf32>) -> (tensor<?x16xf32>, tensor<?xf32>) {
  %s = peer.call "" @scores(%x) : (tensor<?x16xf32>) -> tensor<?x1x1x8xf32>
  // CHECK: peer.param "router.bias" zeros buffer : tensor<1x32xf32>
  %e = peer.param "router.bias" zeros buffer : tensor<1x8xf32>
  %b = peer.balance_bias %s, %e : tensor<?x1x1x8xf32>, tensor<1x8xf32>
  // CHECK: peer.select %{{.*}} topk<8> : tensor<?x1x1x32xf32>
  %i, %u = peer.select %b topk<2> : tensor<?x1x1x8xf32>
  %v = peer.gather %s, %i : tensor<?x1x1x8xf32>, tensor<?x1x2xi32>
  %w = peer.gate %v softmax : tensor<?x1x2xf32>
  // CHECK: peer.capacity %{{.*}}, %{{.*}} experts 32 factor 5.000000e+00 by token
  %j, %k = peer.capacity %i, %w experts 8 factor 1.25 by token : tensor<?x1x2xi32>, tensor<?x1x2xf32>
  %p = peer.param "experts" normal(0.2) group("experts") : tensor<512x2x16xf32>
  // CHECK: peer.mix %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} gelu {rows_per_expert = 16 : i64} : tensor<?x16xf32>, tensor<?x1x8xi32>, tensor<?x1x8xf32>, tensor<512x2x16xf32>
  %y = peer.mix %x, %j, %k, %p gelu {rows_per_expert = 64} : tensor<?x16xf32>, tensor<?x1x2xi32>, tensor<?x1x2xf32>, tensor<512x2x16xf32>
  // CHECK: peer.expert_load %{{.*}} keys 32
  %f = peer.expert_load %i keys 8 : tensor<?x1x2xi32>
  // CHECK: peer.balance_loss %{{.*}}, %{{.*}} : tensor<?x1x1x32xf32>, tensor<1x32xf32>
  %l = peer.balance_loss %s, %f : tensor<?x1x1x8xf32>, tensor<1x8xf32>
  return %y, %l : tensor<?x16xf32>, tensor<?xf32>
}

// Neurons cannot be split, and keys of a grid are no router's rows.
// CHECK-LABEL: func.func @neurons
// CHECK: peer.select %{{.*}} product_topk<2> : tensor<?x1x2x4xf32>
func.func @neurons(%x: tensor<?x16xf32>) -> tensor<?x16xf32> {
  %c = peer.param "keys" normal(0.2) : tensor<1x2x4x8xf32>
  %q = peer.reshape %x to tensor<?x1x2x8xf32> : tensor<?x16xf32>
  %s = peer.score %q, %c : tensor<?x1x2x8xf32>, tensor<1x2x4x8xf32>
  %i, %v = peer.select %s product_topk<2> : tensor<?x1x2x4xf32>
  %w = peer.gate %v softmax : tensor<?x1x2xf32>
  %p = peer.param "neurons" normal(0.2) : tensor<16x2x16xf32>
  %y = peer.mix %x, %i, %w, %p gelu : tensor<?x16xf32>, tensor<?x1x2xi32>, tensor<?x1x2xf32>, tensor<16x2x16xf32>
  return %y : tensor<?x16xf32>
}
