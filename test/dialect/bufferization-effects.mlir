// RUN: peer-opt %s --canonicalize --cse --split-input-file | FileCheck %s

// On tensors an op has no effects: the same twice is once, and what nobody uses goes.
// CHECK-LABEL: func.func @tensors(
// CHECK:       %[[A:.*]] = peer.activation
// CHECK-NOT:   peer.
// CHECK:       return %[[A]], %[[A]]
func.func @tensors(%x: tensor<4x8xf32>) -> (tensor<4x8xf32>, tensor<4x8xf32>) {
  %a = peer.activation %x relu : tensor<4x8xf32>
  %b = peer.activation %x relu : tensor<4x8xf32>
  %c = peer.activation %x gelu : tensor<4x8xf32>
  return %a, %b : tensor<4x8xf32>, tensor<4x8xf32>
}

// -----

// A buffer that is read after it was written has changed; the load before the op is not the load after.
// CHECK-LABEL: func.func @buffers(
// CHECK:       memref.load
// CHECK:       peer.activation
// CHECK:       memref.load
func.func @buffers(%x: memref<4x8xf32>, %y: memref<4x8xf32>) -> (f32, f32) {
  %c0 = arith.constant 0 : index
  %old = memref.load %y[%c0, %c0] : memref<4x8xf32>
  peer.activation %x relu outs(%y : memref<4x8xf32>) : memref<4x8xf32>
  %new = memref.load %y[%c0, %c0] : memref<4x8xf32>
  return %old, %new : f32, f32
}
