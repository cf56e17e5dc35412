// RUN: peer-opt %s --peer-lower-to-vectors=width=16 --canonicalize | FileCheck %s
// RUN: peer-opt %s --peer-lower-to-vectors=width=8 --canonicalize | FileCheck %s --check-prefix=EIGHT
// RUN: peer-opt %s --peer-lower-to-loops --canonicalize | FileCheck %s --check-prefix=LOOPS

// A tile of a product is one call; the row strides are those of the buffers it is a part of.
// CHECK-LABEL: func.func @linear(
// CHECK-DAG:     %[[FALSE:.*]] = arith.constant 0 : i64
// CHECK-DAG:     %[[TRUE:.*]] = arith.constant 1 : i64
// CHECK-DAG:     %[[COLUMNS:.*]] = arith.constant 24 : i64
// CHECK-DAG:     %[[INNER:.*]] = arith.constant 40 : i64
// CHECK-DAG:     %[[STRIDE:.*]] = arith.constant 64 : i64
// CHECK:         call @peer_rt_sgemm(%[[FALSE]], %[[TRUE]], %{{.*}}, %[[COLUMNS]], %[[INNER]], %{{.*}}, %{{.*}}, %[[STRIDE]], %{{.*}}, %[[INNER]], %{{.*}}, %{{.*}}, %[[COLUMNS]])
// CHECK-NOT:     scf.for
// LOOPS-LABEL: func.func @linear(
// LOOPS:         scf.for %[[T:.*]] =
// LOOPS:           scf.for %[[J:.*]] =
// LOOPS:             %[[SUM:.*]] = scf.for %[[K:.*]] = {{.*}} iter_args(%[[ACC:.*]] =
// LOOPS-DAG:           %[[X:.*]] = memref.load %{{.*}}[%[[T]], %[[K]]] : memref<?x40xf32, strided<[64, 1]>>
// LOOPS-DAG:           %[[W:.*]] = memref.load %{{.*}}[%[[J]], %[[K]]] : memref<24x40xf32>
// LOOPS:               %[[NEXT:.*]] = math.fma %[[X]], %[[W]], %[[ACC]] : f32
// LOOPS:               scf.yield %[[NEXT]]
// LOOPS:             memref.store %[[SUM]], %{{.*}}[%[[T]], %[[J]]]
// LOOPS-NOT:     call
func.func @linear(%x: memref<?x40xf32, strided<[64, 1]>>, %w: memref<24x40xf32>, %y: memref<?x24xf32>) {
  peer.linear %x, %w outs(%y : memref<?x24xf32>) {transpose_weight} : memref<?x40xf32, strided<[64, 1]>>, memref<24x40xf32>
  return
}

// Products of bf16 are calls of their own; few rows are rounded here.
// CHECK-LABEL: func.func @rounded(
// CHECK:         call @peer_rt_sgemm_bf16(
// CHECK-NOT:     call @peer_rt_sgemm(
// LOOPS-LABEL: func.func @rounded(
// LOOPS-COUNT-2: arith.truncf %{{.*}} : f32 to bf16
func.func @rounded(%x: memref<?x40xf32>, %w: memref<24x40xf32>, %y: memref<?x24xf32>) {
  peer.linear %x, %w outs(%y : memref<?x24xf32>) {products = bf16, transpose_weight} : memref<?x40xf32>, memref<24x40xf32>
  return
}

// Of up to 4 rows the weight is walked row by row here, of up to 8 where the runtime's products have narrower vectors, or round.
// CHECK-LABEL: func.func @few_rows(
// CHECK:         arith.cmpi ule, %{{.*}}, %c4 : index
// EIGHT-LABEL: func.func @few_rows(
// EIGHT:         arith.cmpi ule, %{{.*}}, %c8 : index
func.func @few_rows(%x: memref<?x40xf32>, %w: memref<40x24xf32>, %y: memref<?x24xf32>) {
  peer.linear %x, %w outs(%y : memref<?x24xf32>) : memref<?x40xf32>, memref<40x24xf32>
  return
}

// CHECK-LABEL: func.func @few_rounded_rows(
// CHECK:         arith.cmpi ule, %{{.*}}, %c8 : index
func.func @few_rounded_rows(%x: memref<?x40xf32>, %w: memref<40x24xf32>, %y: memref<?x24xf32>) {
  peer.linear %x, %w outs(%y : memref<?x24xf32>) {products = bf16} : memref<?x40xf32>, memref<40x24xf32>
  return
}

// A row of the table is copied in vectors, bf16 widened on the way.
// CHECK-LABEL: func.func @embedding(
// CHECK:         scf.for %[[T:.*]] =
// CHECK:           %[[TOKEN:.*]] = memref.load %{{.*}}[%[[T]]] : memref<?xi32>
// CHECK:           %[[ROW:.*]] = arith.index_cast %[[TOKEN]] : i32 to index
// CHECK:           scf.for %[[AT:.*]] =
// CHECK:             %[[NARROW:.*]] = vector.load %{{.*}}[%[[ROW]], %[[AT]]] : memref<37x32xbf16>, vector<16xbf16>
// CHECK:             %[[WIDE:.*]] = arith.extf %[[NARROW]] : vector<16xbf16> to vector<16xf32>
// CHECK:             vector.store %[[WIDE]], %{{.*}}[%[[T]], %[[AT]]] : memref<?x32xf32>, vector<16xf32>
func.func @embedding(%tokens: memref<?xi32>, %table: memref<37x32xbf16>, %y: memref<?x32xf32>) {
  peer.embedding %tokens, %table outs(%y : memref<?x32xf32>) : memref<?xi32>, memref<37x32xbf16>
  return
}

// Columns apart cannot be read as a vector: plain loops.
// CHECK-LABEL: func.func @strided(
// CHECK-NOT:     vector.
// CHECK:         memref.load {{.*}} : memref<8x16xf32, strided<[16, 2]>>
func.func @strided(%x: memref<8x16xf32, strided<[16, 2]>>, %y: memref<8x16xf32>) {
  peer.activation %x relu outs(%y : memref<8x16xf32>) : memref<8x16xf32, strided<[16, 2]>>
  return
}
