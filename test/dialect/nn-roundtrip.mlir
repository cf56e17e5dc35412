// RUN: %peer-pass %s | %peer-pass | FileCheck %s
// RUN: %peer-pass %s --mlir-print-op-generic | %peer-pass | FileCheck %s

!act = tensor<?x32xf32>
!vec = tensor<32xf32>
!tok = tensor<?xf32>

// CHECK-LABEL: func.func @linear(
func.func @linear(%x: !act, %w: tensor<32x64xf32>, %wt: tensor<64x32xf32>) -> (tensor<?x64xf32>, tensor<32x32xf32>) {
  // CHECK: peer.linear %{{.*}}, %{{.*}} : tensor<?x32xf32>, tensor<32x64xf32>
  %a = peer.linear %x, %w : !act, tensor<32x64xf32>
  // CHECK: %[[B:.*]] = peer.linear %{{.*}}, %{{.*}} {transpose_weight} : tensor<?x32xf32>, tensor<64x32xf32>
  %b = peer.linear %x, %wt {transpose_weight} : !act, tensor<64x32xf32>
  // CHECK: %[[C:.*]] = peer.linear %{{.*}}, %{{.*}} {transpose_x} : tensor<?x32xf32>, tensor<?x32xf32>
  %c = peer.linear %x, %x {transpose_x} : !act, !act
  // CHECK: peer.linear %{{.*}}, %{{.*}} {products = bf16, transpose_weight} : tensor<?x32xf32>, tensor<64x32xf32>
  %d = peer.linear %x, %wt {products = bf16, transpose_weight} : !act, tensor<64x32xf32>
  // CHECK: return %[[B]], %[[C]] : tensor<?x64xf32>, tensor<32x32xf32>
  return %b, %c : tensor<?x64xf32>, tensor<32x32xf32>
}

// CHECK-LABEL: func.func @reshape(
func.func @reshape(%x: !act, %s: tensor<6x4xi32>) {
  // CHECK: peer.reshape %{{.*}} to tensor<?x2x16xf32> : tensor<?x32xf32>
  %a = peer.reshape %x to tensor<?x2x16xf32> : !act
  // Rows may be cut in several, or joined.
  // CHECK: peer.reshape %{{.*}} to tensor<?xf32> : tensor<?x32xf32>
  %b = peer.reshape %x to tensor<?xf32> : !act
  // CHECK: peer.reshape %{{.*}} to tensor<8x3xi32> : tensor<6x4xi32>
  %c = peer.reshape %s to tensor<8x3xi32> : tensor<6x4xi32>
  return
}

// CHECK-LABEL: func.func @embedding(
func.func @embedding(%t: tensor<?xi32>, %table: tensor<256x32xbf16>, %dy: !act) -> (!act, tensor<256x32xf32>) {
  // CHECK: %[[E:.*]] = peer.embedding %{{.*}}, %{{.*}} : tensor<?xi32>, tensor<256x32xbf16>
  %e = peer.embedding %t, %table : tensor<?xi32>, tensor<256x32xbf16>
  // CHECK: %[[D:.*]] = peer.embedding_grad %{{.*}}, %{{.*}} {rows = 256 : i64} : tensor<?xi32>, tensor<?x32xf32>
  %d = peer.embedding_grad %t, %dy {rows = 256 : i64} : tensor<?xi32>, !act
  // CHECK: return %[[E]], %[[D]] : tensor<?x32xf32>, tensor<256x32xf32>
  return %e, %d : !act, tensor<256x32xf32>
}

// CHECK-LABEL: func.func @rms_norm(
func.func @rms_norm(%x: !act, %w: !vec) -> (!act, !tok, !vec) {
  // CHECK: peer.rms_norm %{{.*}}, %{{.*}} : tensor<?x32xf32>, tensor<32xf32>
  %a = peer.rms_norm %x, %w : !act, !vec
  // CHECK: peer.rms_norm %{{.*}}, %{{.*}} {epsilon = 9.99999997E-7 : f32} : tensor<?x32xf32>, tensor<32xf32>
  %b = peer.rms_norm %x, %w {epsilon = 1.0e-6 : f32} : !act, !vec
  // CHECK: %[[D0:.*]], %[[D1:.*]] = peer.rms_norm_grad %{{.*}}, %{{.*}}, %{{.*}} {epsilon = 9.99999974E-6 : f32} : tensor<?x32xf32>, tensor<32xf32>, tensor<?x32xf32>
  %d, %rstd = peer.rms_norm_grad %x, %w, %x {epsilon = 1.0e-5 : f32} : !act, !vec, !act
  // CHECK: %[[W:.*]] = peer.rms_norm_weight_grad %{{.*}}, %[[D1]], %{{.*}} : tensor<?x32xf32>, tensor<?xf32>, tensor<?x32xf32>
  %dw = peer.rms_norm_weight_grad %x, %rstd, %x : !act, !tok, !act
  // CHECK: return %[[D0]], %[[D1]], %[[W]] : tensor<?x32xf32>, tensor<?xf32>, tensor<32xf32>
  return %d, %rstd, %dw : !act, !tok, !vec
}

