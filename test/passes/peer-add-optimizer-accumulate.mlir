// RUN: %peer-pass %s --peer-inline-modules --peer-add-optimizer=accumulate --canonicalize --cse --split-input-file | FileCheck %s

// The step is there as ever. The first part adds a dense gradient to its sum as soon as it is there and returns the row-sparse one; the second
// part has norms, clipping and updates.
// CHECK-LABEL: func.func @step(
// CHECK-NOT:     gradient_weight
// CHECK-LABEL: func.func @step_accumulate(
// CHECK-SAME:    %[[X:[a-z0-9]+]]: tensor<?x8xf32>
// CHECK-SAME:    %[[I:[a-z0-9]+]]: tensor<?x1x2xi32>
// CHECK-SAME:    %[[POOL:[a-z0-9]+]]: tensor<16x2x8xf32> {bufferization.writable = false, peer.name = "pool"
// CHECK-SAME:    %[[H:[a-z0-9]+]]: tensor<8x4xf32> {bufferization.writable = false, peer.name = "head"
// CHECK-SAME:    %[[WEIGHT:[a-z0-9]+]]: tensor<f32> {bufferization.writable = false, peer.name = "gradient_weight", peer.role = "scalar"}
// CHECK-SAME:    %[[FIRST:[a-z0-9]+]]: tensor<f32> {bufferization.writable = false, peer.name = "first_part", peer.role = "scalar"}
// CHECK-SAME:    %[[SUM:[a-z0-9]+]]: tensor<8x4xf32> {bufferization.writable = true, peer.name = "head.gradient", peer.role = "state"}
// CHECK-SAME:    -> (tensor<f32> {peer.name = "loss"}
// CHECK-SAME:    tensor<8x4xf32> {peer.name = "head.gradient", peer.updates = {{[0-9]+}} : i64}
// CHECK-SAME:    tensor<?x1x2xi32> {peer.name = "pool.idx"}, tensor<?x1x2x1x2xf32> {peer.name = "pool.coef"}, tensor<?x8xf32> {peer.name = "pool.x"}, tensor<?x8xf32> {peer.name = "pool.dy"}
// CHECK-SAME:    attributes {peer.kind = "accumulate", peer.of = "loss"}
// CHECK-DAG:     %[[ZERO:.*]] = arith.constant 0.000000e+00 : f32
// CHECK:         %[[LOSS:.*]] = peer.mean
// The gradient of the loss is the weight.
// CHECK:         peer.mean_grad %{{.*}}, %[[WEIGHT]]
// CHECK:         %[[DH:.*]] = peer.linear %{{.*}} {transpose_x}
// CHECK-NEXT:    %[[NEW:.*]] = linalg.generic {{.*}} ins(%[[DH]], %[[FIRST]] : {{.*}}) outs(%[[SUM]] :
// CHECK-NEXT:    ^bb0(%[[D:.*]]: f32, %[[F:.*]]: f32, %[[BEFORE:.*]]: f32):
// CHECK-NEXT:      %[[BEGINS:.*]] = arith.cmpf une, %[[F]], %[[ZERO]]
// CHECK-NEXT:      %[[FROM:.*]] = arith.select %[[BEGINS]], %[[ZERO]], %[[BEFORE]]
// CHECK-NEXT:      %[[TO:.*]] = arith.addf %[[FROM]], %[[D]]
// CHECK-NEXT:      linalg.yield %[[TO]]
// CHECK:         %[[TOKEN0:.*]], %[[TOKEN1:.*]], %[[TOKEN2:.*]] = peer.mix_grad %[[X]], %[[I]]
// CHECK-NOT:     peer.sort_pairs
// CHECK-NOT:     peer.pool_grad
// CHECK:         return %[[LOSS]], %[[NEW]], %[[I]], %[[TOKEN2]], %[[X]], %{{.*}} :

