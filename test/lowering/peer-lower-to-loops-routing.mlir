// RUN: %peer-pass %s --split-input-file --peer-lower-to-loops | FileCheck %s --implicit-check-not=vector. --implicit-check-not="call @" --implicit-check-not=scf.parallel

// The plain loops are scalar, serial and call nothing.
// CHECK-LABEL: func.func @score
// CHECK-COUNT-5: scf.for
// CHECK:       arith.mulf
func.func @score(%q: memref<8x4x2x32xf32>, %keys: memref<1x2x64x32xf32>, %s: memref<8x4x2x64xf32>) {
  peer.score %q, %keys outs(%s : memref<8x4x2x64xf32>) : memref<8x4x2x32xf32>, memref<1x2x64x32xf32>
  return
}

// -----

// Tokens, heads, rounds, candidates.
// CHECK-LABEL: func.func @select
// CHECK-COUNT-4: scf.for
func.func @select(%s: memref<?x4x1x64xf32>, %idx: memref<?x4x16xi32>, %val: memref<?x4x16xf32>) {
  peer.select %s topk<16> outs(%idx, %val : memref<?x4x16xi32>, memref<?x4x16xf32>) : memref<?x4x1x64xf32>
  return
}

// -----

// An index of -1 is skipped.
// CHECK-LABEL: func.func @mix
// CHECK:       arith.cmpi sge
// CHECK:       scf.if
// CHECK:       math.erf %{{.*}} : f32
func.func @mix(%x: memref<?x20xf32>, %idx: memref<?x2x8xi32>, %w: memref<?x2x8xf32>, %pool: memref<100x2x20xf32>,
               %y: memref<?x20xf32>) {
  peer.mix %x, %idx, %w, %pool gelu outs(%y : memref<?x20xf32>)
    : memref<?x20xf32>, memref<?x2x8xi32>, memref<?x2x8xf32>, memref<100x2x20xf32>
  return
}

// -----

// Scales multiply dots and factors, not the elements of rows.
// CHECK-LABEL: func.func @quantized_mix
// CHECK:       scf.if
// CHECK:         memref.load %arg4[%{{.*}}, %c1{{[_0-9]*}}]
// CHECK:         scf.for
// CHECK:           arith.sitofp %{{.*}} : i8 to f32
// CHECK:         memref.load %arg4[%{{.*}}, %c0{{[_0-9]*}}]
// CHECK:         math.erf %{{.*}} : f32
// CHECK:         scf.for
// CHECK-NOT:   %arg4[
func.func @quantized_mix(%x: memref<?x20xf32>, %idx: memref<?x2x8xi32>, %w: memref<?x2x8xf32>,
                         %pool: memref<100x2x20xi8>, %scales: memref<100x2xf32>, %y: memref<?x20xf32>) {
  peer.quantized_mix %x, %idx, %w, %pool, %scales gelu outs(%y : memref<?x20xf32>)
    : memref<?x20xf32>, memref<?x2x8xi32>, memref<?x2x8xf32>, memref<100x2x20xi8>, memref<100x2xf32>
  return
}
