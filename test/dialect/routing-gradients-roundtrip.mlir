// RUN: %peer-pass %s | %peer-pass | FileCheck %s
// RUN: %peer-pass %s --mlir-print-op-generic | %peer-pass | FileCheck %s

!idx = tensor<?x8x4xi32>
!val = tensor<?x8x4xf32>

// CHECK-LABEL: func.func @select_grad(
func.func @select_grad(%i: !idx, %d: !val) -> (tensor<?x8x2x64xf32>, tensor<?x8x1x64xf32>, tensor<?x8x1x4xf32>) {
  // CHECK: %[[A:.*]] = peer.select_grad %{{.*}}, %{{.*}} product_topk<4> n 64 : tensor<?x8x4xi32>, tensor<?x8x4xf32>
  %a = peer.select_grad %i, %d product_topk<4> n 64 : !idx, !val
  // CHECK: %[[B:.*]] = peer.select_grad %{{.*}}, %{{.*}} topk<4> n 64 : tensor<?x8x4xi32>, tensor<?x8x4xf32>
  %b = peer.select_grad %i, %d topk<4> n 64 : !idx, !val
  // CHECK: %[[C:.*]] = peer.select_grad %{{.*}}, %{{.*}} all n 4 : tensor<?x8x4xi32>, tensor<?x8x4xf32>
  %c = peer.select_grad %i, %d all n 4 : !idx, !val
  // CHECK: peer.select_grad %{{.*}}, %{{.*}} top_p<5.000000e-01, max = 4> n 64 : tensor<?x8x4xi32>, tensor<?x8x4xf32>
  %p = peer.select_grad %i, %d top_p<0.5, max = 4> n 64 : !idx, !val
  // CHECK: peer.probability_grad %[[B]], %{{.*}}, %{{.*}} : tensor<?x8x1x64xf32>, tensor<?x8x4xf32>, tensor<?x8x4xf32>
  %q = peer.probability_grad %b, %d, %d : tensor<?x8x1x64xf32>, !val, !val
  // CHECK: return %[[A]], %[[B]], %[[C]] : tensor<?x8x2x64xf32>, tensor<?x8x1x64xf32>, tensor<?x8x1x4xf32>
  return %a, %b, %c : tensor<?x8x2x64xf32>, tensor<?x8x1x64xf32>, tensor<?x8x1x4xf32>
}

// CHECK-LABEL: func.func @score(
func.func @score(%dl: tensor<?x8x2x64xf32>, %k: tensor<8x2x64x16xbf16>, %q: tensor<?x8x2x16xf32>)
    -> (tensor<?x8x2x16xf32>, tensor<8x2x64x16xf32>, tensor<1x2x64x16xf32>) {
  // CHECK: %[[DQ:.*]] = peer.score_query_grad %{{.*}}, %{{.*}} : tensor<?x8x2x64xf32>, tensor<8x2x64x16xbf16>
  %dq = peer.score_query_grad %dl, %k : tensor<?x8x2x64xf32>, tensor<8x2x64x16xbf16>
  // CHECK: %[[DK:.*]] = peer.score_key_grad %{{.*}}, %{{.*}} : tensor<?x8x2x64xf32>, tensor<?x8x2x16xf32>
  %dk = peer.score_key_grad %dl, %q : tensor<?x8x2x64xf32>, tensor<?x8x2x16xf32>
  // CHECK: %[[DS:.*]] = peer.score_key_grad %{{.*}}, %{{.*}} shared : tensor<?x8x2x64xf32>, tensor<?x8x2x16xf32>
  %ds = peer.score_key_grad %dl, %q shared : tensor<?x8x2x64xf32>, tensor<?x8x2x16xf32>
  // CHECK: return %[[DQ]], %[[DK]], %[[DS]] : tensor<?x8x2x16xf32>, tensor<8x2x64x16xf32>, tensor<1x2x64x16xf32>
  return %dq, %dk, %ds : tensor<?x8x2x16xf32>, tensor<8x2x64x16xf32>, tensor<1x2x64x16xf32>
}

// CHECK-LABEL: func.func @route(
func.func @route(%i: !idx, %d: !val, %k: tensor<8x2x64x16xf32>, %q: tensor<?x8x2x16xf32>, %q1: tensor<?x8x1x16xf32>)
    -> (tensor<?x8x2x16xf32>, tensor<8x2x64x16xf32>, tensor<1x1x64x16xf32>) {
  // CHECK: %[[DQ:.*]] = peer.route_query_grad %{{.*}}, %{{.*}}, %{{.*}} product_topk<4> : tensor<?x8x4xi32>, tensor<?x8x4xf32>, tensor<8x2x64x16xf32>
  %dq = peer.route_query_grad %i, %d, %k product_topk<4> : !idx, !val, tensor<8x2x64x16xf32>
  // CHECK: %[[DK:.*]] = peer.route_key_grad %{{.*}}, %{{.*}}, %{{.*}} product_topk<4> n 64 : tensor<?x8x4xi32>, tensor<?x8x4xf32>, tensor<?x8x2x16xf32>
  %dk = peer.route_key_grad %i, %d, %q product_topk<4> n 64 : !idx, !val, tensor<?x8x2x16xf32>
  // CHECK: %[[DS:.*]] = peer.route_key_grad %{{.*}}, %{{.*}}, %{{.*}} topk<4> n 64 shared : tensor<?x8x4xi32>, tensor<?x8x4xf32>, tensor<?x8x1x16xf32>
  %ds = peer.route_key_grad %i, %d, %q1 topk<4> n 64 shared : !idx, !val, tensor<?x8x1x16xf32>
  // CHECK: return %[[DQ]], %[[DK]], %[[DS]] : tensor<?x8x2x16xf32>, tensor<8x2x64x16xf32>, tensor<1x1x64x16xf32>
  return %dq, %dk, %ds : tensor<?x8x2x16xf32>, tensor<8x2x64x16xf32>, tensor<1x1x64x16xf32>
}

