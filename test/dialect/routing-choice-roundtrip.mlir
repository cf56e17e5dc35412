// RUN: %peer-pass %s | %peer-pass | FileCheck %s
// RUN: %peer-pass %s --mlir-print-op-generic | %peer-pass | FileCheck %s

// CHECK-LABEL: func.func @select(
func.func @select(%s: tensor<?x2x1x64xf32>, %t: tensor<f32>) -> (tensor<?x2x64xi32>, tensor<?x2x5xf32>) {
  // CHECK: %[[I:.*]], %{{.*}} = peer.select %{{.*}} expert_choice<2.500000e+00> : tensor<?x2x1x64xf32>
  %i, %v = peer.select %s expert_choice<2.5> : tensor<?x2x1x64xf32>
  // CHECK: %{{.*}}, %[[U:.*]] = peer.select %{{.*}}, %{{.*}} top_p<max = 5> : tensor<?x2x1x64xf32>, tensor<f32>
  %j, %u = peer.select %s, %t top_p<max = 5> : tensor<?x2x1x64xf32>, tensor<f32>
  // CHECK: peer.select %{{.*}}, %{{.*}} threshold<max = 5> : tensor<?x2x1x64xf32>, tensor<f32>
  %k, %w = peer.select %s, %t threshold<max = 5> : tensor<?x2x1x64xf32>, tensor<f32>
  // CHECK: peer.select %{{.*}}, %{{.*}} threshold<of = sigmoid, max = 5> : tensor<?x2x1x64xf32>, tensor<f32>
  %l, %x = peer.select %s, %t threshold<of = sigmoid, max = 5> : tensor<?x2x1x64xf32>, tensor<f32>
  // CHECK: return %[[I]], %[[U]] : tensor<?x2x64xi32>, tensor<?x2x5xf32>
  return %i, %u : tensor<?x2x64xi32>, tensor<?x2x5xf32>
}

// CHECK-LABEL: func.func @straight_through(
func.func @straight_through(%v: tensor<?x1x8xf32>) {
  // CHECK: peer.straight_through %{{.*}} : tensor<?x1x8xf32>
  %w = peer.straight_through %v : tensor<?x1x8xf32>
  // CHECK: peer.straight_through %{{.*}} soft {threshold = 7.500000e-01 : f32} : tensor<?x1x8xf32>
  %u = peer.straight_through %v soft {threshold = 0.75 : f32} : tensor<?x1x8xf32>
  return
}

// CHECK-LABEL: func.func @hash(
func.func @hash(%t: tensor<?xi32>) -> (tensor<?x1x1xi32>, tensor<?x1x1xf32>) {
  // CHECK: %[[I:.*]], %{{.*}} = peer.hash %{{.*}} experts 64 : tensor<?xi32>
  %i, %w = peer.hash %t experts 64 : tensor<?xi32>
  // CHECK: %{{.*}}, %[[U:.*]] = peer.hash %{{.*}} experts 64 seed 7 : tensor<?xi32>
  %j, %u = peer.hash %t experts 64 seed 7 : tensor<?xi32>
  // CHECK: return %[[I]], %[[U]]
  return %i, %u : tensor<?x1x1xi32>, tensor<?x1x1xf32>
}

// CHECK-LABEL: func.func @whole_factor(
func.func @whole_factor(%i: tensor<?x1x3xi32>, %w: tensor<?x1x3xf32>) {
  // CHECK: peer.capacity %{{.*}}, %{{.*}} experts 64 factor 1.000000e+00 by token
  %j, %u = peer.capacity %i, %w experts 64 factor 1 by token : tensor<?x1x3xi32>, tensor<?x1x3xf32>
  return
}

// CHECK-LABEL: func.func @buffers(
func.func @buffers(%s: memref<?x2x1x64xf32>, %t: memref<f32>, %i: memref<?x2x5xi32>, %v: memref<?x2x5xf32>) {
  // CHECK: peer.select %{{.*}}, %{{.*}} top_p<max = 5> outs(%{{.*}}, %{{.*}} : memref<?x2x5xi32>, memref<?x2x5xf32>) : memref<?x2x1x64xf32>, memref<f32>
  peer.select %s, %t top_p<max = 5> outs(%i, %v : memref<?x2x5xi32>, memref<?x2x5xf32>) : memref<?x2x1x64xf32>, memref<f32>
  return
}
