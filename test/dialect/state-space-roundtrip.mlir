// RUN: %peer-pass %s | %peer-pass | FileCheck %s
// RUN: %peer-pass %s --mlir-print-op-generic | %peer-pass | FileCheck %s

!act = tensor<?x8xf32>
!w = tensor<4x8xf32>
!n = tensor<?x4xf32>

// What sums over rows stays apart by sequence, what sums over channels by groups of them.
// CHECK-LABEL: func.func @conv(
func.func @conv(%x: !act, %w: !w, %at: tensor<i32>) -> (!act, tensor<?x4x8xf32>, !w) {
  // CHECK: %[[Y:.*]] = peer.causal_conv %{{.*}}, %{{.*}} context 16 : tensor<?x8xf32>, tensor<4x8xf32>
  %y = peer.causal_conv %x, %w context 16 : !act, !w
  // CHECK: %{{.*}}, %[[W:.*]] = peer.causal_conv_grad %{{.*}}, %{{.*}}, %[[Y]] {context_length = 16 : i64} : tensor<?x8xf32>, tensor<4x8xf32>, tensor<?x8xf32>
  %d:2 = peer.causal_conv_grad %x, %w, %y {context_length = 16 : i64} : !act, !w, !act
  // CHECK: %{{.*}}, %[[C:.*]] = peer.cached_causal_conv %{{.*}} : tensor<?x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>, tensor<i32>
  %c:2 = peer.cached_causal_conv %x, %w, %w, %at : !act, !w, !w, tensor<i32>
  // CHECK: return %{{.*}}, %[[W]], %[[C]] : tensor<?x8xf32>, tensor<?x4x8xf32>, tensor<4x8xf32>
  return %d#0, %d#1, %c#1 : !act, tensor<?x4x8xf32>, !w
}

// CHECK-LABEL: func.func @scan(
func.func @scan(%x: tensor<32x8xf32>, %a: !w, %b: tensor<32x4xf32>, %at: tensor<i32>) -> (tensor<2x4x8xf32>, tensor<32x2x4xf32>, !w) {
  // CHECK: %[[Y:.*]] = peer.selective_scan %{{.*}} context 16 : tensor<32x8xf32>, tensor<32x8xf32>, tensor<4x8xf32>, tensor<32x4xf32>, tensor<32x4xf32>
  %y = peer.selective_scan %x, %x, %a, %b, %b context 16 : tensor<32x8xf32>, tensor<32x8xf32>, !w, tensor<32x4xf32>, tensor<32x4xf32>
  // CHECK: peer.selective_scan_grad %{{.*}}, %[[Y]] {channels = 4 : i64, context_length = 16 : i64} :
  %d:5 = peer.selective_scan_grad %x, %x, %a, %b, %b, %y {context_length = 16 : i64, channels = 4 : i64} : tensor<32x8xf32>, tensor<32x8xf32>, !w, tensor<32x4xf32>, tensor<32x4xf32>, tensor<32x8xf32>
  // CHECK: peer.cached_selective_scan %{{.*}} : tensor<32x8xf32>, tensor<32x8xf32>, tensor<4x8xf32>, tensor<32x4xf32>, tensor<32x4xf32>, tensor<4x8xf32>, tensor<i32>
  %c:2 = peer.cached_selective_scan %x, %x, %a, %b, %b, %a, %at : tensor<32x8xf32>, tensor<32x8xf32>, !w, tensor<32x4xf32>, tensor<32x4xf32>, !w, tensor<i32>
  // CHECK: return %{{.*}} : tensor<2x4x8xf32>, tensor<32x2x4xf32>, tensor<4x8xf32>
  return %d#2, %d#3, %c#1 : tensor<2x4x8xf32>, tensor<32x2x4xf32>, !w
}

// CHECK-LABEL: func.func @buffers(
func.func @buffers(%x: memref<16x8xf32>, %w: memref<4x8xf32>, %b: memref<16x4xf32>, %at: memref<i32>) {
  // CHECK: peer.causal_conv %{{.*}} context 16 outs(%{{.*}} : memref<16x8xf32>) : memref<16x8xf32>, memref<4x8xf32>
  peer.causal_conv %x, %w context 16 outs(%x : memref<16x8xf32>) : memref<16x8xf32>, memref<4x8xf32>
  // CHECK: peer.selective_scan %{{.*}} context 16 outs(%{{.*}} : memref<16x8xf32>) :
  peer.selective_scan %x, %x, %w, %b, %b context 16 outs(%x : memref<16x8xf32>) : memref<16x8xf32>, memref<16x8xf32>, memref<4x8xf32>, memref<16x4xf32>, memref<16x4xf32>
  return
}
