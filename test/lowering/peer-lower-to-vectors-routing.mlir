// RUN: %peer-pass %s --split-input-file --peer-lower-to-vectors=width=16 --canonicalize | FileCheck %s

// Scores are one matrix product per head and half.
// CHECK-LABEL: func.func @score
// CHECK:       scf.for %{{.*}} to %c4
// CHECK:         scf.for %{{.*}} to %c2
// CHECK:           call @peer_rt_sgemm
// CHECK-NOT:   peer.score
func.func @score(%q: memref<8x4x2x32xf32>, %keys: memref<1x2x64x32xf32>, %s: memref<8x4x2x64xf32>) {
  peer.score %q, %keys outs(%s : memref<8x4x2x64xf32>) : memref<8x4x2x32xf32>, memref<1x2x64x32xf32>
  return
}

// -----

// No BLAS takes bf16: widened vectors.
// CHECK-LABEL: func.func @score_bf16
// CHECK-NOT:   peer_rt_sgemm
// CHECK:       vector.load %{{.*}} vector<16xbf16>
// CHECK:       arith.extf %{{.*}} : vector<16xbf16> to vector<16xf32>
func.func @score_bf16(%q: memref<8x4x2x32xf32>, %keys: memref<1x2x64x32xbf16>, %s: memref<8x4x2x64xf32>) {
  peer.score %q, %keys outs(%s : memref<8x4x2x64xf32>) : memref<8x4x2x32xf32>, memref<1x2x64x32xbf16>
  return
}

// -----

// A row's bound from group maxima, then 64 scores per mask word, then the survivors one by one.
// CHECK-LABEL: func.func @top_k
// CHECK:       vector.reduction <minnumf>
// CHECK:       vector.bitcast %{{.*}} : vector<16xi1> to vector<1xi16>
// CHECK:       math.ctpop
// CHECK:       math.cttz
// CHECK:       vector.store %{{.*}} : {{.*}}, vector<16xf32>
func.func @top_k(%s: memref<?x4x1x1024xf32>, %idx: memref<?x4x16xi32>, %val: memref<?x4x16xf32>) {
  peer.select %s topk<16> outs(%idx, %val : memref<?x4x16xi32>, memref<?x4x16xf32>) : memref<?x4x1x1024xf32>
  return
}

// -----

// A list that registers cannot hold is left to the plain loops.
// CHECK-LABEL: func.func @top_many
// CHECK-NOT:   vector.
// CHECK:       return
func.func @top_many(%s: memref<?x4x1x1024xf32>, %idx: memref<?x4x100xi32>, %val: memref<?x4x100xf32>) {
  peer.select %s topk<100> outs(%idx, %val : memref<?x4x100xi32>, memref<?x4x100xf32>) : memref<?x4x1x1024xf32>
  return
}

// -----

// The strips of y stay in registers over all rows: two blocks of 16 vectors, then the rest of D = 600.
// CHECK-LABEL: func.func @mix
// CHECK:       memref.prefetch %{{.*}}, read, locality<2>, data
// CHECK:       math.erf %{{.*}} : vector<16xf32>
// CHECK:       scf.for %{{.*}} = %c0 to %c512 step %c256
// CHECK:         scf.for %{{.*}} iter_args({{.*}}) -> (vector<16xf32>,
// CHECK:       -> (vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<8xf32>)
func.func @mix(%x: memref<?x600xf32>, %idx: memref<?x2x8xi32>, %w: memref<?x2x8xf32>, %pool: memref<100x2x600xf32>,
               %y: memref<?x600xf32>) {
  peer.mix %x, %idx, %w, %pool gelu outs(%y : memref<?x600xf32>)
    : memref<?x600xf32>, memref<?x2x8xi32>, memref<?x2x8xf32>, memref<100x2x600xf32>
  return
}

// -----

