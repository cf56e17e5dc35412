// RUN: %peer-pass %s | %peer-pass | FileCheck %s
// RUN: %peer-pass %s --mlir-print-op-generic | %peer-pass | FileCheck %s

// CHECK-LABEL: func.func @score(
func.func @score(%q: tensor<?x8x2x16xf32>, %k: tensor<8x2x64x16xf32>, %shared: tensor<1x2x64x16xbf16>) {
  // CHECK: %[[S:.*]] = peer.score %{{.*}}, %{{.*}} : tensor<?x8x2x16xf32>, tensor<8x2x64x16xf32>
  %s = peer.score %q, %k : tensor<?x8x2x16xf32>, tensor<8x2x64x16xf32>
  // The inferred type is what the next op takes.
  // CHECK: peer.select %[[S]] product_topk<4> : tensor<?x8x2x64xf32>
  %i, %v = peer.select %s product_topk<4> : tensor<?x8x2x64xf32>
  // CHECK: peer.score %{{.*}}, %{{.*}} : tensor<?x8x2x16xf32>, tensor<1x2x64x16xbf16>
  %t = peer.score %q, %shared : tensor<?x8x2x16xf32>, tensor<1x2x64x16xbf16>
  return
}

// CHECK-LABEL: func.func @select(
func.func @select(%s: tensor<4x2x1x64xf32>) -> (tensor<4x2x3xi32>, tensor<4x2x64xf32>) {
  // CHECK: %[[A0:.*]], %[[A1:.*]] = peer.select %{{.*}} topk<3> : tensor<4x2x1x64xf32>
  %i, %v = peer.select %s topk<3> : tensor<4x2x1x64xf32>
  // CHECK: %[[B0:.*]], %[[B1:.*]] = peer.select %{{.*}} all : tensor<4x2x1x64xf32>
  %all:2 = peer.select %s all : tensor<4x2x1x64xf32>
  // CHECK: peer.select %{{.*}} top_p<9.000000e-01, max = 5> : tensor<4x2x1x64xf32>
  %p, %u = peer.select %s top_p<0.9, max = 5> : tensor<4x2x1x64xf32>
  // CHECK: peer.select %{{.*}} threshold<5.000000e-01, of = sigmoid, max = 7> : tensor<4x2x1x64xf32>
  %t:2 = peer.select %s threshold<0.5, of = sigmoid, max = 7> : tensor<4x2x1x64xf32>
  // The inferred types.
  // CHECK: peer.probability %{{.*}}, %{{.*}} : tensor<4x2x5xf32>, tensor<4x2x1x64xf32>
  %w = peer.probability %u, %s : tensor<4x2x5xf32>, tensor<4x2x1x64xf32>
  // CHECK: return %[[A0]], %[[B1]] : tensor<4x2x3xi32>, tensor<4x2x64xf32>
  return %i, %all#1 : tensor<4x2x3xi32>, tensor<4x2x64xf32>
}

// CHECK-LABEL: func.func @gate(
func.func @gate(%v: tensor<?x8x4xf32>) {
  // CHECK: peer.gate %{{.*}} softmax : tensor<?x8x4xf32>
  %a = peer.gate %v softmax : tensor<?x8x4xf32>
  // CHECK: peer.gate %{{.*}} sigmoid : tensor<?x8x4xf32>
  %b = peer.gate %v sigmoid : tensor<?x8x4xf32>
  // CHECK: peer.gate %{{.*}} relu : tensor<?x8x4xf32>
  %c = peer.gate %v relu : tensor<?x8x4xf32>
  // CHECK: peer.gate %{{.*}} one : tensor<?x8x4xf32>
  %d = peer.gate %v one : tensor<?x8x4xf32>
  return
}

// CHECK-LABEL: func.func @route(
func.func @route(%q: tensor<?x8x2x16xf32>, %k: tensor<8x2x64x16xf32>, %one: tensor<4x8x1x16xbf16>, %shared: tensor<1x1x64x16xbf16>)
    -> (tensor<?x8x4xi32>, tensor<?x8x4xf32>, tensor<4x8x64xf32>) {
  // CHECK: %[[A0:.*]], %[[A1:.*]] = peer.route %{{.*}}, %{{.*}} product_topk<4> gate softmax : tensor<?x8x2x16xf32>, tensor<8x2x64x16xf32>
  %i, %w = peer.route %q, %k product_topk<4> gate softmax : tensor<?x8x2x16xf32>, tensor<8x2x64x16xf32>
  // CHECK: %[[B0:.*]], %[[B1:.*]], %[[B2:.*]] = peer.route %{{.*}}, %{{.*}} product_topk<4> gate relu keep_val : tensor<?x8x2x16xf32>, tensor<8x2x64x16xf32>
  %j, %u, %v = peer.route %q, %k product_topk<4> gate relu keep_val : tensor<?x8x2x16xf32>, tensor<8x2x64x16xf32>
  // Keys of all heads, every expert, and no gate: idx and val.
  // CHECK: %[[PACKED:.*]] = peer.pack_keys %{{.*}} : tensor<8x2x64x16xf32>
  %p = peer.pack_keys %k : tensor<8x2x64x16xf32>
  // CHECK: peer.route %{{.*}}, %{{.*}} packed(%[[PACKED]] : tensor<8x2x7232xi8>) product_topk<4> gate softmax : tensor<?x8x2x16xf32>, tensor<8x2x64x16xf32>
  %ip, %wp = peer.route %q, %k packed(%p : tensor<8x2x7232xi8>) product_topk<4> gate softmax : tensor<?x8x2x16xf32>, tensor<8x2x64x16xf32>
  // CHECK: %[[C0:.*]], %[[C1:.*]] = peer.route %{{.*}}, %{{.*}} all keep_val : tensor<4x8x1x16xbf16>, tensor<1x1x64x16xbf16>
  %l, %z = peer.route %one, %shared all keep_val : tensor<4x8x1x16xbf16>, tensor<1x1x64x16xbf16>
  // CHECK: return %[[A0]], %[[B2]], %[[C1]] : tensor<?x8x4xi32>, tensor<?x8x4xf32>, tensor<4x8x64xf32>
  return %i, %v, %z : tensor<?x8x4xi32>, tensor<?x8x4xf32>, tensor<4x8x64xf32>
}