// CHECK-LABEL: func.func @layer_norm(
func.func @layer_norm(%x: !act, %w: !vec) -> (!act, !tok, !tok, !vec, !vec) {
  // CHECK: peer.layer_norm %{{.*}}, %{{.*}}, %{{.*}} : tensor<?x32xf32>, tensor<32xf32>, tensor<32xf32>
  %a = peer.layer_norm %x, %w, %w : !act, !vec, !vec
  // CHECK: %[[D0:.*]], %[[D1:.*]], %[[D2:.*]] = peer.layer_norm_grad %{{.*}}, %{{.*}}, %{{.*}} {epsilon = {{.*}} : f32} : tensor<?x32xf32>, tensor<32xf32>, tensor<?x32xf32>
  %d, %m, %r = peer.layer_norm_grad %x, %w, %x {epsilon = 1.0e-5 : f32} : !act, !vec, !act
  // CHECK: %[[W0:.*]], %[[W1:.*]] = peer.layer_norm_weight_grad %{{.*}}, %[[D1]], %[[D2]], %{{.*}} : tensor<?x32xf32>, tensor<?xf32>, tensor<?xf32>, tensor<?x32xf32>
  %dw, %db = peer.layer_norm_weight_grad %x, %m, %r, %x : !act, !tok, !tok, !act
  return %d, %m, %r, %dw, %db : !act, !tok, !tok, !vec, !vec
}

// CHECK-LABEL: func.func @batch_norm(
func.func @batch_norm(%x: !act, %w: !vec) -> (!act, !act, !vec, !vec) {
  // CHECK: peer.batch_norm %{{.*}} : tensor<?x32xf32>, tensor<32xf32>, tensor<32xf32>, tensor<32xf32>, tensor<32xf32>
  %a = peer.batch_norm %x, %w, %w, %w, %w : !act, !vec, !vec, !vec, !vec
  // CHECK: %[[S0:.*]], %[[S1:.*]] = peer.batch_stats %{{.*}} : tensor<?x32xf32>
  %m, %v = peer.batch_stats %x : !act
  // CHECK: peer.batch_norm {{.*}}, %[[S0]], %[[S1]] {batch_statistics, epsilon = 5.000000e-01 : f32, momentum = 2.500000e-01 : f32} :
  %b = peer.batch_norm %x, %w, %w, %m, %v {epsilon = 0.5 : f32, momentum = 0.25 : f32, batch_statistics} : !act, !vec, !vec, !vec, !vec
  // CHECK: %[[W0:.*]], %[[W1:.*]] = peer.batch_norm_weight_grad %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} {epsilon = 5.000000e-01 : f32} : tensor<?x32xf32>, tensor<32xf32>, tensor<32xf32>, tensor<?x32xf32>
  %dw, %db = peer.batch_norm_weight_grad %x, %m, %v, %x {epsilon = 0.5 : f32} : !act, !vec, !vec, !act
  // CHECK: peer.batch_norm_grad {{.*}}, %[[W0]], %[[W1]] {batch_statistics, epsilon = 5.000000e-01 : f32} : tensor<?x32xf32>, tensor<32xf32>, tensor<32xf32>, tensor<32xf32>, tensor<?x32xf32>, tensor<32xf32>, tensor<32xf32>
  %dx = peer.batch_norm_grad %x, %w, %m, %v, %x, %dw, %db {epsilon = 0.5 : f32, batch_statistics} : !act, !vec, !vec, !vec, !act, !vec, !vec
  return %b, %dx, %dw, %db : !act, !act, !vec, !vec
}

// CHECK-LABEL: func.func @activation(
func.func @activation(%x: !act) -> !act {
  // CHECK: peer.activation %{{.*}} gelu : tensor<?x32xf32>
  %a = peer.activation %x gelu : !act
  // CHECK: peer.activation %{{.*}} silu : tensor<?x32xf32>
  %b = peer.activation %x silu : !act
  // CHECK: peer.activation %{{.*}} relu : tensor<?x32xf32>
  %c = peer.activation %x relu : !act
  // CHECK: peer.activation_grad %{{.*}}, %{{.*}} gelu : tensor<?x32xf32>, tensor<?x32xf32>
  %d = peer.activation_grad %x, %x gelu : !act, !act
  return %d : !act
}

