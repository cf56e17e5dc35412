// RUN: peer-opt %s --peer-lower-to-vectors=width=16 --canonicalize --split-input-file | FileCheck %s
// RUN: peer-opt %s --peer-lower-to-loops --canonicalize --split-input-file | FileCheck %s --check-prefix=LOOPS

// Blocks of 64 queries against the keys up to their last row: a scratch of 64 x 256, and half of the square is never
// computed. Masked lanes end a row's softmax.
// CHECK-LABEL: func.func @attention(
// CHECK:         %[[SCORES:.*]] = memref.alloc() {{.*}} : memref<64x256xf32>
// CHECK:         scf.for %{{.*}} = %{{.*}} to %{{.*}} step
// CHECK:           call @peer_rt_sgemm
// CHECK:           scf.for
// CHECK:             vector.create_mask {{.*}} : vector<16xi1>
// CHECK:             vector.reduction <maximumf>
// CHECK:             math.exp {{.*}} : vector<16xf32>
// CHECK:           call @peer_rt_sgemm
// CHECK:         memref.dealloc %[[SCORES]]
// LOOPS-LABEL: func.func @attention(
// LOOPS-NOT:     vector.
// LOOPS-NOT:     call
// LOOPS:         return
func.func @attention(%q: memref<?x16xf32, strided<[64, 1]>>, %o: memref<?x16xf32, strided<[64, 1]>>) {
  peer.attention %q, %q, %q heads 1 context 256 outs(%o : memref<?x16xf32, strided<[64, 1]>>)
      : memref<?x16xf32, strided<[64, 1]>>, memref<?x16xf32, strided<[64, 1]>>, memref<?x16xf32, strided<[64, 1]>>
  return
}

// -----

// The keys of a block's windows, from a whole vector on, are all that is scored: 64 queries see 83, which are 98 from there.
// CHECK-LABEL: func.func @window(
// CHECK:         memref.alloc() {{.*}} : memref<64x112xf32>
// CHECK-NOT:     memref<{{.*}}x256xf32>
// CHECK:         call @peer_rt_sgemm
// LOOPS-LABEL: func.func @window(
// LOOPS:         memref.alloc() {{.*}} : memref<64x83xf32>
func.func @window(%q: memref<?x16xf32, strided<[64, 1]>>, %o: memref<?x16xf32, strided<[64, 1]>>) {
  peer.attention %q, %q, %q heads 1 context 256 window 20 outs(%o : memref<?x16xf32, strided<[64, 1]>>)
      : memref<?x16xf32, strided<[64, 1]>>, memref<?x16xf32, strided<[64, 1]>>, memref<?x16xf32, strided<[64, 1]>>
  return
}

// -----

// Five products per block of queries; those that sum over blocks add to their output.
// CHECK-LABEL: func.func @attention_grad(
// CHECK-COUNT-2: memref.alloc() {{.*}} : memref<64x128xf32>
// CHECK-COUNT-5: call @peer_rt_sgemm
// CHECK-NOT:     call @peer_rt_sgemm
// CHECK-COUNT-2: memref.dealloc
func.func @attention_grad(%x: memref<128x16xf32>, %dq: memref<128x16xf32>, %dk: memref<128x16xf32>, %dv: memref<128x16xf32>) {
  peer.attention_grad %x, %x, %x, %x, %dq, %dk, %dv {heads = 1 : i64, context_length = 128 : i64}
      : memref<128x16xf32>, memref<128x16xf32>, memref<128x16xf32>, memref<128x16xf32>, memref<128x16xf32>, memref<128x16xf32>, memref<128x16xf32>
  return
}

// -----

// One token: a row of scores per head, no matrix product, and heads on threads of their own where the cache is large.
// CHECK-LABEL: func.func @decode(
// CHECK:         arith.remui
// CHECK:         scf.parallel
// CHECK:           memref.alloc() {{.*}} : memref<512xf32>
// CHECK-NOT:       call
// CHECK:           vector.fma {{.*}} : vector<16xf32>
func.func @decode(%x: memref<1x64xf32>, %keys: memref<512x64xf32>, %values: memref<512x64xf32>, %position: memref<i32>, %o: memref<1x64xf32>) {
  peer.cached_attention %x, %x, %x, %keys, %values, %position, %o {heads = 4 : i64}
      : memref<1x64xf32>, memref<1x64xf32>, memref<1x64xf32>, memref<512x64xf32>, memref<512x64xf32>, memref<i32>, memref<1x64xf32>
  return
}

// -----

// Positions become fractions of a turn in f64; only what is left of whole turns is narrowed.
// CHECK-LABEL: func.func @rotary(
// CHECK-DAG:     arith.constant dense<[0.15915494309189535, {{.*}}]> : vector<8xf64>
// CHECK:         scf.for
// CHECK:           math.floor {{.*}} : vector<8xf64>
// CHECK:           arith.truncf {{.*}} : vector<8xf64> to vector<8xf32>
// CHECK-NOT:     math.sin
// CHECK-NOT:     math.cos
func.func @rotary(%x: memref<?x32xf32>, %y: memref<?x32xf32>) {
  peer.rotary %x heads 2 context 16 outs(%y : memref<?x32xf32>) : memref<?x32xf32>
  return
}