// CHECK-LABEL: func.func @mix(
func.func @mix(%x: tensor<?x32xf32>, %i: tensor<?x8x4xi32>, %w: tensor<?x8x4xf32>, %one: tensor<64x1x32xf32>,
               %two: tensor<64x2x32xbf16>, %three: tensor<64x3x32xf32>) {
  // CHECK: peer.mix %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} relu : tensor<?x32xf32>, tensor<?x8x4xi32>, tensor<?x8x4xf32>, tensor<64x1x32xf32>
  %a = peer.mix %x, %i, %w, %one relu : tensor<?x32xf32>, tensor<?x8x4xi32>, tensor<?x8x4xf32>, tensor<64x1x32xf32>
  // Rows of one vector need no activation.
  // CHECK: peer.mix %arg0, %arg1, %arg2, %arg3 : tensor<?x32xf32>, tensor<?x8x4xi32>, tensor<?x8x4xf32>, tensor<64x1x32xf32>
  %v = peer.mix %x, %i, %w, %one : tensor<?x32xf32>, tensor<?x8x4xi32>, tensor<?x8x4xf32>, tensor<64x1x32xf32>
  // CHECK: peer.mix %arg0, %arg1, %arg2, %arg3 outs(%{{.*}} : tensor<?x32xf32>)
  %u = peer.mix %x, %i, %w, %one outs(%x : tensor<?x32xf32>) : tensor<?x32xf32>, tensor<?x8x4xi32>, tensor<?x8x4xf32>, tensor<64x1x32xf32>
  // CHECK: peer.mix {{.*}} gelu {rows_per_expert = 16 : i64} : {{.*}}, tensor<64x2x32xbf16>
  %b = peer.mix %x, %i, %w, %two gelu {rows_per_expert = 16}
     : tensor<?x32xf32>, tensor<?x8x4xi32>, tensor<?x8x4xf32>, tensor<64x2x32xbf16>
  // CHECK: peer.mix {{.*}} silu : {{.*}}, tensor<64x3x32xf32>
  %c = peer.mix %x, %i, %w, %three silu {rows_per_expert = 1}
     : tensor<?x32xf32>, tensor<?x8x4xi32>, tensor<?x8x4xf32>, tensor<64x3x32xf32>
  return
}

// CHECK-LABEL: func.func @quantized_mix(
func.func @quantized_mix(%x: tensor<?x32xf32>, %i: tensor<?x8x4xi32>, %w: tensor<?x8x4xf32>, %p: tensor<64x2x32xi8>,
                         %s: tensor<64x2xf32>, %n: tensor<64x2x16xi8>, %g: tensor<64x2x1xf32>, %xb: memref<?x32xf32>, %ib: memref<?x8x4xi32>, %wb: memref<?x8x4xf32>,
                         %pb: memref<64x1x32xi8>, %sb: memref<64x1xf32>) {
  // CHECK: peer.quantized_mix %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} gelu {rows_per_expert = 16 : i64} : tensor<?x32xf32>, tensor<?x8x4xi32>, tensor<?x8x4xf32>, tensor<64x2x32xi8>, tensor<64x2xf32>
  %a = peer.quantized_mix %x, %i, %w, %p, %s gelu {rows_per_expert = 16}
     : tensor<?x32xf32>, tensor<?x8x4xi32>, tensor<?x8x4xf32>, tensor<64x2x32xi8>, tensor<64x2xf32>
  // CHECK: peer.quantized_mix {{.*}}, tensor<64x2x16xi8>, tensor<64x2x1xf32>
  %b = peer.quantized_mix %x, %i, %w, %n, %g gelu
     : tensor<?x32xf32>, tensor<?x8x4xi32>, tensor<?x8x4xf32>, tensor<64x2x16xi8>, tensor<64x2x1xf32>
  // CHECK: peer.quantized_mix %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} relu outs(%{{.*}} : memref<?x32xf32>) : memref<?x32xf32>
  peer.quantized_mix %xb, %ib, %wb, %pb, %sb relu outs(%xb : memref<?x32xf32>)
    : memref<?x32xf32>, memref<?x8x4xi32>, memref<?x8x4xf32>, memref<64x1x32xi8>, memref<64x1xf32>
  return
}

