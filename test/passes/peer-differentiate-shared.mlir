// RUN: %peer-pass %s --peer-inline-modules --peer-differentiate | FileCheck %s
// RUN: %peer-pass %s --peer-inline-modules --peer-add-optimizer | FileCheck %s --check-prefix=STEP

// An embedding that is the head, too, is one parameter, whose gradient is the sum of both uses.
// CHECK-LABEL: func.func @tied_grad(
// CHECK-SAME:    %[[TABLE:[a-z0-9]+]]: tensor<10x4xf32> {bufferization.writable = false, peer.name = "table"
// CHECK-SAME:    -> (tensor<10x4xf32> {peer.name = "grad.table"})
// CHECK:         peer.embedding %{{.*}}, %[[TABLE]]
// CHECK:         peer.linear %{{.*}}, %[[TABLE]] :
// CHECK:         %[[HEAD:.*]] = peer.linear {{.*}} {transpose_x} : tensor<?x10xf32>, tensor<?x4xf32>
// CHECK:         %[[ROWS:.*]] = peer.embedding_grad
// CHECK:         %[[SUM:.*]] = arith.addf %[[HEAD]], %[[ROWS]] : tensor<10x4xf32>
// CHECK:         return %[[SUM]]
func.func @tied(%tokens: tensor<?xi32>) -> tensor<?x10xf32> {
  %e = peer.param "table" normal(0.5) : tensor<10x4xf32>
  %x = peer.embedding %tokens, %e : tensor<?xi32>, tensor<10x4xf32>
  %y = peer.linear %x, %e {transpose_weight} : tensor<?x4xf32>, tensor<10x4xf32>
  return %y : tensor<?x10xf32>
}
peer.gradient @tied_grad of @tied

// A layer and the one of its first two units: what both say of the rows is one gradient, and one step of an optimizer.
// STEP-LABEL: func.func @step(
// STEP:         %[[B:.*]] = peer.pad %{{.*}} along 0 low 0 high 6 : tensor<2x1x4xf32>
// STEP:         %[[A:.*]] = peer.pad %{{.*}} along 0 low 1 high 3 : tensor<4x1x4xf32>
// STEP:         %[[SUM:.*]] = arith.addf %[[B]], %[[A]] : tensor<8x1x4xf32>
// STEP:         peer.update %{{.*}}, %[[SUM]],
// STEP-NOT:     peer.update
func.func @nested(%x: tensor<?x4xf32>, %i: tensor<?x1x1xi32>, %w: tensor<?x1x1xf32>) -> tensor<f32> {
  %p = peer.param "rows" normal(0.5) : tensor<8x1x4xf32>
  %a = peer.slice %p along 0 from 1 size 4 : tensor<8x1x4xf32>
  %b = peer.slice %p along 0 from 0 size 2 : tensor<8x1x4xf32>
  %y = peer.mix %x, %i, %w, %a : tensor<?x4xf32>, tensor<?x1x1xi32>, tensor<?x1x1xf32>, tensor<4x1x4xf32>
  %z = peer.mix %y, %i, %w, %b : tensor<?x4xf32>, tensor<?x1x1xi32>, tensor<?x1x1xf32>, tensor<2x1x4xf32>
  %s = arith.addf %y, %z : tensor<?x4xf32>
  %r = peer.reduce sum %s along [1] : tensor<?x4xf32>
  %m = peer.mean %r : tensor<?xf32>
  return %m : tensor<f32>
}
peer.train @step of @nested {optimizer = #peer.adamw}