// CHECK-LABEL: func.func @gate_grad(
func.func @gate_grad(%v: !val, %w: !val) -> !val {
  // CHECK: peer.gate_grad %{{.*}}, %{{.*}}, %{{.*}} softmax : tensor<?x8x4xf32>, tensor<?x8x4xf32>, tensor<?x8x4xf32>
  %d = peer.gate_grad %v, %w, %w softmax : !val, !val, !val
  return %d : !val
}

// CHECK-LABEL: func.func @mix_grad(
func.func @mix_grad(%x: tensor<?x32xf32>, %i: !idx, %w: !val, %pool: tensor<64x3x32xf32>)
    -> (tensor<?x32xf32>, !val, tensor<?x8x4x2x3xf32>) {
  // CHECK: %[[G0:.*]], %[[G1:.*]], %[[G2:.*]] = peer.mix_grad %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} silu {rows_per_expert = 2 : i64} : tensor<?x32xf32>, tensor<?x8x4xi32>, tensor<?x8x4xf32>, tensor<64x3x32xf32>, tensor<?x32xf32>
  %g:3 = peer.mix_grad %x, %i, %w, %pool, %x silu {rows_per_expert = 2}
     : tensor<?x32xf32>, !idx, !val, tensor<64x3x32xf32>, tensor<?x32xf32>
  // CHECK: return %[[G0]], %[[G1]], %[[G2]] : tensor<?x32xf32>, tensor<?x8x4xf32>, tensor<?x8x4x2x3xf32>
  return %g#0, %g#1, %g#2 : tensor<?x32xf32>, !val, tensor<?x8x4x2x3xf32>
}

// CHECK-LABEL: func.func @pool(
func.func @pool(%i: !idx, %coef: tensor<?x8x4x1x2xf32>, %x: tensor<?x32xf32>) -> (tensor<64x2x32xf32>, tensor<f32>) {
  // CHECK: %[[P0:.*]], %[[P1:.*]], %[[P2:.*]] = peer.sort_pairs %{{.*}} experts 64 : tensor<?x8x4xi32>
  %p:3 = peer.sort_pairs %i experts 64 : !idx
  // CHECK: %[[D:.*]] = peer.pool_grad %{{.*}}, %[[P0]], %[[P1]], %[[P2]], %{{.*}}, %{{.*}}, %{{.*}} {rows = 64 : i64} : tensor<?x8x4xi32>, tensor<?xi32>, tensor<?xi32>, tensor<2xi32>, tensor<?x8x4x1x2xf32>, tensor<?x32xf32>, tensor<?x32xf32>
  %d = peer.pool_grad %i, %p#0, %p#1, %p#2, %coef, %x, %x {rows = 64 : i64}
     : !idx, tensor<?xi32>, tensor<?xi32>, tensor<2xi32>, tensor<?x8x4x1x2xf32>, tensor<?x32xf32>, tensor<?x32xf32>
  // CHECK: %[[N:.*]] = peer.pool_grad_norm %{{.*}}, %[[P0]], %[[P1]], %[[P2]], %{{.*}}, %{{.*}}, %{{.*}} :
  %n = peer.pool_grad_norm %i, %p#0, %p#1, %p#2, %coef, %x, %x
     : !idx, tensor<?xi32>, tensor<?xi32>, tensor<2xi32>, tensor<?x8x4x1x2xf32>, tensor<?x32xf32>, tensor<?x32xf32>
  // CHECK: return %[[D]], %[[N]] : tensor<64x2x32xf32>, tensor<f32>
  return %d, %n : tensor<64x2x32xf32>, tensor<f32>
}

// The pairs of a static token count are counted.
// CHECK-LABEL: func.func @static_pairs(
func.func @static_pairs(%i: tensor<16x8x4xi32>) -> (tensor<512xi32>, tensor<512xi32>, tensor<2xi32>) {
  // CHECK: peer.sort_pairs %{{.*}} experts 64 : tensor<16x8x4xi32>
  // CHECK: return {{.*}} : tensor<512xi32>, tensor<512xi32>, tensor<2xi32>
  %p:3 = peer.sort_pairs %i experts 64 : tensor<16x8x4xi32>
  return %p#0, %p#1, %p#2 : tensor<512xi32>, tensor<512xi32>, tensor<2xi32>
}

// CHECK-LABEL: func.func @buffers(
func.func @buffers(%i: memref<?x8x4xi32>, %d: memref<?x8x4xf32>, %q: memref<?x8x2x16xf32>, %k: memref<8x2x64x16xf32>,
                   %order: memref<?xi32>, %starts: memref<?xi32>, %count: memref<2xi32>) {
  // CHECK: peer.route_key_grad %{{.*}}, %{{.*}}, %{{.*}} product_topk<4> n 64 outs(%{{.*}} : memref<8x2x64x16xf32>) : memref<?x8x4xi32>, memref<?x8x4xf32>, memref<?x8x2x16xf32>
  peer.route_key_grad %i, %d, %q product_topk<4> n 64 outs(%k : memref<8x2x64x16xf32>)
    : memref<?x8x4xi32>, memref<?x8x4xf32>, memref<?x8x2x16xf32>
  // CHECK: peer.sort_pairs %{{.*}} experts 64 outs(%{{.*}}, %{{.*}}, %{{.*}} : memref<?xi32>, memref<?xi32>, memref<2xi32>) : memref<?x8x4xi32>
  peer.sort_pairs %i experts 64 outs(%order, %starts, %count : memref<?xi32>, memref<?xi32>, memref<2xi32>) : memref<?x8x4xi32>
  return
}