// CHECK-LABEL: func.func @usage(
func.func @usage(%i: tensor<?x8x4xi32>, %w: tensor<?x8x4xf32>, %m: tensor<64xf32>) -> tensor<64xf32> {
  // CHECK: %[[M:.*]] = peer.usage %{{.*}}, %{{.*}}, %{{.*}} : tensor<?x8x4xi32>, tensor<?x8x4xf32>, tensor<64xf32>
  // CHECK: return %[[M]] : tensor<64xf32>
  %n = peer.usage %i, %w, %m : tensor<?x8x4xi32>, tensor<?x8x4xf32>, tensor<64xf32>
  return %n : tensor<64xf32>
}

// A destination may be more static than what is inferred; the result is of its type.
// CHECK-LABEL: func.func @destinations(
func.func @destinations(%s: tensor<?x8x2x64xf32>, %i: tensor<16x8x4xi32>, %v: tensor<16x8x4xf32>) -> tensor<16x8x4xf32> {
  // CHECK: %[[A0:.*]], %[[A1:.*]] = peer.select %{{.*}} product_topk<4> outs(%{{.*}}, %{{.*}} : tensor<16x8x4xi32>, tensor<16x8x4xf32>) : tensor<?x8x2x64xf32>
  // CHECK: return %[[A1]] : tensor<16x8x4xf32>
  %j, %u = peer.select %s product_topk<4> outs(%i, %v : tensor<16x8x4xi32>, tensor<16x8x4xf32>) : tensor<?x8x2x64xf32>
  return %u : tensor<16x8x4xf32>
}

// CHECK-LABEL: func.func @buffers(
func.func @buffers(%q: memref<?x8x2x16xf32, strided<[256, 32, 16, 1], offset: ?>>, %k: memref<8x2x64x16xf32>,
                   %s: memref<?x8x2x64xf32>, %i: memref<?x8x4xi32>, %v: memref<?x8x4xf32>, %x: memref<?x32xf32>,
                   %pool: memref<4096x2x32xf32>, %mass: memref<4096xf32>) {
  // CHECK: peer.score %{{.*}}, %{{.*}} outs(%{{.*}} : memref<?x8x2x64xf32>) : memref<?x8x2x16xf32, strided<[256, 32, 16, 1], offset: ?>>, memref<8x2x64x16xf32>
  peer.score %q, %k outs(%s : memref<?x8x2x64xf32>)
    : memref<?x8x2x16xf32, strided<[256, 32, 16, 1], offset: ?>>, memref<8x2x64x16xf32>
  // CHECK: peer.select %{{.*}} product_topk<4> outs(%{{.*}}, %{{.*}} : memref<?x8x4xi32>, memref<?x8x4xf32>) : memref<?x8x2x64xf32>
  peer.select %s product_topk<4> outs(%i, %v : memref<?x8x4xi32>, memref<?x8x4xf32>) : memref<?x8x2x64xf32>
  // CHECK: peer.gate %{{.*}} softmax outs(%{{.*}} : memref<?x8x4xf32>) : memref<?x8x4xf32>
  peer.gate %v softmax outs(%v : memref<?x8x4xf32>) : memref<?x8x4xf32>
  // CHECK: peer.route %{{.*}}, %{{.*}} product_topk<4> gate one keep_val outs(%{{.*}}, %{{.*}}, %{{.*}} : memref<?x8x4xi32>, memref<?x8x4xf32>, memref<?x8x4xf32>) : memref<?x8x2x16xf32, strided<[256, 32, 16, 1], offset: ?>>, memref<8x2x64x16xf32>
  peer.route %q, %k product_topk<4> gate one keep_val outs(%i, %v, %v : memref<?x8x4xi32>, memref<?x8x4xf32>, memref<?x8x4xf32>)
    : memref<?x8x2x16xf32, strided<[256, 32, 16, 1], offset: ?>>, memref<8x2x64x16xf32>
  // CHECK: peer.mix %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} gelu outs(%{{.*}} : memref<?x32xf32>) : memref<?x32xf32>, memref<?x8x4xi32>, memref<?x8x4xf32>, memref<4096x2x32xf32>
  peer.mix %x, %i, %v, %pool gelu outs(%x : memref<?x32xf32>)
    : memref<?x32xf32>, memref<?x8x4xi32>, memref<?x8x4xf32>, memref<4096x2x32xf32>
  // CHECK: peer.usage %{{.*}}, %{{.*}}, %{{.*}} : memref<?x8x4xi32>, memref<?x8x4xf32>, memref<4096xf32>
  peer.usage %i, %v, %mass : memref<?x8x4xi32>, memref<?x8x4xf32>, memref<4096xf32>
  return
}
