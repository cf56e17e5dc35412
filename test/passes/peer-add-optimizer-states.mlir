// RUN: %peer-pass %s --peer-inline-modules --peer-add-optimizer --canonicalize --split-input-file | FileCheck %s

// States have the shapes and elements that their optimizer asks for; a schedule is handed on.
// CHECK:       module attributes {peer.groups = [
// CHECK-SAME:    {lazy = false, learning_rate = 1.000000e-03 : f64, name = "default", optimizer = "adafactor"},
// CHECK-SAME:    {lazy = true, learning_rate = 1.000000e-03 : f64, name = "experts", optimizer = "rowwise_adam", schedule = "constant"},
// CHECK-SAME:    {lazy = false, learning_rate = 1.000000e-02 : f64, name = "more", optimizer = "rowwise_adagrad"}]}
// CHECK-LABEL: func.func @train_step(
// CHECK-SAME:    tensor<8xf32> {{{[^}]*}}peer.name = "gain.v", peer.role = "state"}
// CHECK-SAME:    tensor<8xf32> {{{[^}]*}}peer.name = "head.rows", peer.role = "state"}
// CHECK-SAME:    tensor<4xf32> {{{[^}]*}}peer.name = "head.columns", peer.role = "state"}
// CHECK-SAME:    %[[M:[a-z0-9]+]]: tensor<16x2x8xbf16> {{{[^}]*}}peer.name = "pool.m", peer.role = "state"}
// CHECK-SAME:    %[[V:[a-z0-9]+]]: tensor<16xf32> {{{[^}]*}}peer.name = "pool.v", peer.role = "state"}
// CHECK-SAME:    %[[SUM:[a-z0-9]+]]: tensor<6xf32> {{{[^}]*}}peer.name = "pool2.sum", peer.role = "state"}
// CHECK:         peer.row_update {{.*}}, %[[M]], %[[V]] {optimizer = #peer.rowwise_adam
// CHECK:         peer.update {{.*}}, %[[SUM]] {optimizer = #peer.rowwise_adagrad
func.func @loss(%x: tensor<?x8xf32>, %i: tensor<?x1x2xi32>, %w: tensor<?x1x2xf32>, %t: tensor<?xi32>) -> tensor<f32> {
  %g = peer.param "gain" ones : tensor<8xf32>
  %n = peer.rms_norm %x, %g : tensor<?x8xf32>, tensor<8xf32>
  %p = peer.param "pool" zeros group("experts") : tensor<16x2x8xf32>
  %y = peer.mix %n, %i, %w, %p relu : tensor<?x8xf32>, tensor<?x1x2xi32>, tensor<?x1x2xf32>, tensor<16x2x8xf32>
  %q = peer.param "pool2" zeros group("more") : tensor<6x1x8xf32>
  %z = peer.mix %y, %i, %w, %q : tensor<?x8xf32>, tensor<?x1x2xi32>, tensor<?x1x2xf32>, tensor<6x1x8xf32>
  %h = peer.param "head" ones : tensor<8x4xf32>
  %o = peer.linear %z, %h : tensor<?x8xf32>, tensor<8x4xf32>
  %l = peer.cross_entropy %o, %t : tensor<?x4xf32>, tensor<?xi32>
  %m = peer.mean %l : tensor<?xf32>
  return %m : tensor<f32>
}
peer.train @train_step of @loss {optimizer = #peer.adafactor, groups = {
    experts = #peer.rowwise_adam<lazy, schedule = constant, states = bf16>, more = #peer.rowwise_adagrad}}

// -----

// A pool that two ops read has one update, of the pairs of both: rows of 4 and of 2 pairs are cut into pieces of 2.
// CHECK-LABEL: func.func @train_step(
// CHECK-SAME:    %[[POOL:[a-z0-9]+]]: tensor<16x2x8xf32>
// CHECK-NOT:     peer.pool_grad %
// CHECK:         %[[I:.*]] = peer.concat %{{.*}}, %{{.*}} along 1 : tensor<?x2x1x2xi32>, tensor<?x1x1x2xi32>
// CHECK:         %[[IDX:.*]] = peer.reshape %[[I]] to tensor<?x1x2xi32> : tensor<?x3x1x2xi32>
// CHECK:         %[[ORDER:.*]], %[[STARTS:.*]], %[[COUNT:.*]] = peer.sort_pairs %[[IDX]] experts 16
// CHECK:         peer.row_update %[[POOL]], %[[IDX]], %[[ORDER]], %[[STARTS]], %[[COUNT]]
// CHECK-NOT:     peer.row_update
func.func @loss(%x: tensor<?x8xf32>, %i: tensor<?x2x2xi32>, %w: tensor<?x2x2xf32>, %j: tensor<?x1x2xi32>, %u: tensor<?x1x2xf32>,
                %t: tensor<?xi32>) -> tensor<f32> {
  %p = peer.param "pool" zeros group("experts") : tensor<16x2x8xf32>
  %y = peer.mix %x, %i, %w, %p relu : tensor<?x8xf32>, tensor<?x2x2xi32>, tensor<?x2x2xf32>, tensor<16x2x8xf32>
  %z = peer.mix %y, %j, %u, %p relu : tensor<?x8xf32>, tensor<?x1x2xi32>, tensor<?x1x2xf32>, tensor<16x2x8xf32>
  %l = peer.cross_entropy %z, %t : tensor<?x8xf32>, tensor<?xi32>
  %m = peer.mean %l : tensor<?xf32>
  return %m : tensor<f32>
}
peer.train @train_step of @loss {optimizer = #peer.sgd, groups = {experts = #peer.adamw<lazy>}}