// CHECK-LABEL: func.func @loss(
func.func @loss(%l: !act, %t: tensor<?xi32>) -> (tensor<f32>, !tok, !act) {
  // CHECK: %[[L:.*]] = peer.cross_entropy %{{.*}}, %{{.*}} : tensor<?x32xf32>, tensor<?xi32>
  %a = peer.cross_entropy %l, %t : !act, tensor<?xi32>
  // CHECK: %[[M:.*]] = peer.mean %[[L]] : tensor<?xf32>
  %m = peer.mean %a : !tok
  // CHECK: %[[D:.*]] = peer.mean_grad %[[L]], %[[M]] : tensor<?xf32>, tensor<f32>
  %d = peer.mean_grad %a, %m : !tok, tensor<f32>
  // CHECK: %[[G:.*]] = peer.cross_entropy_grad %{{.*}}, %{{.*}}, %[[D]] : tensor<?x32xf32>, tensor<?xi32>, tensor<?xf32>
  %g = peer.cross_entropy_grad %l, %t, %d : !act, tensor<?xi32>, !tok
  // CHECK: return %[[M]], %[[D]], %[[G]] : tensor<f32>, tensor<?xf32>, tensor<?x32xf32>
  return %m, %d, %g : tensor<f32>, !tok, !act
}

// CHECK-LABEL: func.func @buffers(
func.func @buffers(%x: memref<?x32xf32>, %w: memref<32xf32>, %r: memref<?xf32>, %m: memref<f32>, %h: memref<?x2x16xf32>) {
  // CHECK: peer.rms_norm %{{.*}}, %{{.*}} outs(%{{.*}} : memref<?x32xf32>) : memref<?x32xf32>, memref<32xf32>
  peer.rms_norm %x, %w outs(%x : memref<?x32xf32>) : memref<?x32xf32>, memref<32xf32>
  // CHECK: peer.rms_norm_grad %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} {epsilon = 1.000000e-03 : f32} : memref<?x32xf32>, memref<32xf32>, memref<?x32xf32>, memref<?x32xf32>, memref<?xf32>
  peer.rms_norm_grad %x, %w, %x, %x, %r {epsilon = 0.001 : f32}
    : memref<?x32xf32>, memref<32xf32>, memref<?x32xf32>, memref<?x32xf32>, memref<?xf32>
  // CHECK: peer.mean %{{.*}} outs(%{{.*}} : memref<f32>) : memref<?xf32>
  peer.mean %r outs(%m : memref<f32>) : memref<?xf32>
  // CHECK: peer.reshape %{{.*}} to tensor<?x2x16xf32> outs(%{{.*}} : memref<?x2x16xf32>) : memref<?x32xf32>
  peer.reshape %x to tensor<?x2x16xf32> outs(%h : memref<?x2x16xf32>) : memref<?x32xf32>
  return
}

// CHECK-LABEL: func.func @quantized_linear(
func.func @quantized_linear(%x: tensor<?x64xf32>, %w: tensor<16x64xi8>, %p: tensor<16x32xi8>, %s: tensor<16xf32>, %g: tensor<16x2xf32>,
                            %xb: memref<?x64xf32>, %wb: memref<16x64xi8>, %sb: memref<16xf32>, %yb: memref<?x16xf32>) {
  // CHECK: peer.quantized_linear %{{.*}}, %{{.*}}, %{{.*}} : tensor<?x64xf32>, tensor<16x64xi8>, tensor<16xf32>
  %a = peer.quantized_linear %x, %w, %s : tensor<?x64xf32>, tensor<16x64xi8>, tensor<16xf32>
  // CHECK: peer.quantized_linear %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} : tensor<?x64xf32>, tensor<16x32xi8>, tensor<16x2xf32>, tensor<16xf32>
  %b = peer.quantized_linear %x, %p, %g, %s : tensor<?x64xf32>, tensor<16x32xi8>, tensor<16x2xf32>, tensor<16xf32>
  // CHECK: peer.quantized_linear %{{.*}}, %{{.*}}, %{{.*}} outs(%{{.*}} : memref<?x16xf32>) : memref<?x64xf32>, memref<16x64xi8>, memref<16xf32>
  peer.quantized_linear %xb, %wb, %sb outs(%yb : memref<?x16xf32>) : memref<?x64xf32>, memref<16x64xi8>, memref<16xf32>
  return
}
