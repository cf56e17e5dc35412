// RUN: %peer-pass %s --peer-inline-modules --peer-derive-updates --split-input-file | FileCheck %s

func.func @layer(%x: tensor<?x8xf32>, %i: tensor<?x2x3xi32>, %w: tensor<?x2x3xf32>) -> tensor<?x8xf32> {
  %pool = peer.param "experts" normal(0.5) group("tables") : tensor<16x2x8xf32>
  %y = peer.mix %x, %i, %w, %pool gelu : tensor<?x8xf32>, tensor<?x2x3xi32>, tensor<?x2x3xf32>, tensor<16x2x8xf32>
  return %y : tensor<?x8xf32>
}
// CHECK-LABEL: func.func @update(
// CHECK-SAME: tensor<?x2x3xi32> {{{[^}]*}}peer.name = "experts.idx", peer.range = [-1, 16]
// CHECK-SAME: tensor<?x2x3x1x2xf32> {{{[^}]*}}peer.name = "experts.coef"
// CHECK-SAME: tensor<?x8xf32> {{{[^}]*}}peer.name = "experts.x"
// CHECK-SAME: tensor<?x8xf32> {{{[^}]*}}peer.name = "experts.dy"
// CHECK-SAME: tensor<16x2x8xf32> {bufferization.writable = true, peer.name = "experts"
// CHECK-SAME: peer.name = "experts.m", peer.role = "state"
// CHECK-SAME: peer.name = "experts.v", peer.role = "state"
// CHECK-SAME: peer.name = "learning_rate.tables", peer.role = "scalar"
// CHECK-SAME: peer.name = "step"
// CHECK-SAME: peer.name = "scale"
// CHECK-SAME: peer.kind = "row_update", peer.pairs = [{coef = "experts.coef", dy = "experts.dy", idx = "experts.idx", of = "experts", x = "experts.x"}]
// CHECK: peer.sort_pairs %{{.*}} experts 16
// CHECK: peer.row_update
// CHECK-LABEL: func.func @norm(
// CHECK-SAME: -> (tensor<f32> {peer.name = "squares"})
// CHECK-SAME: peer.kind = "row_norm"
// CHECK: peer.pool_grad_norm
peer.update_rows @update norm @norm of "experts" {optimizer = #peer.adamw<lazy>}

// -----

// Uses that select differently: room for the longest.
func.func @twice(%x: tensor<?x8xf32>, %i: tensor<?x2x3xi32>, %w: tensor<?x2x3xf32>, %j: tensor<?x1x4xi32>, %u: tensor<?x1x4xf32>) -> tensor<?x8xf32> {
  %pool = peer.param "experts" normal(0.5) : tensor<16x1x8xf32>
  %h = peer.mix %x, %i, %w, %pool : tensor<?x8xf32>, tensor<?x2x3xi32>, tensor<?x2x3xf32>, tensor<16x1x8xf32>
  %y = peer.mix %h, %j, %u, %pool : tensor<?x8xf32>, tensor<?x1x4xi32>, tensor<?x1x4xf32>, tensor<16x1x8xf32>
  return %y : tensor<?x8xf32>
}
// CHECK-LABEL: func.func @update_twice(
// CHECK-SAME: tensor<?x1x6xi32>
// CHECK-SAME: tensor<?x1x6x1x1xf32>
peer.update_rows @update_twice of "experts" {optimizer = #peer.sgd<lazy>}
