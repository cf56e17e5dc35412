// RUN: peer-opt %s --peer-decompose-routes --split-input-file | FileCheck %s
// Where --peer-fuse has nothing to say against it, it is the way back.
// RUN: peer-opt %s --peer-decompose-routes --peer-fuse --peer-decompose-routes --split-input-file | FileCheck %s

// What is taken apart is told, and why.
// RUN: peer-opt %s --peer-decompose-routes --split-input-file --remarks-filter=peer-emitter -o %t 2>&1 | FileCheck %s --check-prefix=REMARK
// REMARK: remark: [Analysis] taken apart | Category:peer-emitter | Function=all_results | into="peer.score, peer.select, peer.gate", op=peer.route, reason="the pass was given no kernel for routes"
// REMARK: Function=no_gate | into="peer.score, peer.select", op=peer.route, reason=

// CHECK-LABEL: func.func @all_results(
// CHECK-SAME:    %[[Q:[a-z0-9]+]]: tensor<?x4x2x8xf32>, %[[KEYS:[a-z0-9]+]]: tensor<1x2x32x8xbf16>
// CHECK-NEXT:    %[[S:.*]] = peer.score %[[Q]], %[[KEYS]] : tensor<?x4x2x8xf32>, tensor<1x2x32x8xbf16>
// CHECK-NEXT:    %[[I0:.*]], %[[I1:.*]] = peer.select %[[S]] product_topk<3> : tensor<?x4x2x32xf32>
// CHECK-NEXT:    %[[W:.*]] = peer.gate %[[I1]] relu : tensor<?x4x3xf32>
// CHECK-NEXT:    return %[[I0]], %[[W]], %[[I1]]
func.func @all_results(%q: tensor<?x4x2x8xf32>, %keys: tensor<1x2x32x8xbf16>) -> (tensor<?x4x3xi32>, tensor<?x4x3xf32>, tensor<?x4x3xf32>) {
  %idx, %w, %val = peer.route %q, %keys product_topk<3> gate relu keep_val : tensor<?x4x2x8xf32>, tensor<1x2x32x8xbf16>
  return %idx, %w, %val : tensor<?x4x3xi32>, tensor<?x4x3xf32>, tensor<?x4x3xf32>
}

// -----

// CHECK-LABEL: func.func @no_gate(
// CHECK:         %[[I0:.*]], %[[I1:.*]] = peer.select %{{.*}} all : tensor<7x4x1x5xf32>
// CHECK-NEXT:    return %[[I1]]
func.func @no_gate(%q: tensor<7x4x1x8xf32>, %keys: tensor<4x1x5x8xf32>) -> tensor<7x4x5xf32> {
  %idx, %val = peer.route %q, %keys all keep_val : tensor<7x4x1x8xf32>, tensor<4x1x5x8xf32>
  return %val : tensor<7x4x5xf32>
}

// -----

// In tiles too.
// CHECK-LABEL: func.func @tiles(
// CHECK:         scf.forall
// CHECK:           peer.score %{{.*}} : tensor<?x1x1x8xf32>, tensor<1x1x32x8xf32>
// CHECK-NEXT:      peer.select
// CHECK-NEXT:      %[[W:.*]] = peer.gate
// CHECK:           tensor.parallel_insert_slice %[[W]]
func.func @tiles(%q: tensor<?x4x1x8xf32>, %keys: tensor<4x1x32x8xf32>, %out: tensor<?x4x3xf32>) -> tensor<?x4x3xf32> {
  %c0 = arith.constant 0 : index
  %tokens = tensor.dim %q, %c0 : tensor<?x4x1x8xf32>
  %r = scf.forall (%h) in (4) shared_outs(%o = %out) -> tensor<?x4x3xf32> {
    %qh = tensor.extract_slice %q[0, %h, 0, 0] [%tokens, 1, 1, 8] [1, 1, 1, 1] : tensor<?x4x1x8xf32> to tensor<?x1x1x8xf32>
    %kh = tensor.extract_slice %keys[%h, 0, 0, 0] [1, 1, 32, 8] [1, 1, 1, 1] : tensor<4x1x32x8xf32> to tensor<1x1x32x8xf32>
    %idx, %w = peer.route %qh, %kh topk<3> gate softmax : tensor<?x1x1x8xf32>, tensor<1x1x32x8xf32>
    scf.forall.in_parallel {
      tensor.parallel_insert_slice %w into %o[0, %h, 0] [%tokens, 1, 3] [1, 1, 1] : tensor<?x1x3xf32> into tensor<?x4x3xf32>
    }
  }
  return %r : tensor<?x4x3xf32>
}
