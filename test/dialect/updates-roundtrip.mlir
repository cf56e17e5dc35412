// RUN: %peer-pass %s | %peer-pass | FileCheck %s
// RUN: %peer-pass %s --mlir-print-op-generic | %peer-pass | FileCheck %s

!table = tensor<64x2x32xf32>

// AdamW keeps two states, which are results too.
// CHECK-LABEL: func.func @adamw(
func.func @adamw(%p: !table, %g: !table, %m: !table, %v: !table, %c: tensor<f32>) -> (!table, !table, !table) {
  // CHECK: %[[N:.*]]:3 = peer.update %{{.*}} {optimizer = #peer.adamw<learning_rate = 1.000000e-03, beta1 = 9.000000e-01, beta2 = 0.94999999999999996, epsilon = 1.000000e-08, weight_decay = 0.000000e+00, clip_norm = 0.000000e+00, lazy = false>} : tensor<64x2x32xf32>, tensor<64x2x32xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<64x2x32xf32>, tensor<64x2x32xf32>
  // CHECK: return %[[N]]#0, %[[N]]#1, %[[N]]#2
  %n:3 = peer.update %p, %g, %c, %c, %c, %m, %v {optimizer = #peer.adamw}
    : !table, !table, tensor<f32>, tensor<f32>, tensor<f32>, !table, !table
  return %n#0, %n#1, %n#2 : !table, !table, !table
}

// A bf16 parameter has f32 states; sgd without momentum keeps none.
// CHECK-LABEL: func.func @sgd(
func.func @sgd(%p: tensor<8x4xbf16>, %g: tensor<8x4xf32>, %m: tensor<8x4xf32>, %c: tensor<f32>)
    -> (tensor<8x4xbf16>, tensor<8x4xbf16>, tensor<8x4xf32>) {
  // CHECK: %[[A:.*]] = peer.update %{{.*}} {optimizer = #peer.sgd<learning_rate = 1.000000e-02, momentum = 0.000000e+00, weight_decay = 0.000000e+00, clip_norm = 0.000000e+00, lazy = false>}
  %a = peer.update %p, %g, %c, %c, %c {optimizer = #peer.sgd} : tensor<8x4xbf16>, tensor<8x4xf32>, tensor<f32>, tensor<f32>, tensor<f32>
  // CHECK: %[[B:.*]]:2 = peer.update %{{.*}} {optimizer = #peer.sgd<learning_rate = 1.000000e-02, momentum = 5.000000e-01,
  %b:2 = peer.update %p, %g, %c, %c, %c, %m {optimizer = #peer.sgd<momentum = 0.5>}
    : tensor<8x4xbf16>, tensor<8x4xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<8x4xf32>
  // CHECK: return %[[A]], %[[B]]#0, %[[B]]#1 : tensor<8x4xbf16>, tensor<8x4xbf16>, tensor<8x4xf32>
  return %a, %b#0, %b#1 : tensor<8x4xbf16>, tensor<8x4xbf16>, tensor<8x4xf32>
}

// Moments of bf16; no first one where it is the gradient.
// CHECK-LABEL: func.func @narrow(
func.func @narrow(%p: tensor<8x4xf32>, %v: tensor<8x4xbf16>, %c: tensor<f32>) -> (tensor<8x4xf32>, tensor<8x4xbf16>) {
  // CHECK: %[[N:.*]]:2 = peer.update %{{.*}} {optimizer = #peer.adamw<{{.*}}, beta1 = 0.000000e+00, {{.*}}, states = bf16>}
  %n:2 = peer.update %p, %p, %c, %c, %c, %v {optimizer = #peer.adamw<beta1 = 0, states = bf16>}
    : tensor<8x4xf32>, tensor<8x4xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<8x4xbf16>
  // CHECK: return %[[N]]#0, %[[N]]#1 : tensor<8x4xf32>, tensor<8x4xbf16>
  return %n#0, %n#1 : tensor<8x4xf32>, tensor<8x4xbf16>
}

// CHECK-LABEL: func.func @rows(
func.func @rows(%pool: !table, %m: !table, %idx: tensor<?x8x4xi32>, %coef: tensor<?x8x4x1x2xf32>, %x: tensor<?x32xf32>,
                %c: tensor<f32>) -> (!table, !table) {
  %o:3 = peer.sort_pairs %idx experts 64 : tensor<?x8x4xi32>
  // CHECK: %[[N:.*]]:2 = peer.row_update %{{.*}} {optimizer = #peer.sgd<{{.*}}, lazy = true>} : tensor<64x2x32xf32>, tensor<?x8x4xi32>, tensor<?xi32>, tensor<?xi32>, tensor<2xi32>, tensor<?x8x4x1x2xf32>, tensor<?x32xf32>, tensor<?x32xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<64x2x32xf32>
  // CHECK: return %[[N]]#0, %[[N]]#1
  %n:2 = peer.row_update %pool, %idx, %o#0, %o#1, %o#2, %coef, %x, %x, %c, %c, %c, %m {optimizer = #peer.sgd<momentum = 0.9, lazy>}
    : !table, tensor<?x8x4xi32>, tensor<?xi32>, tensor<?xi32>, tensor<2xi32>, tensor<?x8x4x1x2xf32>,
      tensor<?x32xf32>, tensor<?x32xf32>, tensor<f32>, tensor<f32>, tensor<f32>, !table
  return %n#0, %n#1 : !table, !table
}

// CHECK-LABEL: func.func @sum_squares(
func.func @sum_squares(%x: !table, %y: tensor<?xf32>) -> (tensor<f32>, tensor<f32>) {
  // CHECK: peer.sum_squares %{{.*}} : tensor<64x2x32xf32>
  %s = peer.sum_squares %x : !table
  // CHECK: peer.sum_squares %{{.*}} : tensor<?xf32>
  %t = peer.sum_squares %y : tensor<?xf32>
  // CHECK: return {{.*}} : tensor<f32>, tensor<f32>
  return %s, %t : tensor<f32>, tensor<f32>
}

// CHECK-LABEL: func.func @buffers(
func.func @buffers(%p: memref<64x2x32xf32>, %c: memref<f32>) {
  // CHECK: peer.update %{{.*}} : memref<64x2x32xf32>, memref<64x2x32xf32>, memref<f32>, memref<f32>, memref<f32>
  peer.update %p, %p, %c, %c, %c {optimizer = #peer.sgd}
    : memref<64x2x32xf32>, memref<64x2x32xf32>, memref<f32>, memref<f32>, memref<f32>
  // CHECK: peer.sum_squares %{{.*}}, %{{.*}} : memref<64x2x32xf32>, memref<f32>
  peer.sum_squares %p, %c : memref<64x2x32xf32>, memref<f32>
  return
}
