// RUN: %peer-pass %s --peer-lower-to-loops --split-input-file | FileCheck %s --implicit-check-not=vector. --implicit-check-not="call @"

// The decomposition of ops that peer-lower-to-loops-routing.mlir and the nn tests leave out: the loops and what is stored.
// CHECK-LABEL: func.func @gate(
// CHECK:       scf.for
// CHECK:         scf.for
// CHECK:           arith.maximumf
// CHECK:           math.exp %{{.*}} : f32
// CHECK:           arith.divf
// CHECK:           memref.store
func.func @gate(%v: memref<?x4x8xf32>, %w: memref<?x4x8xf32>) {
  peer.gate %v softmax outs(%w : memref<?x4x8xf32>) : memref<?x4x8xf32>
  return
}

// -----

// Everywhere but where nothing was selected.
// CHECK-LABEL: func.func @gate_one(
// CHECK-NOT:   math.
// CHECK:       memref.store
func.func @gate_one(%v: memref<?x4x8xf32>, %w: memref<?x4x8xf32>) {
  peer.gate %v one outs(%w : memref<?x4x8xf32>) : memref<?x4x8xf32>
  return
}

// -----

// Tokens in order, so that the sum is the same on every run.
// CHECK-LABEL: func.func @usage(
// CHECK-SAME:    %{{.*}}, %{{.*}}, %[[MASS:.*]]: memref<64xf64>
// CHECK-COUNT-3: scf.for
// CHECK:       %[[WEIGHT:.*]] = arith.extf
// CHECK:       %[[OLD:.*]] = memref.load %[[MASS]]
// CHECK:       %[[NEW:.*]] = arith.addf %[[OLD]], %[[WEIGHT]] : f64
// CHECK:       memref.store %[[NEW]], %[[MASS]]
func.func @usage(%i: memref<?x4x8xi32>, %w: memref<?x4x8xf32>, %m: memref<64xf64>) {
  peer.usage %i, %w, %m : memref<?x4x8xi32>, memref<?x4x8xf32>, memref<64xf64>
  return
}

// -----

// A loop per dimension of the parameter; value and states are stored where they were.
// CHECK-LABEL: func.func @update(
// CHECK-SAME:    %[[P:[a-z0-9]+]]: memref<64x2x8xf32>, %[[G:[a-z0-9]+]]: memref<64x2x8xf32>, %[[M:[a-z0-9]+]]: memref<64x2x8xf32>
// CHECK:       scf.for
// CHECK-DAG:     memref.load %[[G]]
// CHECK-DAG:     memref.load %[[M]]
// CHECK-DAG:     memref.store %{{.*}}, %[[M]]
// CHECK-DAG:     memref.store %{{.*}}, %[[P]]
func.func @update(%p: memref<64x2x8xf32>, %g: memref<64x2x8xf32>, %m: memref<64x2x8xf32>, %c: memref<f32>) {
  peer.update %p, %g, %c, %c, %c, %m {optimizer = #peer.sgd<momentum = 0.9>}
    : memref<64x2x8xf32>, memref<64x2x8xf32>, memref<f32>, memref<f32>, memref<f32>, memref<64x2x8xf32>
  return
}

// -----

// A count per expert, a running sum, and each pair to its place.
// CHECK-LABEL: func.func @sort_pairs(
// CHECK-SAME:    %{{.*}}: memref<?x4x8xi32>, %[[ORDER:.*]]: memref<?xi32>, %[[STARTS:.*]]: memref<?xi32>, %[[COUNT:.*]]: memref<2xi32>
// CHECK:       memref.alloc() {{.*}}: memref<64xi32>
// CHECK:       memref.store %{{.*}}, %[[STARTS]]
// CHECK:       memref.store %{{.*}}, %[[ORDER]]
// CHECK:       memref.store %{{.*}}, %[[COUNT]]
// CHECK:       memref.dealloc
func.func @sort_pairs(%i: memref<?x4x8xi32>, %order: memref<?xi32>, %starts: memref<?xi32>, %count: memref<2xi32>) {
  peer.sort_pairs %i experts 64 outs(%order, %starts, %count : memref<?xi32>, memref<?xi32>, memref<2xi32>)
    : memref<?x4x8xi32>
  return
}

// -----

// The loops are the op: a gradient from the selected keys alone, no logits.
// CHECK-LABEL: func.func @route_query_grad(
// CHECK-NOT:   memref.alloc
// CHECK:       arith.divui
// CHECK:       arith.remui
// CHECK:       arith.addf
func.func @route_query_grad(%i: memref<?x4x8xi32>, %d: memref<?x4x8xf32>, %k: memref<4x2x16x8xf32>,
                            %q: memref<?x4x2x8xf32>) {
  peer.route_query_grad %i, %d, %k product_topk<8> outs(%q : memref<?x4x2x8xf32>)
    : memref<?x4x8xi32>, memref<?x4x8xf32>, memref<4x2x16x8xf32>
  return
}
