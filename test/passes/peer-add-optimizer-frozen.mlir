// RUN: %peer-pass %s --peer-inline-modules --peer-differentiate --peer-add-optimizer | FileCheck %s

// What is frozen has no gradient, no state and no step, and nothing is computed that only it would need: below the norm there is nothing to train, so
// the backward pass ends there. The pool, in a lazy group, hands a gradient on to its tokens and has none itself.
// CHECK:       peer.groups = [{{{[^}]*}}name = "default"{{[^}]*}}}]
// CHECK-LABEL: func.func @layer_grad(
// CHECK-SAME:    -> (tensor<?x8xf32> {peer.name = "dx"}, tensor<8xf32> {peer.name = "grad.norm"})
// CHECK-LABEL: func.func @step(
// CHECK-SAME:    tensor<8x8xf32> {bufferization.writable = false, peer.name = "below"
// CHECK-SAME:    tensor<8xf32> {bufferization.writable = true, peer.name = "norm"
// CHECK-SAME:    tensor<16x2x8xf32> {bufferization.writable = false, peer.name = "pool"
// CHECK-NOT:     peer.name = "below.
// CHECK-NOT:     peer.name = "pool.
// CHECK-SAME:    -> (
// CHECK:         peer.linear
// CHECK:         peer.mix_grad
// CHECK-NOT:     peer.sort_pairs
// CHECK-NOT:     peer.pool_grad
// CHECK:         peer.rms_norm_weight_grad
// CHECK-NOT:     peer.linear
// CHECK-NOT:     peer.row_update
// CHECK:         peer.update
// CHECK-NOT:     peer.update
func.func private @layer(%x: tensor<?x8xf32> {peer.name = "x"}, %i: tensor<?x1x2xi32>, %w: tensor<?x1x2xf32>) -> tensor<?x8xf32> {
  %f = peer.param "below" normal(0.1) frozen : tensor<8x8xf32>
  %h = peer.linear %x, %f : tensor<?x8xf32>, tensor<8x8xf32>
  %g = peer.param "norm" ones : tensor<8xf32>
  %n = peer.rms_norm %h, %g : tensor<?x8xf32>, tensor<8xf32>
  %p = peer.param "pool" normal(0.1) group("experts") frozen : tensor<16x2x8xf32>
  %y = peer.mix %n, %i, %w, %p relu : tensor<?x8xf32>, tensor<?x1x2xi32>, tensor<?x1x2xf32>, tensor<16x2x8xf32>
  return %y : tensor<?x8xf32>
}
func.func @loss(%x: tensor<?x8xf32>, %i: tensor<?x1x2xi32>, %w: tensor<?x1x2xf32>, %t: tensor<?xi32>) -> tensor<f32> {
  %y = peer.call "" @layer(%x, %i, %w) : (tensor<?x8xf32>, tensor<?x1x2xi32>, tensor<?x1x2xf32>) -> tensor<?x8xf32>
  %l = peer.cross_entropy %y, %t : tensor<?x8xf32>, tensor<?xi32>
  %m = peer.mean %l : tensor<?xf32>
  return %m : tensor<f32>
}
peer.gradient @layer_grad of @layer wrt [0]
peer.train @step of @loss {optimizer = #peer.adamw}
