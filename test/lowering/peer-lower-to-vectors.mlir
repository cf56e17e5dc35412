// RUN: %peer-pass %s --split-input-file --peer-lower-to-vectors=width=8 --canonicalize | FileCheck %s -D#W=8
// RUN: %peer-pass %s --split-input-file --peer-lower-to-vectors=width=4 --canonicalize | FileCheck %s -D#W=4
// RUN: not peer-opt %s --peer-lower-to-vectors=width=0 2>&1 | FileCheck %s --check-prefix=WIDTH
// RUN: not peer-opt %s --peer-lower-to-vectors=width=3 2>&1 | FileCheck %s --check-prefix=WIDTH
// WIDTH: error: vectors of 16, 8 or 4 lanes are supported, got width={{0|3}}

// What all fast paths have in common; the ops' own code is in the nn and routing tests beside this file.
// Vectors are as wide as the target's.
// CHECK-LABEL: func.func @activation(
// CHECK:       scf.for {{.*}} step %c[[#W]]
// CHECK:         vector.load {{.*}} vector<[[#W]]xf32>
// CHECK:         math.exp {{.*}} : vector<[[#W]]xf32>
// CHECK:         vector.store {{.*}} vector<[[#W]]xf32>
// CHECK-NOT:   peer.
func.func @activation(%x: memref<?x40xf32>, %y: memref<?x40xf32>) {
  peer.activation %x silu outs(%y : memref<?x40xf32>) : memref<?x40xf32>
  return
}

// -----

// A whole parameter is one run of numbers.
// CHECK-LABEL: func.func @update(
// CHECK:       memref.collapse_shape {{.*}} : memref<64x20xf32> into memref<1280xf32>
// CHECK:       scf.for {{.*}} to %c1280 step %c[[#W]]
// CHECK:         vector.load {{.*}} : memref<1280xf32>, vector<[[#W]]xf32>
// CHECK-NOT:   peer.
func.func @update(%p: memref<64x20xf32>, %g: memref<64x20xf32>, %c: memref<f32>) {
  peer.update %p, %g, %c, %c, %c {optimizer = #peer.sgd} : memref<64x20xf32>, memref<64x20xf32>, memref<f32>, memref<f32>, memref<f32>
  return
}

// -----

// Products of more than 8 rows go to the runtime's BLAS, declared once.
// CHECK-COUNT-1: func.func private @peer_rt_sgemm
// CHECK-LABEL: func.func @products(
// CHECK-COUNT-2: call @peer_rt_sgemm
// CHECK-NOT:   peer.
func.func @products(%x: memref<9x16xf32>, %w: memref<16x16xf32>, %y: memref<9x16xf32>) {
  peer.linear %x, %w outs(%y : memref<9x16xf32>) : memref<9x16xf32>, memref<16x16xf32>
  peer.linear %y, %w outs(%x : memref<9x16xf32>) : memref<9x16xf32>, memref<16x16xf32>
  return
}

// -----

// The others read the weight here, once for all rows.
// CHECK-LABEL: func.func @few(
// CHECK-NOT:   peer_rt_sgemm
// CHECK-COUNT-8: vector.load {{.*}} : memref<16x16xf32>
// CHECK:       scf.for {{.*}} to %c8 step
// CHECK-COUNT-8: vector.fma
// CHECK-NOT:   peer
func.func @few(%x: memref<8x16xf32>, %w: memref<16x16xf32>, %y: memref<8x16xf32>) {
  peer.linear %x, %w outs(%y : memref<8x16xf32>) : memref<8x16xf32>, memref<16x16xf32>
  return
}

// -----

// Where there is no fast path, plain loops.
// CHECK-LABEL: func.func @usage(
// CHECK-NOT:   vector.
// CHECK-COUNT-3: scf.for
// CHECK:       memref.store
// CHECK-NOT:   peer.
func.func @usage(%i: memref<?x4x8xi32>, %w: memref<?x4x8xf32>, %m: memref<64xf32>) {
  peer.usage %i, %w, %m : memref<?x4x8xi32>, memref<?x4x8xf32>, memref<64xf32>
  return
}
