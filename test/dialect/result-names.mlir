// RUN: %peer-pass %s | FileCheck %s
// RUN: %peer-pass %s | %peer-pass | FileCheck %s

// Results have the names that the op's definition gives them, those that are optional, too.
// CHECK-LABEL: func.func @names(
func.func @names(%q: tensor<?x4x1x8xf32>, %k: tensor<4x1x32x8xf32>, %x: tensor<?x16xf32>, %p: tensor<32x2x16xf32>)
    -> (tensor<?x16xf32>, tensor<?x4x3x1x2xf32>, tensor<?x4x3xf32>) {
  // CHECK: %idx, %weights = peer.route
  %0:2 = peer.route %q, %k topk<3> gate softmax : tensor<?x4x1x8xf32>, tensor<4x1x32x8xf32>
  // CHECK: %idx_0, %val = peer.route
  %1:2 = peer.route %q, %k topk<3> keep_val : tensor<?x4x1x8xf32>, tensor<4x1x32x8xf32>
  // CHECK: %idx_1, %weights_2, %val_3 = peer.route
  %2:3 = peer.route %q, %k topk<3> gate relu keep_val : tensor<?x4x1x8xf32>, tensor<4x1x32x8xf32>
  // CHECK: %y = peer.mix %{{.*}}, %idx, %weights,
  %3 = peer.mix %x, %0#0, %0#1, %p gelu : tensor<?x16xf32>, tensor<?x4x3xi32>, tensor<?x4x3xf32>, tensor<32x2x16xf32>
  // CHECK: %dx, %dweights, %coef = peer.mix_grad
  %4:3 = peer.mix_grad %x, %1#0, %2#1, %p, %3 gelu
    : tensor<?x16xf32>, tensor<?x4x3xi32>, tensor<?x4x3xf32>, tensor<32x2x16xf32>, tensor<?x16xf32>
  // CHECK: return %dx, %coef, %val
  return %4#0, %4#2, %1#1 : tensor<?x16xf32>, tensor<?x4x3x1x2xf32>, tensor<?x4x3xf32>
}

// What is updated in place is one group: the parameter and its states.
// CHECK-LABEL: func.func @tied(
func.func @tied(%p: tensor<4xf32>, %g: tensor<4xf32>, %s: tensor<f32>, %i: tensor<?x4x3xi32>, %w: tensor<?x4x3xf32>, %m: tensor<32xf64>)
    -> (tensor<4xf32>, tensor<4xf32>, tensor<32xf64>) {
  // CHECK: %updated:2 = peer.update
  %0:2 = peer.update %p, %g, %s, %s, %s, %g {optimizer = #peer.sgd<momentum = 0.5>}
    : tensor<4xf32>, tensor<4xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<4xf32>
  // CHECK: %total = peer.usage
  %1 = peer.usage %i, %w, %m : tensor<?x4x3xi32>, tensor<?x4x3xf32>, tensor<32xf64>
  // CHECK: return %updated#0, %updated#1, %total
  return %0#0, %0#1, %1 : tensor<4xf32>, tensor<4xf32>, tensor<32xf64>
}
