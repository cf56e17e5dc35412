// RUN: %peer-pass %s --peer-inline-modules --peer-add-optimizer | FileCheck %s
// RUN: %peer-pass %s --peer-inline-modules --peer-add-optimizer=accumulate | FileCheck %s --check-prefix=PARTS
// RUN: %peer-pass %s --peer-inline-modules --peer-add-optimizer --peer-expand-tensor-ops | FileCheck %s --check-prefix=EXPANDED

// A training step gives each dropout a place, and all of them its seed; gradients pass the same ones. What has a rate of 0 is gone. Evaluation
// drops nothing.
// CHECK-LABEL: func.func @loss(
// CHECK-NOT:     dropout_seed
// CHECK:         peer.dropout %{{.*}} {rate = 2.500000e-01 : f32}
// CHECK-LABEL: func.func @train_step(
// CHECK-SAME:    %[[SEED:[a-z0-9]+]]: tensor<i32> {{{[^}]*}}peer.name = "dropout_seed", peer.role = "scalar"}
// CHECK:         %[[A:.*]] = peer.dropout %{{.*}} seed %[[SEED]] {rate = 2.500000e-01 : f32} : tensor<?x4xf32>, tensor<i32>
// CHECK:         %[[H:.*]] = peer.activation %[[A]] tanh
// CHECK:         %[[B:.*]] = peer.dropout %[[H]] seed %[[SEED]] {place = 1 : i64, rate = 5.000000e-01 : f32}
// CHECK:         peer.cross_entropy %[[B]]
// CHECK:         peer.dropout %{{.*}} seed %[[SEED]] {place = 1 : i64, rate = 5.000000e-01 : f32}
// CHECK:         peer.activation_grad %[[A]]
// CHECK:         peer.dropout %{{.*}} seed %[[SEED]] {rate = 2.500000e-01 : f32}
// CHECK-NOT:     peer.dropout

// Each part has a seed of its own; the update has none.
// PARTS-LABEL: func.func @train_step_accumulate(
// PARTS-SAME:    peer.name = "dropout_seed"
// PARTS:         peer.dropout %{{.*}} seed
// PARTS-LABEL: func.func @train_step_update(
// PARTS-NOT:     dropout_seed

// The number of an element is that in the whole tensor, wherever its tile begins.
// EXPANDED-LABEL: func.func @loss(
// EXPANDED-NOT:   linalg.generic
// EXPANDED-LABEL: func.func @train_step(
// EXPANDED:       linalg.generic {{.*}} ins(%{{.*}}, %{{.*}} : tensor<?x4xf32>, tensor<i32>)
// EXPANDED:         linalg.index 0
// EXPANDED:         linalg.index 1
// EXPANDED:         arith.cmpi uge
// EXPANDED-NOT:   peer.dropout
func.func @loss(%x: tensor<?x4xf32>, %t: tensor<?xi32>) -> tensor<f32> {
  %w = peer.param "w" normal(0.5) : tensor<4x4xf32>
  %y = peer.linear %x, %w : tensor<?x4xf32>, tensor<4x4xf32>
  %a = peer.dropout %y {rate = 0.25 : f32} : tensor<?x4xf32>
  %h = peer.activation %a tanh : tensor<?x4xf32>
  %n = peer.dropout %h {rate = 0.0 : f32} : tensor<?x4xf32>
  %b = peer.dropout %n {rate = 0.5 : f32} : tensor<?x4xf32>
  %l = peer.cross_entropy %b, %t : tensor<?x4xf32>, tensor<?xi32>
  %m = peer.mean %l : tensor<?xf32>
  return %m : tensor<f32>
}
peer.train @train_step of @loss {optimizer = #peer.sgd}
