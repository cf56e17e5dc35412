// RUN: peer-opt %s --peer-lower-to-vectors=width=16 --canonicalize | FileCheck %s
// RUN: peer-opt %s --peer-lower-to-loops --canonicalize | FileCheck %s --check-prefix=LOOPS

// 40 columns: two vectors of 16 and one of 8.
// CHECK-LABEL: func.func @rms_norm(
// CHECK:         scf.for
// CHECK:           vector.load {{.*}} : memref<?x40xf32>, vector<16xf32>
// CHECK:           vector.load {{.*}} : memref<?x40xf32>, vector<16xf32>
// CHECK:           vector.reduction <add>, {{.*}} : vector<16xf32> into f32
// CHECK:           vector.load {{.*}} : memref<?x40xf32>, vector<8xf32>
// CHECK:           vector.reduction <add>, {{.*}} : vector<8xf32> into f32
// CHECK:           math.sqrt
// CHECK:           vector.store {{.*}} : memref<?x40xf32>, vector<16xf32>
// CHECK:           vector.store {{.*}} : memref<?x40xf32>, vector<8xf32>
// LOOPS-LABEL: func.func @rms_norm(
// LOOPS-NOT:     vector.
// LOOPS:         math.sqrt
func.func @rms_norm(%x: memref<?x40xf32>, %w: memref<40xf32>, %y: memref<?x40xf32>) {
  peer.rms_norm %x, %w outs(%y : memref<?x40xf32>) : memref<?x40xf32>, memref<40xf32>
  return
}

// Tiles of columns: rows outside, strips inside, so that memory is read in order; then the squares about the mean.
// CHECK-LABEL: func.func @batch_stats(
// CHECK-SAME:    %[[X:.*]]: memref<?x32xf32, strided<[256, 1]>>, %[[MEAN:.*]]: memref<32xf32>, %[[VARIANCE:.*]]: memref<32xf32>)
// CHECK-COUNT-2: vector.store %{{cst[_0-9]*}},
// CHECK:         scf.for %[[ROW:.*]] =
// Of the row that is fetched ahead all lines, since rows lie apart.
// CHECK:           memref.prefetch %[[X]][%[[LATER:.*]], %c0], read
// CHECK-NEXT:      memref.prefetch %[[X]][%[[LATER]], %c16], read
// CHECK-NEXT:      scf.for %[[AT:.*]] =
// CHECK-NEXT:        vector.load %[[X]][%[[ROW]], %[[AT]]]
// CHECK:             vector.store {{.*}}, %[[MEAN]][%[[AT]]]
// CHECK:             vector.load %[[X]][%[[ROW:.*]], %[[AT:.*]]] :
// CHECK:             vector.load %[[MEAN]][%[[AT]]]
// CHECK:             arith.subf
// CHECK:             vector.store {{.*}}, %[[VARIANCE]][%[[AT]]]
func.func @batch_stats(%x: memref<?x32xf32, strided<[256, 1]>>, %mean: memref<32xf32>, %variance: memref<32xf32>) {
  peer.batch_stats %x, %mean, %variance : memref<?x32xf32, strided<[256, 1]>>, memref<32xf32>, memref<32xf32>
  return
}

// What belongs to a column is computed once; rows are inside.
// CHECK-LABEL: func.func @batch_norm(
// CHECK:         math.sqrt {{.*}} : vector<64xf32>
// CHECK:         scf.for
// CHECK-NOT:       math.sqrt
// CHECK:           vector.fma {{.*}} : vector<64xf32>
// CHECK:         math.sqrt {{.*}} : vector<8xf32>
func.func @batch_norm(%x: memref<?x72xf32>, %v: memref<72xf32>, %y: memref<?x72xf32>) {
  peer.batch_norm %x, %v, %v, %v, %v outs(%y : memref<?x72xf32>)
      : memref<?x72xf32>, memref<72xf32>, memref<72xf32>, memref<72xf32>, memref<72xf32>
  return
}
