// RUN: peer-opt %s --peer-lower-to-vectors=width=8 --canonicalize | FileCheck %s
// RUN: peer-opt %s --peer-lower-to-loops --canonicalize | FileCheck %s --check-prefix=LOOPS

// The maximum is taken off before the exponential, and from the target too.
// CHECK-LABEL: func.func @cross_entropy(
// CHECK:         %[[MOST:.*]] = arith.maximumf
// CHECK:         math.exp {{.*}} : vector<8xf32>
// CHECK:         %[[LOG:.*]] = math.log
// CHECK-DAG:     %[[REST:.*]] = arith.subf
// CHECK:         arith.addf
// CHECK:         memref.store
// LOOPS-LABEL: func.func @cross_entropy(
// LOOPS-NOT:     vector.
// LOOPS:         math.exp {{.*}} : f32
func.func @cross_entropy(%logits: memref<?x64xf32>, %targets: memref<?xi32>, %loss: memref<?xf32>) {
  peer.cross_entropy %logits, %targets outs(%loss : memref<?xf32>) : memref<?x64xf32>, memref<?xi32>
  return
}

// Of an empty vector: 0 / 1.
// CHECK-LABEL: func.func @mean(
// CHECK:         %[[COUNT:.*]] = arith.sitofp
// CHECK:         %[[DIVISOR:.*]] = arith.maximumf %[[COUNT]],
// CHECK:         %[[MEAN:.*]] = arith.divf %{{.*}}, %[[DIVISOR]] : f32
// CHECK:         memref.store %[[MEAN]], %{{.*}}[] : memref<f32>
func.func @mean(%x: memref<?xf32>, %y: memref<f32>) {
  peer.mean %x outs(%y : memref<f32>) : memref<?xf32>
  return
}
