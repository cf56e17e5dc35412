// RUN: %peer-pass %s --peer-outline-kernels | FileCheck %s
// RUN: %peer-pass %s --peer-outline-kernels --duplicate-function-elimination | FileCheck %s --check-prefix=ONCE

// A kernel is named after the mark before it, and takes what it uses from outside; constants move along.
// CHECK-LABEL: func.func @entry(
// CHECK-SAME:    %[[X:.*]]: memref<?x8xf32>, %[[Y:.*]]: memref<?x8xf32>
// CHECK:       %[[T:.*]] = memref.dim %[[X]]
// CHECK-NEXT:  peer.mark 0 "act"
// CHECK-NEXT:  call @kernel_act(%[[X]], %[[Y]])
// CHECK-NEXT:  peer.mark 1 "tiles"
// CHECK-NEXT:  call @kernel_tiles(%[[Y]], %[[X]], %[[T]])
// CHECK-NEXT:  peer.mark 2 "act"
// CHECK-NEXT:  call @kernel_act_0(%[[X]], %[[Y]])
// CHECK-NEXT:  return
// Blocks of a model repeat: one copy of a kernel serves all.
// ONCE-LABEL: func.func @entry(
// ONCE:       call @kernel_act(
// ONCE:       call @kernel_tiles(
// ONCE:       call @kernel_act(
func.func @entry(%x: memref<?x8xf32>, %y: memref<?x8xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1.0 : f32
  %t = memref.dim %x, %c0 : memref<?x8xf32>
  peer.mark 0 "act" bytes [0, 64] flops [0, 8]
  peer.activation %x gelu outs(%y : memref<?x8xf32>) : memref<?x8xf32>
  peer.mark 1 "tiles" bytes [0, 64] flops [0, 8]
  scf.forall (%i) in (%t) {
    %v = memref.load %y[%i, %c0] : memref<?x8xf32>
    %w = arith.addf %v, %c1 : f32
    memref.store %w, %x[%i, %c0] : memref<?x8xf32>
  }
  peer.mark 2 "act" bytes [0, 64] flops [0, 8]
  peer.activation %x gelu outs(%y : memref<?x8xf32>) : memref<?x8xf32>
  return
}

// What is still on tensors stays where its users are, and so do private functions, which are kernels already.
// CHECK-LABEL: func.func @values(
// CHECK-NEXT:  peer.activation
func.func @values(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %y = peer.activation %x gelu : tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}

// CHECK-LABEL: func.func private @done(
// CHECK-NEXT:  peer.activation
func.func private @done(%x: memref<4x8xf32>) {
  peer.activation %x gelu outs(%x : memref<4x8xf32>) : memref<4x8xf32>
  return
}

// CHECK-LABEL: func.func private @kernel_act(
// CHECK-NEXT:  peer.activation
// CHECK-LABEL: func.func private @kernel_tiles(
// CHECK-SAME:    %[[N:[a-z0-9]*]]: index)
// CHECK:       arith.constant
// CHECK:       scf.forall {{.*}} in (%[[N]])