// The sum of dx fetches what the dots of the next group will read: rows as many places later as this group has.
// CHECK-LABEL: func.func @mix_grad
// CHECK:       scf.for %[[FIRST:.*]] = %c0 to %{{.*}} step %c128
// CHECK:         %[[END:.*]] = arith.minsi
// CHECK:         math.erf %{{.*}} : vector<16xf32>
// CHECK:         %[[GROUP:.*]] = arith.subi %[[END]], %[[FIRST]]
// CHECK:         scf.for %[[ROW:.*]] = %[[FIRST]] to %[[END]]
// CHECK:           arith.addi %[[ROW]], %[[GROUP]]
// CHECK:           memref.prefetch %arg3[%{{.*}}, %c1, %c0], read, locality<2>, data
func.func @mix_grad(%x: memref<?x64xf32>, %idx: memref<?x2x8xi32>, %w: memref<?x2x8xf32>, %pool: memref<100x2x64xf32>,
                    %dy: memref<?x64xf32>, %dx: memref<?x64xf32>, %dw: memref<?x2x8xf32>, %c: memref<?x2x8x1x2xf32>) {
  peer.mix_grad %x, %idx, %w, %pool, %dy gelu outs(%dx, %dw, %c : memref<?x64xf32>, memref<?x2x8xf32>, memref<?x2x8x1x2xf32>)
    : memref<?x64xf32>, memref<?x2x8xi32>, memref<?x2x8xf32>, memref<100x2x64xf32>, memref<?x64xf32>
  return
}

// -----

// Rows of int8 are widened in registers; their scales are read once per row.
// CHECK-LABEL: func.func @quantized_mix
// CHECK:       arith.sitofp %{{.*}} : vector<16xi8> to vector<16xf32>
// CHECK:       vector.reduction <add>
// CHECK:       memref.load %arg4[
// CHECK:       memref.load %arg4[
// CHECK-NOT:   %arg4[
// CHECK:       math.erf %{{.*}} : vector<16xf32>
// CHECK:       scf.for %{{.*}} iter_args({{.*}}) -> (vector<16xf32>,
func.func @quantized_mix(%x: memref<?x64xf32>, %idx: memref<?x2x8xi32>, %w: memref<?x2x8xf32>,
                         %pool: memref<100x2x64xi8>, %scales: memref<100x2xf32>, %y: memref<?x64xf32>) {
  peer.quantized_mix %x, %idx, %w, %pool, %scales gelu outs(%y : memref<?x64xf32>)
    : memref<?x64xf32>, memref<?x2x8xi32>, memref<?x2x8xf32>, memref<100x2x64xi8>, memref<100x2xf32>
  return
}

// -----

// Threads take chunks of segments; a row's gradient is summed in registers and used at once.
// CHECK-LABEL: func.func @row_update
// CHECK-NOT:   memref.alloc()
// CHECK:       scf.parallel
// CHECK:         scf.for {{.*}} -> (vector<16xf32>
// CHECK:         math.sqrt %{{.*}} : vector<16xf32>
func.func @row_update(%pool: memref<100x2x16xf32>, %idx: memref<?x2x8xi32>, %order: memref<?xi32>, %starts: memref<?xi32>,
                      %count: memref<2xi32>, %coef: memref<?x2x8x1x2xf32>, %x: memref<?x16xf32>, %dy: memref<?x16xf32>,
                      %rate: memref<f32>, %step: memref<f32>, %scale: memref<f32>,
                      %m: memref<100x2x16xf32>, %v: memref<100x2x16xf32>) {
  peer.row_update %pool, %idx, %order, %starts, %count, %coef, %x, %dy, %rate, %step, %scale, %m, %v
    {optimizer = #peer.adamw<lazy = true>}
    : memref<100x2x16xf32>, memref<?x2x8xi32>, memref<?xi32>, memref<?xi32>, memref<2xi32>, memref<?x2x8x1x2xf32>,
      memref<?x16xf32>, memref<?x16xf32>, memref<f32>, memref<f32>, memref<f32>, memref<100x2x16xf32>, memref<100x2x16xf32>
  return
}
