// RUN: %peer-pass %s --peer-add-usage --split-input-file | FileCheck %s

// Mixes of one pool share a histogram, named after it; the grid is that of the product keys. A mix of one expert has
// nothing to count, and the pool of the last mix has no name.
// CHECK-LABEL: func.func @loss(
// CHECK-SAME:    %[[MASS:[a-z0-9]+]]: tensor<16xf64> {bufferization.writable = true, peer.grid = [4, 4], peer.name = "experts", peer.role = "usage"})
// CHECK-SAME:    -> (tensor<?x8xf32>, tensor<16xf64> {peer.name = "experts", peer.updates = 4 : i64})
// CHECK:         %[[S0:.*]], %[[S1:.*]] = peer.select
// CHECK:         %[[Y:.*]] = peer.mix
// CHECK-NEXT:    %[[M1:.*]] = peer.usage %[[S0]], %[[S1]], %[[MASS]]
// CHECK-NEXT:    peer.mix %[[Y]]
// CHECK-NEXT:    %[[M2:.*]] = peer.usage %[[S0]], %[[S1]], %[[M1]]
// CHECK-NOT:     peer.usage
// CHECK:         return %{{.*}}, %[[M2]]
func.func @loss(%x: tensor<?x8xf32>, %logits: tensor<?x1x2x4xf32>,
    %pool: tensor<16x2x8xf32> {peer.name = "experts", peer.parameter = #peer.parameter<"experts", <zeros>, "default", true>},
    %dense: tensor<6x2x8xf32> {peer.name = "dense", peer.parameter = #peer.parameter<"dense", <zeros>, "default", true>})
    -> tensor<?x8xf32> attributes {peer.kind = "loss"} {
  %i, %v = peer.select %logits product_topk<2> : tensor<?x1x2x4xf32>
  %a = peer.mix %x, %i, %v, %pool relu : tensor<?x8xf32>, tensor<?x1x2xi32>, tensor<?x1x2xf32>, tensor<16x2x8xf32>
  %b = peer.mix %a, %i, %v, %pool relu : tensor<?x8xf32>, tensor<?x1x2xi32>, tensor<?x1x2xf32>, tensor<16x2x8xf32>
  %c = peer.mix %b, %i, %v, %dense relu {rows_per_expert = 6}
      : tensor<?x8xf32>, tensor<?x1x2xi32>, tensor<?x1x2xf32>, tensor<6x2x8xf32>
  %unnamed = arith.addf %pool, %pool : tensor<16x2x8xf32>
  %d = peer.mix %c, %i, %v, %unnamed relu : tensor<?x8xf32>, tensor<?x1x2xi32>, tensor<?x1x2xf32>, tensor<16x2x8xf32>
  return %d : tensor<?x8xf32>
}

// -----

// Inference does not count; a training step does. Indices from outside have no grid.
// CHECK-LABEL: func.func @forward(
// CHECK-NOT:     peer.usage
// CHECK-LABEL: func.func @step(
// CHECK-SAME:    peer.range = [-1, 16]
// CHECK-SAME:    tensor<16xf64> {bufferization.writable = true, peer.name = "experts", peer.role = "usage"}
// CHECK:         peer.usage
func.func @forward(%x: tensor<?x8xf32>, %i: tensor<?x1x2xi32>, %w: tensor<?x1x2xf32>,
    %pool: tensor<16x2x8xf32> {peer.name = "experts", peer.parameter = #peer.parameter<"experts", <zeros>, "default", true>})
    -> tensor<?x8xf32> attributes {peer.kind = "forward"} {
  %y = peer.mix %x, %i, %w, %pool relu : tensor<?x8xf32>, tensor<?x1x2xi32>, tensor<?x1x2xf32>, tensor<16x2x8xf32>
  return %y : tensor<?x8xf32>
}
func.func @step(%x: tensor<?x8xf32>, %i: tensor<?x1x2xi32>, %w: tensor<?x1x2xf32>,
    %pool: tensor<16x2x8xf32> {peer.name = "experts", peer.parameter = #peer.parameter<"experts", <zeros>, "default", true>})
    -> tensor<?x8xf32> attributes {peer.kind = "train"} {
  %y = peer.mix %x, %i, %w, %pool relu : tensor<?x8xf32>, tensor<?x1x2xi32>, tensor<?x1x2xf32>, tensor<16x2x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// Quantized experts are counted under the name of their pool.
// CHECK-LABEL: func.func @quantized(
// CHECK-SAME:    %[[MASS:[a-z0-9]+]]: tensor<16xf64> {bufferization.writable = true, peer.name = "experts", peer.role = "usage"})
// CHECK:         peer.quantized_mix
// CHECK-NEXT:    peer.usage %{{.*}}, %{{.*}}, %[[MASS]]
func.func @quantized(%x: tensor<?x8xf32>, %i: tensor<?x1x2xi32>, %w: tensor<?x1x2xf32>,
    %pool: tensor<16x2x8xi8> {peer.name = "experts", peer.parameter = #peer.parameter<"experts", <zeros>, "default", false>},
    %scales: tensor<16x2xf32>) -> tensor<?x8xf32> attributes {peer.kind = "loss"} {
  %y = peer.quantized_mix %x, %i, %w, %pool, %scales relu
      : tensor<?x8xf32>, tensor<?x1x2xi32>, tensor<?x1x2xf32>, tensor<16x2x8xi8>, tensor<16x2xf32>
  return %y : tensor<?x8xf32>
}

// -----

// A step that is vetoed, by a scale that is NaN, counts nothing: its experts are counted when that is known, with weights of zero.
// CHECK-LABEL: func.func @vetoed(
// CHECK:         peer.mix
// CHECK-NOT:     peer.usage
// CHECK:         peer.update
// CHECK:         %[[W:.*]] = linalg.generic {{.*}} ins(%{{.*}}, %[[SCALE:.*]] : tensor<?x1x2xf32>, tensor<f32>)
// CHECK:           %[[NAN:.*]] = arith.cmpf uno
// CHECK:           arith.select %[[NAN]], %{{.*}}, %{{.*}} : f32
// CHECK:         peer.usage %{{.*}}, %[[W]],
// CHECK-NEXT:    return
func.func @vetoed(%x: tensor<?x8xf32>, %i: tensor<?x1x2xi32>, %w: tensor<?x1x2xf32>, %s: tensor<f32>,
    %pool: tensor<16x2x8xf32> {peer.name = "experts", peer.parameter = #peer.parameter<"experts", <zeros>, "default", true>})
    -> (tensor<?x8xf32>, tensor<16x2x8xf32>) attributes {peer.kind = "train"} {
  %y = peer.mix %x, %i, %w, %pool relu : tensor<?x8xf32>, tensor<?x1x2xi32>, tensor<?x1x2xf32>, tensor<16x2x8xf32>
  %p = peer.update %pool, %pool, %s, %s, %s {optimizer = #peer.sgd} : tensor<16x2x8xf32>, tensor<16x2x8xf32>, tensor<f32>, tensor<f32>, tensor<f32>
  return %y, %p : tensor<?x8xf32>, tensor<16x2x8xf32>
}
