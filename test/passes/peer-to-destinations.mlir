// RUN: peer-opt %s --peer-to-destinations --split-input-file --verify-diagnostics | FileCheck %s

// One destination per result; sizes come from the earliest value that has them, here the query.
// CHECK-LABEL: func.func @route(
// CHECK-SAME:    %[[Q:[a-z0-9]+]]: tensor<?x4x1x8xf32>
// CHECK:       %[[S0:.*]] = tensor.empty(%{{.*}}) : tensor<?x4x1x64xf32>
// CHECK:       %[[S:.*]] = peer.score {{.*}} outs(%[[S0]] : tensor<?x4x1x64xf32>)
// CHECK:       %[[DIM:.*]] = tensor.dim %[[Q]]
// CHECK:       %[[I0:.*]] = tensor.empty(%{{.*}}) : tensor<?x4x2xi32>
// CHECK:       %[[V0:.*]] = tensor.empty(%{{.*}}) : tensor<?x4x2xf32>
// CHECK:       peer.select %[[S]] topk<2> outs(%[[I0]], %[[V0]] : tensor<?x4x2xi32>, tensor<?x4x2xf32>)
func.func @route(%q: tensor<?x4x1x8xf32>, %keys: tensor<1x1x64x8xf32>) -> (tensor<?x4x2xi32>, tensor<?x4x2xf32>) {
  %s = peer.score %q, %keys : tensor<?x4x1x8xf32>, tensor<1x1x64x8xf32>
  %idx, %val = peer.select %s topk<2> : tensor<?x4x1x64xf32>
  return %idx, %val : tensor<?x4x2xi32>, tensor<?x4x2xf32>
}

// -----

// Sizes that are a multiple of T, and a rank-0 result.
// CHECK-LABEL: func.func @sizes(
// CHECK:       %[[T:.*]] = tensor.dim
// CHECK:       %[[PAIRS:.*]] = affine.apply #{{.*}}()[%[[T]]]
// CHECK:       tensor.empty(%[[PAIRS]]) : tensor<?xi32>
// CHECK:       tensor.empty() : tensor<2xi32>
// CHECK:       peer.sort_pairs
// CHECK:       tensor.empty() : tensor<f32>
// CHECK:       peer.sum_squares
func.func @sizes(%idx: tensor<?x4x2xi32>, %x: tensor<?x4xf32>)
    -> (tensor<?xi32>, tensor<?xi32>, tensor<2xi32>, tensor<f32>) {
  %p:3 = peer.sort_pairs %idx experts 64 : tensor<?x4x2xi32>
  %s = peer.sum_squares %x : tensor<?x4xf32>
  return %p#0, %p#1, %p#2, %s : tensor<?xi32>, tensor<?xi32>, tensor<2xi32>, tensor<f32>
}

// -----

// A result that is tied to an input is written there: no destination for it.
// CHECK-LABEL: func.func @tied(
// CHECK-NOT:   tensor.empty
// CHECK:       peer.usage %{{.*}}, %{{.*}}, %{{.*}} : tensor<?x4x2xi32>, tensor<?x4x2xf32>, tensor<64xf32>
func.func @tied(%idx: tensor<?x4x2xi32>, %w: tensor<?x4x2xf32>, %mass: tensor<64xf32>) -> tensor<64xf32> {
  %m = peer.usage %idx, %w, %mass : tensor<?x4x2xi32>, tensor<?x4x2xf32>, tensor<64xf32>
  return %m : tensor<64xf32>
}

// -----

// Attention with a cache has both: one output of its own, two caches in place.
// CHECK-LABEL: func.func @cached(
// CHECK:       tensor.empty(%{{.*}}) : tensor<?x8xf32>
// CHECK-NOT:   tensor.empty
// CHECK:       peer.cached_attention
func.func @cached(%q: tensor<?x8xf32>, %kc: tensor<16x8xf32>, %vc: tensor<16x8xf32>, %at: tensor<i32>)
    -> (tensor<?x8xf32>, tensor<16x8xf32>, tensor<16x8xf32>) {
  %o:3 = peer.cached_attention %q, %q, %q, %kc, %vc, %at {heads = 2 : i64}
     : tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>, tensor<16x8xf32>, tensor<16x8xf32>, tensor<i32>
  return %o#0, %o#1, %o#2 : tensor<?x8xf32>, tensor<16x8xf32>, tensor<16x8xf32>
}

// -----

func.func @view(%x: tensor<?x8xf32>) -> tensor<?x2x4xf32> {
  // expected-error @+1 {{is a view and needs no destination; lower it to tensor.expand_shape before}}
  %y = peer.reshape %x to tensor<?x2x4xf32> : tensor<?x8xf32>
  return %y : tensor<?x2x4xf32>
}

// -----

// What one tensor.empty was for becomes one each, outside of loops where it was: CSE made them one.
// CHECK-LABEL: func.func @shared(
// CHECK:       %[[A:.*]] = tensor.empty() : tensor<8xf32>
// CHECK-NEXT:  %[[X:.*]] = linalg.copy {{.*}} outs(%[[A]]
// CHECK-NEXT:  %[[B:.*]] = tensor.empty() : tensor<8xf32>
// CHECK-NEXT:  %{{.*}} = scf.for {{.*}} iter_args({{.*}} = %[[X]])
// CHECK-NEXT:    linalg.copy {{.*}} outs(%[[B]]
// CHECK-NOT:   tensor.empty
func.func @shared(%x: tensor<8xf32>, %n: index) -> tensor<8xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %e = tensor.empty() : tensor<8xf32>
  %a = linalg.copy ins(%x : tensor<8xf32>) outs(%e : tensor<8xf32>) -> tensor<8xf32>
  %b = scf.for %i = %c0 to %n step %c1 iter_args(%last = %a) -> tensor<8xf32> {
    %c = linalg.copy ins(%last : tensor<8xf32>) outs(%e : tensor<8xf32>) -> tensor<8xf32>
    scf.yield %c : tensor<8xf32>
  }
  return %b : tensor<8xf32>
}
