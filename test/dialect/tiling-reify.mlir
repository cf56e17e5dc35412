// RUN: peer-opt %s --resolve-ranked-shaped-type-result-dims --canonicalize --split-input-file | FileCheck %s

// The size of a result is that of an argument, through all ops between; ops that were only asked for their size go.
// CHECK-LABEL: func.func @through(
// CHECK-SAME:    %[[Q:[a-z0-9]+]]: tensor<?x4x1x8xf32>
// CHECK:       %[[T:.*]] = tensor.dim %[[Q]]
// CHECK-NOT:   peer.
// CHECK:       return %[[T]]
func.func @through(%q: tensor<?x4x1x8xf32>, %keys: tensor<1x1x64x8xf32>) -> index {
  %c0 = arith.constant 0 : index
  %s = peer.score %q, %keys : tensor<?x4x1x8xf32>, tensor<1x1x64x8xf32>
  %idx, %val = peer.select %s topk<2> : tensor<?x4x1x64xf32>
  %w = peer.gate %val relu : tensor<?x4x2xf32>
  %d = tensor.dim %w, %c0 : tensor<?x4x2xf32>
  return %d : index
}

// -----

// CHECK: #[[ROWS:.*]] = affine_map<()[s0] -> (s0 * 4)>
// CHECK-LABEL: func.func @multiple(
// CHECK:       %[[D:.*]] = affine.apply #[[ROWS]]
// CHECK-NOT:   peer.
// CHECK:       return %[[D]]
func.func @multiple(%x: tensor<?x32xf32>) -> index {
  %c0 = arith.constant 0 : index
  %r = peer.reshape %x to tensor<?x8xf32> : tensor<?x32xf32>
  %d = tensor.dim %r, %c0 : tensor<?x8xf32>
  return %d : index
}
