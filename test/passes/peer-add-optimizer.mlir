// RUN: %peer-pass %s --peer-inline-modules --peer-add-optimizer --canonicalize --split-input-file | FileCheck %s

// Loss, gradient, clipping by the norm over the group, update in place; the loss itself stays.
// CHECK:       module attributes {peer.groups = [{lazy = false, learning_rate = 1.000000e-02 : f64, name = "default", optimizer = "sgd"}]}
// CHECK-LABEL: func.func @loss(
// CHECK-SAME:    attributes {peer.kind = "loss"}
// CHECK-LABEL: func.func @train_step(
// CHECK-SAME:    %[[X:[a-z0-9]+]]: tensor<?x8xf32> {bufferization.writable = false, peer.name = "x", peer.role = "input"}
// CHECK-SAME:    %[[T:[a-z0-9]+]]: tensor<?xi32> {{{[^}]*}}peer.name = "targets"
// CHECK-SAME:    %[[W:[a-z0-9]+]]: tensor<8x4xf32> {bufferization.writable = true, peer.name = "w"
// CHECK-SAME:    %[[U:[a-z0-9]+]]: tensor<4x4xf32> {bufferization.writable = true, peer.name = "u"
// CHECK-SAME:    %[[LR:[a-z0-9]+]]: tensor<f32> {bufferization.writable = false, peer.name = "learning_rate.default", peer.role = "scalar"}
// CHECK-SAME:    %[[STEP:[a-z0-9]+]]: tensor<f32> {bufferization.writable = false, peer.name = "step", peer.role = "scalar"}
// CHECK-SAME:    -> (tensor<f32> {peer.name = "loss"}, tensor<f32> {peer.name = "gradient_norm.default"},
// CHECK-SAME:    tensor<8x4xf32> {peer.name = "w", peer.updates = 2 : i64}, tensor<4x4xf32> {peer.name = "u", peer.updates = 3 : i64})
// CHECK-SAME:    attributes {peer.kind = "train", peer.of = "loss"}
// CHECK-DAG:     %[[EPS:.*]] = arith.constant dense<9.99999997E-7> : tensor<f32>
// CHECK-DAG:     %[[ONE:.*]] = arith.constant dense<1.000000e+00> : tensor<f32>
// CHECK-DAG:     %[[LIMIT:.*]] = arith.constant dense<5.000000e-01> : tensor<f32>
// CHECK:         %[[LOSS:.*]] = peer.mean
// CHECK:         peer.mean_grad %{{.*}}, %[[ONE]]
// CHECK:         %[[DU:.*]] = peer.linear %{{.*}} {transpose_x}
// CHECK:         %[[DW:.*]] = peer.linear %[[X]], %{{.*}} {transpose_x}
// CHECK:         %[[SW:.*]] = peer.sum_squares %[[DW]]
// CHECK:         %[[SU:.*]] = peer.sum_squares %[[DU]]
// CHECK:         %[[S:.*]] = arith.addf %[[SW]], %[[SU]]
// CHECK:         %[[NORM:.*]] = math.sqrt %[[S]]
// What is not finite makes the scale NaN, which vetoes the updates.
// CHECK:         %[[GUARDED:.*]] = arith.addf %[[NORM]], %[[EPS]]
// CHECK:         %[[RATIO:.*]] = arith.divf %[[LIMIT]], %[[GUARDED]]
// CHECK:         %[[CLIP:.*]] = arith.minimumf %[[RATIO]], %[[ONE]]
// CHECK:         %[[BADLOSS:.*]] = arith.subf %[[LOSS]], %[[LOSS]]
// CHECK:         %[[BADNORM:.*]] = arith.subf %[[NORM]], %[[NORM]]
// CHECK:         %[[BAD:.*]] = arith.addf %[[BADLOSS]], %[[BADNORM]]
// CHECK:         %[[SCALE:.*]] = arith.addf %[[CLIP]], %[[BAD]]
// CHECK:         %[[NW:.*]] = peer.update %[[W]], %[[DW]], %[[LR]], %[[STEP]], %[[SCALE]] {optimizer = #peer.sgd
// CHECK:         %[[NU:.*]] = peer.update %[[U]], %[[DU]], %[[LR]], %[[STEP]], %[[SCALE]]
// CHECK:         return %[[LOSS]], %[[NORM]], %[[NW]], %[[NU]]
// CHECK-NOT:   peer.train
func.func @loss(%x: tensor<?x8xf32> {peer.name = "x"}, %t: tensor<?xi32> {peer.name = "targets"}) -> tensor<f32> {
  %w = peer.param "w" zeros : tensor<8x4xf32>
  %h = peer.linear %x, %w : tensor<?x8xf32>, tensor<8x4xf32>
  %u = peer.param "u" zeros : tensor<4x4xf32>
  %y = peer.linear %h, %u : tensor<?x4xf32>, tensor<4x4xf32>
  %l = peer.cross_entropy %y, %t : tensor<?x4xf32>, tensor<?xi32>
  %m = peer.mean %l : tensor<?xf32>
  return %m : tensor<f32>
}
peer.train @train_step of @loss {optimizer = #peer.sgd<clip_norm = 0.5>}

// -----

// A lazy group: the pool is updated by row, without a dense gradient; what is no pool is updated as a whole. A group
// that `groups` leaves out has the default optimizer. Norms of row-sparse gradients are computed where they clip.
// CHECK:       module attributes {peer.groups = [
// CHECK-SAME:    {lazy = false, learning_rate = 1.000000e-03 : f64, name = "default", optimizer = "adamw"},
// CHECK-SAME:    {lazy = true, learning_rate = 1.250000e-01 : f64, name = "experts", optimizer = "adamw"},
// CHECK-SAME:    {lazy = true, learning_rate = 1.000000e-02 : f64, name = "more", optimizer = "sgd"}]}
// CHECK-LABEL: func.func @train_step(
// CHECK-SAME:    %[[POOL:[a-z0-9]+]]: tensor<16x2x8xf32> {bufferization.writable = true, peer.name = "pool"
// CHECK-SAME:    %[[POOL2:[a-z0-9]+]]: tensor<16x1x8xf32> {bufferization.writable = true, peer.name = "pool2"
// CHECK-SAME:    peer.name = "gain.m", peer.role = "state"
// CHECK-SAME:    peer.name = "gain.v"
// CHECK-SAME:    %[[M:[a-z0-9]+]]: tensor<16x2x8xf32> {bufferization.writable = true, peer.name = "pool.m", peer.role = "state"}
// CHECK-SAME:    %[[V:[a-z0-9]+]]: tensor<16x2x8xf32> {bufferization.writable = true, peer.name = "pool.v", peer.role = "state"}
// CHECK-SAME:    peer.name = "bias.m"
// CHECK-SAME:    %[[B:[a-z0-9]+]]: tensor<16x1x8xf32> {bufferization.writable = true, peer.name = "pool2.momentum", peer.role = "state"}
// CHECK-SAME:    peer.name = "learning_rate.default"
// CHECK-SAME:    %[[LR:[a-z0-9]+]]: tensor<f32> {bufferization.writable = false, peer.name = "learning_rate.experts"
// CHECK-SAME:    peer.name = "learning_rate.more"
// CHECK-SAME:    peer.name = "step"
// CHECK-SAME:    -> (tensor<f32> {peer.name = "loss"}, tensor<f32> {peer.name = "gradient_norm.default"}, tensor<f32> {peer.name = "gradient_norm.experts"}, tensor<f32> {peer.name = "gradient_fault.more"},
// CHECK-SAME:    peer.name = "pool.m", peer.updates =
// CHECK-NOT:     peer.pool_grad %
// CHECK:         peer.pool_grad_norm
// CHECK-NOT:     peer.pool_grad_norm
// CHECK:         peer.sum_squares {{.*}} tensor<?x1x2x1x1xf32>
// CHECK:         %[[P:.*]]:3 = peer.row_update %[[POOL]], {{.*}}, %[[LR]], %{{.*}}, %{{.*}}, %[[M]], %[[V]] {optimizer = #peer.adamw
// CHECK:         peer.update
// CHECK:         peer.row_update %[[POOL2]], {{.*}}, %[[B]] {optimizer = #peer.sgd
func.func @loss(%x: tensor<?x8xf32>, %i: tensor<?x1x2xi32>, %w: tensor<?x1x2xf32>, %t: tensor<?xi32>) -> tensor<f32> {
  %g = peer.param "gain" ones : tensor<8xf32>
  %n = peer.rms_norm %x, %g : tensor<?x8xf32>, tensor<8xf32>
  %p = peer.param "pool" zeros group("experts") : tensor<16x2x8xf32>
  %y = peer.mix %n, %i, %w, %p relu : tensor<?x8xf32>, tensor<?x1x2xi32>, tensor<?x1x2xf32>, tensor<16x2x8xf32>
  %b = peer.param "bias" zeros group("experts") : tensor<8xf32>
  %z = peer.layer_norm %y, %g, %b : tensor<?x8xf32>, tensor<8xf32>, tensor<8xf32>
  %q = peer.param "pool2" zeros group("more") : tensor<16x1x8xf32>
  %u = peer.mix %z, %i, %w, %q relu : tensor<?x8xf32>, tensor<?x1x2xi32>, tensor<?x1x2xf32>, tensor<16x1x8xf32>
  %l = peer.cross_entropy %u, %t : tensor<?x8xf32>, tensor<?xi32>
  %m = peer.mean %l : tensor<?xf32>
  return %m : tensor<f32>
}
peer.train @train_step of @loss {optimizer = #peer.adamw, groups = {
    experts = #peer.adamw<learning_rate = 0.125, clip_norm = 1.0, lazy = true>, more = #peer.sgd<momentum = 0.9, lazy = true>}}

// -----

// Training uses the batch's statistics and moves the running ones; the pool of a group that is not lazy has a dense
// gradient; a group that is not listed has the default optimizer under its own learning rate and norm.
// CHECK:       {lazy = false, learning_rate = 1.000000e-02 : f64, name = "default", optimizer = "sgd"}, {lazy = false, {{.*}}name = "experts", optimizer = "sgd"}
// CHECK-LABEL: func.func @loss(
// CHECK-NOT:     batch_statistics
// CHECK-LABEL: func.func @train_step(
// CHECK-SAME:    %[[MEAN:[a-z0-9]+]]: tensor<8xf32> {bufferization.writable = true, peer.name = "mean"
// CHECK-SAME:    %[[VAR:[a-z0-9]+]]: tensor<8xf32> {bufferization.writable = true, peer.name = "var"
// CHECK-SAME:    tensor<8xf32> {peer.name = "mean", peer.updates = {{[0-9]+}} : i64}, tensor<8xf32> {peer.name = "var", peer.updates
// CHECK-DAG:     %[[MOMENTUM:.*]] = arith.constant dense<2.500000e-01> : tensor<f32>
// CHECK-DAG:     %[[ONE:.*]] = arith.constant dense<1.000000e+00> : tensor<f32>
// CHECK:         %[[S0:.*]], %[[S1:.*]] = peer.batch_stats %[[X:.*]] :
// CHECK:         peer.batch_norm %[[X]], %{{.*}}, %{{.*}}, %[[S0]], %[[S1]] {batch_statistics, momentum
// CHECK:         %[[DP:.*]] = peer.pool_grad
// CHECK:         peer.sum_squares %[[DP]]
// CHECK:         peer.update %{{.*}}, %[[DP]]
// A vetoed step does not move the running statistics either.
// CHECK:         %[[D:.*]] = arith.subf %[[MEAN]], %[[S0]]
// CHECK:         %[[NEW:.*]] = peer.update %[[MEAN]], %[[D]], %[[MOMENTUM]], %[[ONE]], %{{.*}} {optimizer = #peer.sgd
// CHECK:         arith.subf %[[VAR]], %[[S1]]
// CHECK:         return {{.*}}, %[[NEW]], %{{.*}} :
func.func @loss(%x: tensor<?x8xf32>, %i: tensor<?x1x2xi32>, %w: tensor<?x1x2xf32>, %t: tensor<?xi32>) -> tensor<f32> {
  %g = peer.param "gain" ones : tensor<8xf32>
  %b = peer.param "bias" zeros : tensor<8xf32>
  %mean = peer.param "mean" zeros buffer : tensor<8xf32>
  %var = peer.param "var" ones buffer : tensor<8xf32>
  %n = peer.batch_norm %x, %g, %b, %mean, %var {momentum = 0.25 : f32}
      : tensor<?x8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>
  %p = peer.param "pool" zeros group("experts") : tensor<16x2x8xf32>
  %y = peer.mix %n, %i, %w, %p relu : tensor<?x8xf32>, tensor<?x1x2xi32>, tensor<?x1x2xf32>, tensor<16x2x8xf32>
  %l = peer.cross_entropy %y, %t : tensor<?x8xf32>, tensor<?xi32>
  %m = peer.mean %l : tensor<?xf32>
  return %m : tensor<f32>
}
peer.train @train_step of @loss {optimizer = #peer.sgd}

// -----

// What the loss does not need, for another result or for none, is no part of the step: it has nothing to be trained for, and
// neither blocks the step nor moves statistics.
// CHECK-LABEL: func.func @train_step(
// CHECK-NOT:     peer.multiple_of
// CHECK-NOT:     peer.batch_norm
// CHECK-NOT:     peer.rotary
// CHECK:         return
func.func @loss(%x: tensor<?x8xf32>, %t: tensor<?xi32>) -> (tensor<f32>, tensor<?x8xf32>) {
  %w = peer.param "w" normal(0.02) : tensor<8x8xf32>
  %s = peer.param "statistics" ones : tensor<8xf32>
  %y = peer.linear %x, %w : tensor<?x8xf32>, tensor<8x8xf32>
  %n = peer.batch_norm %y, %s, %s, %s, %s : tensor<?x8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>
  %r = peer.rotary %y heads 1 context 5 : tensor<?x8xf32>
  %l = peer.cross_entropy %y, %t : tensor<?x8xf32>, tensor<?xi32>
  %m = peer.mean %l : tensor<?xf32>
  return %m, %n : tensor<f32>, tensor<?x8xf32>
}
peer.train @train_step of @loss {optimizer = #peer.sgd}
