// RUN: %peer-pass %s | %peer-pass | FileCheck %s
// RUN: %peer-pass %s --mlir-print-op-generic | %peer-pass | FileCheck %s

!act = tensor<?x32xf32>

// CHECK-LABEL: func.func @rotary(
func.func @rotary(%x: !act, %at: tensor<i32>) -> (!act, !act) {
  // CHECK: peer.rotary %{{.*}} heads 4 context 16 : tensor<?x32xf32>
  %a = peer.rotary %x heads 4 context 16 : !act
  // CHECK: %[[B:.*]] = peer.rotary %{{.*}} heads 4 context 16 {base = 5.000000e+02 : f32, inverse} : tensor<?x32xf32>
  %b = peer.rotary %x heads 4 context 16 {base = 5.0e2 : f32, inverse} : !act
  // CHECK: %[[C:.*]] = peer.rotary_at %{{.*}}, %{{.*}} heads 4 : tensor<?x32xf32>, tensor<i32>
  %c = peer.rotary_at %x, %at heads 4 : !act, tensor<i32>
  // CHECK: return %[[B]], %[[C]]
  return %b, %c : !act, !act
}

// CHECK-LABEL: func.func @attention(
func.func @attention(%q: !act, %k: !act, %v: !act) -> (!act, !act, !act, !act) {
  // CHECK: %[[O:.*]] = peer.attention %{{.*}}, %{{.*}}, %{{.*}} heads 4 context 16 : tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x32xf32>
  %o = peer.attention %q, %k, %v heads 4 context 16 : !act, !act, !act
  // CHECK: %[[D0:.*]], %[[D1:.*]], %[[D2:.*]] = peer.attention_grad %{{.*}}, %{{.*}}, %{{.*}}, %[[O]] {context_length = 16 : i64, heads = 4 : i64} : tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x32xf32>
  %d:3 = peer.attention_grad %q, %k, %v, %o {heads = 4 : i64, context_length = 16 : i64} : !act, !act, !act, !act
  // CHECK: return %[[O]], %[[D0]], %[[D1]], %[[D2]]
  return %o, %d#0, %d#1, %d#2 : !act, !act, !act, !act
}

// Two heads of the query for each of the keys, and a window.
// CHECK-LABEL: func.func @grouped(
func.func @grouped(%q: !act, %k: tensor<?x16xf32>, %c: tensor<16x16xf32>, %at: tensor<i32>) {
  // CHECK: %[[O:.*]] = peer.attention %{{.*}}, %{{.*}}, %{{.*}} heads 4 context 16 window 5 : tensor<?x32xf32>, tensor<?x16xf32>, tensor<?x16xf32>
  %o = peer.attention %q, %k, %k heads 4 context 16 window 5 : !act, tensor<?x16xf32>, tensor<?x16xf32>
  // CHECK: peer.attention_grad %{{.*}}, %[[O]] {context_length = 16 : i64, heads = 4 : i64, window = 5 : i64} : tensor<?x32xf32>, tensor<?x16xf32>, tensor<?x16xf32>, tensor<?x32xf32>
  %d:3 = peer.attention_grad %q, %k, %k, %o {heads = 4 : i64, context_length = 16 : i64, window = 5 : i64} : !act, tensor<?x16xf32>, tensor<?x16xf32>, !act
  // CHECK: peer.cached_attention %{{.*}} {heads = 4 : i64, window = 5 : i64} : tensor<?x32xf32>, tensor<?x16xf32>, tensor<?x16xf32>, tensor<16x16xf32>, tensor<16x16xf32>, tensor<i32>
  %p:3 = peer.cached_attention %q, %k, %k, %c, %c, %at {heads = 4 : i64, window = 5 : i64} : !act, tensor<?x16xf32>, tensor<?x16xf32>, tensor<16x16xf32>, tensor<16x16xf32>, tensor<i32>
  return
}

// The caches are inputs and results; they have no destination.
// CHECK-LABEL: func.func @cached(
func.func @cached(%q: !act, %c: tensor<16x32xf32>, %at: tensor<i32>, %out: !act) -> (!act, tensor<16x32xf32>) {
  // CHECK: %[[O0:.*]], %[[O1:.*]], %[[O2:.*]] = peer.cached_attention %{{.*}} {heads = 4 : i64} : tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x32xf32>, tensor<16x32xf32>, tensor<16x32xf32>, tensor<i32>
  %o:3 = peer.cached_attention %q, %q, %q, %c, %c, %at {heads = 4 : i64} : !act, !act, !act, tensor<16x32xf32>, tensor<16x32xf32>, tensor<i32>
  // CHECK: %[[P0:.*]], %[[P1:.*]], %[[P2:.*]] = peer.cached_attention {{.*}}, tensor<i32>, tensor<?x32xf32>
  %p:3 = peer.cached_attention %q, %q, %q, %o#1, %o#2, %at, %out {heads = 4 : i64}
    : !act, !act, !act, tensor<16x32xf32>, tensor<16x32xf32>, tensor<i32>, !act
  // CHECK: return %[[P0]], %[[P1]]
  return %p#0, %p#1 : !act, tensor<16x32xf32>
}

// CHECK-LABEL: func.func @buffers(
func.func @buffers(%x: memref<?x32xf32>, %c: memref<16x32xf32>, %at: memref<i32>) {
  // CHECK: peer.rotary_at %{{.*}}, %{{.*}} heads 4 outs(%{{.*}} : memref<?x32xf32>) : memref<?x32xf32>, memref<i32>
  peer.rotary_at %x, %at heads 4 outs(%x : memref<?x32xf32>) : memref<?x32xf32>, memref<i32>
  // CHECK: peer.attention {{.*}} heads 4 context 16 outs(%{{.*}} : memref<?x32xf32>) : memref<?x32xf32>, memref<?x32xf32>, memref<?x32xf32>
  peer.attention %x, %x, %x heads 4 context 16 outs(%x : memref<?x32xf32>) : memref<?x32xf32>, memref<?x32xf32>, memref<?x32xf32>
  // CHECK: peer.cached_attention {{.*}} : memref<?x32xf32>, memref<?x32xf32>, memref<?x32xf32>, memref<16x32xf32>, memref<16x32xf32>, memref<i32>, memref<?x32xf32>
  peer.cached_attention %x, %x, %x, %c, %c, %at, %x {heads = 4 : i64}
    : memref<?x32xf32>, memref<?x32xf32>, memref<?x32xf32>, memref<16x32xf32>, memref<16x32xf32>, memref<i32>, memref<?x32xf32>
  return
}