// CHECK-LABEL: func.func @step_update(
// CHECK-SAME:    %[[IDX:[a-z0-9]+]]: tensor<?x1x2xi32> {bufferization.writable = false, peer.name = "pool.idx", peer.range = [-1, 16], peer.role = "input"}
// CHECK-SAME:    %[[COEF:[a-z0-9]+]]: tensor<?x1x2x1x2xf32> {{{[^}]*}}peer.name = "pool.coef"
// CHECK-SAME:    %[[PX:[a-z0-9]+]]: tensor<?x8xf32> {{{[^}]*}}peer.name = "pool.x"
// CHECK-SAME:    %[[DY:[a-z0-9]+]]: tensor<?x8xf32> {{{[^}]*}}peer.name = "pool.dy"
// CHECK-SAME:    peer.name = "head.gradient", peer.role = "state"
// CHECK-SAME:    peer.name = "pool.m", peer.role = "state"
// CHECK-SAME:    peer.name = "learning_rate.default"
// CHECK-SAME:    peer.name = "step"
// CHECK-SAME:    %[[L:[a-z0-9]+]]: tensor<f32> {bufferization.writable = false, peer.name = "loss", peer.role = "scalar"}
// CHECK-SAME:    -> (tensor<f32> {peer.name = "gradient_norm.default"}, tensor<f32> {peer.name = "gradient_norm.experts"}
// CHECK-SAME:    attributes {peer.kind = "update", peer.of = "loss"}
// CHECK:         %[[SORT0:.*]], %[[SORT1:.*]], %[[SORT2:.*]] = peer.sort_pairs %[[IDX]] experts 16
// CHECK:         peer.sum_squares %[[S:arg[0-9]+]]
// CHECK:         peer.pool_grad_norm %[[IDX]], %[[SORT0]], %[[SORT1]], %[[SORT2]], %[[COEF]], %[[PX]], %[[DY]]
// CHECK:         arith.subf %[[L]], %[[L]]
// CHECK:         peer.update %{{.*}}, %[[S]]
// CHECK:         peer.row_update %{{.*}}, %[[IDX]], %[[SORT0]]
// CHECK-NOT:   peer.train
func.func @loss(%x: tensor<?x8xf32>, %i: tensor<?x1x2xi32>, %w: tensor<?x1x2xf32>, %t: tensor<?xi32>) -> tensor<f32> {
  %p = peer.param "pool" zeros group("experts") : tensor<16x2x8xf32>
  %y = peer.mix %x, %i, %w, %p relu : tensor<?x8xf32>, tensor<?x1x2xi32>, tensor<?x1x2xf32>, tensor<16x2x8xf32>
  %h = peer.param "head" zeros : tensor<8x4xf32>
  %z = peer.linear %y, %h : tensor<?x8xf32>, tensor<8x4xf32>
  %l = peer.cross_entropy %z, %t : tensor<?x4xf32>, tensor<?xi32>
  %m = peer.mean %l : tensor<?xf32>
  return %m : tensor<f32>
}
peer.train @step of @loss {optimizer = #peer.sgd, groups = {experts = #peer.adamw<clip_norm = 1.0, lazy = true>}}

// -----

// Rows of which a token has several are handed over by token. What does not depend on tokens scales a mean, or adds to it. A batch norm that is used
// twice has sums of its own for each use; the statistics move as the batch's would.
// CHECK-LABEL: func.func @step_accumulate(
// CHECK-SAME:    peer.name = "mean.batch"
// CHECK-SAME:    peer.name = "var.batch"
// CHECK-SAME:    peer.name = "mean.batch.2"
// CHECK-SAME:    peer.name = "var.batch.2"
// CHECK-SAME:    tensor<?x2x1x1xi32> {peer.name = "pool.idx"}, tensor<?x2x1x1x1x2xf32> {peer.name = "pool.coef"}, tensor<?x2x4xf32> {peer.name = "pool.x"}, tensor<?x2x4xf32> {peer.name = "pool.dy"}
// CHECK:         %[[S0:.*]], %[[S1:.*]] = peer.batch_stats
// CHECK:         %[[AWAY:.*]] = arith.subf %[[S0]], %[[MEAN:.*]] : tensor<4xf32>
// CHECK:         linalg.generic {{.*}} ins(%[[AWAY]], %{{.*}}, %{{.*}} :
// CHECK:         %[[SQUARE:.*]] = arith.mulf %[[AWAY]], %[[AWAY]]
// CHECK:         %[[MOMENT:.*]] = arith.addf %[[S1]], %[[SQUARE]]
// CHECK:         linalg.generic {{.*}} ins(%[[MOMENT]], %{{.*}}, %{{.*}} :
// CHECK-LABEL: func.func @step_update(
// CHECK-SAME:    %[[IDX:[a-z0-9]+]]: tensor<?x2x1x1xi32> {{{[^}]*}}peer.range = [-1, 16]
// CHECK:         %[[ROWS:.*]] = peer.reshape %[[IDX]] to tensor<?x1x1xi32>
// CHECK:         peer.sort_pairs %[[ROWS]] experts 16
func.func @loss(%x: tensor<?x8xf32>, %i: tensor<?x1x1xi32>, %t: tensor<?xi32>) -> tensor<f32> {
  %g = peer.param "gain" ones : tensor<4xf32>  %b = peer.param "bias" zeros : tensor<4xf32>
  %mean = peer.param "mean" zeros buffer : tensor<4xf32>  %var = peer.param "var" ones buffer : tensor<4xf32>
  %h = peer.reshape %x to tensor<?x4xf32> : tensor<?x8xf32>
  %n1 = peer.batch_norm %h, %g, %b, %mean, %var : tensor<?x4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>
  %n2 = peer.batch_norm %n1, %g, %b, %mean, %var : tensor<?x4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>
  %k = peer.param "keys" zeros : tensor<1x1x16x4xf32>
  %q = peer.reshape %n2 to tensor<?x1x1x4xf32> : tensor<?x4xf32>
  %s = peer.score %q, %k : tensor<?x1x1x4xf32>, tensor<1x1x16x4xf32>
  %e, %v = peer.select %s topk<1> : tensor<?x1x1x16xf32>
  %w = peer.gate %v sigmoid : tensor<?x1x1xf32>
  %p = peer.param "pool" zeros group("experts") : tensor<16x2x4xf32>
  %y = peer.mix %n2, %e, %w, %p relu : tensor<?x4xf32>, tensor<?x1x1xi32>, tensor<?x1x1xf32>, tensor<16x2x4xf32>
  %z = peer.reshape %y to tensor<?x8xf32> : tensor<?x4xf32>
  %l = peer.cross_entropy %z, %t : tensor<?x8xf32>, tensor<?xi32>
  %m = peer.mean %l : tensor<?xf32>
  %a = peer.param "scale" ones : tensor<f32>
  %r = arith.mulf %m, %a : tensor<f32>
  %u = arith.addf %r, %a : tensor<f32>
  return %u : tensor<f32>
}
peer.train @step of @loss {optimizer = #peer.sgd, groups = {experts = #peer.sgd<lazy = true>}}
