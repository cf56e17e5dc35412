// RUN: %peer-pass %s --peer-inline-modules --peer-differentiate --cse --split-input-file | FileCheck %s

// What is cheap is computed again, but for what a list of pairs holds; rows of several per token are split.
func.func private @layer(%x: tensor<?x8xf32> {peer.name = "x"}) -> (tensor<?x8xf32> {peer.name = "y"}) {
  %g = peer.param "norm" ones : tensor<8xf32>
  %n = peer.rms_norm %x, %g : tensor<?x8xf32>, tensor<8xf32>
  %wq = peer.param "query" normal(0.5) : tensor<8x16xf32>
  %q = peer.linear %n, %wq : tensor<?x8xf32>, tensor<8x16xf32>
  %qr = peer.reshape %q to tensor<?x4xf32> : tensor<?x16xf32>
  %k = peer.param "scale" ones : tensor<4xf32>
  %qn = peer.rms_norm %qr, %k : tensor<?x4xf32>, tensor<4xf32>
  %qh = peer.reshape %qn to tensor<?x2x2x4xf32> : tensor<?x4xf32>
  %keys = peer.param "keys" normal(0.5) : tensor<2x2x4x4xf32>
  %s = peer.score %qh, %keys : tensor<?x2x2x4xf32>, tensor<2x2x4x4xf32>
  %i, %v = peer.select %s product_topk<3> : tensor<?x2x2x4xf32>
  %w = peer.gate %v softmax : tensor<?x2x3xf32>
  %pool = peer.param "experts" normal(0.5) : tensor<16x2x8xf32>
  %y = peer.mix %n, %i, %w, %pool gelu : tensor<?x8xf32>, tensor<?x2x3xi32>, tensor<?x2x3xf32>, tensor<16x2x8xf32>
  return %y : tensor<?x8xf32>
}
// CHECK-LABEL: func.func @backward(
// CHECK-SAME: peer.name = "x"
// CHECK-SAME: peer.name = "dy"
// CHECK-SAME: tensor<16x2x8xf32> {{{[^}]*}}peer.name = "experts"
// CHECK-SAME: tensor<?x8xf32> {{{[^}]*}}peer.name = "saved.y"
// CHECK-SAME: tensor<?x4x4xf32> {{{[^}]*}}peer.name = "saved.y.2"
// CHECK-SAME: tensor<?x2x3xi32> {{{[^}]*}}peer.name = "saved.idx"
// CHECK-SAME: tensor<?x2x3xf32> {{{[^}]*}}peer.name = "saved.val"
// CHECK-SAME: peer.name = "grad.experts.coef"
// CHECK-SAME: peer.kind = "backward", peer.of = "layer", peer.pairs = [{coef = "grad.experts.coef", dy = "dy", idx = "saved.idx", of = "experts", x = "saved.y"}]
// CHECK-NOT: peer.select
// CHECK: peer.gate
// CHECK-NOT: peer.pool_grad
// CHECK-LABEL: func.func @forward(
// CHECK-SAME: -> (tensor<?x8xf32> {peer.name = "y"}, tensor<?x8xf32> {peer.name = "saved.y"}, tensor<?x4x4xf32> {peer.name = "saved.y.2"},
// CHECK-SAME: tensor<?x2x3xi32> {peer.name = "saved.idx"}, tensor<?x2x3xf32> {peer.name = "saved.val"})
// CHECK-SAME: peer.kind = "forward", peer.of = "layer"
peer.gradient @backward of @layer {saved = @forward, rows}

// -----

// A table of parameters alone is computed again, never saved.
func.func private @table(%x: tensor<?x8xf32> {peer.name = "x"}, %i: tensor<?x1x2xi32> {peer.name = "i"}, %w: tensor<?x1x2xf32> {peer.name = "w"})
    -> (tensor<?x8xf32> {peer.name = "y"}) {
  %a = peer.param "a" normal(0.5) : tensor<16x2x8xf32>
  %b = peer.param "b" normal(0.5) : tensor<16x2x8xf32>
  %pool = arith.mulf %a, %b : tensor<16x2x8xf32>
  %y = peer.mix %x, %i, %w, %pool gelu : tensor<?x8xf32>, tensor<?x1x2xi32>, tensor<?x1x2xf32>, tensor<16x2x8xf32>
  return %y : tensor<?x8xf32>
}
// CHECK-LABEL: func.func @table_backward(
// CHECK-NOT: saved.
// CHECK: arith.mulf
// CHECK-LABEL: func.func @table_forward(
// CHECK-NOT: saved.
// CHECK: return
peer.gradient @table_backward of @table {saved = @table_forward}
