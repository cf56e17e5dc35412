// RUN: %peer-pass %s --peer-dsmoe="experts=4 plan=%t.json" | FileCheck %s
// RUN: FileCheck %s --check-prefix=PLAN --input-file=%t.json
// RUN: %peer-pass %s --peer-dsmoe="experts=4" --peer-verify-level=level=model -o /dev/null
// RUN: not %peer-pass %s --peer-dsmoe="experts=3" -o /dev/null 2>&1 | FileCheck %s --check-prefix=DIVIDES
// DIVIDES: error: expected experts to divide the 16 hidden units of the layer, got 3

// PLAN: "ffw.0.experts": [
// PLAN-NEXT: "concat",
// PLAN: "ffw.1.router": [
// PLAN-NEXT: "initial"

// Only what is on is computed, but in training, where the shares of what is on add up through calls and repeats.
// CHECK: func.func private @dense_in_training(%[[X:.*]]: tensor<?x8xf32>, %[[SUM:.*]]: tensor<f32>) -> (tensor<?x8xf32>, tensor<f32>)
// CHECK: peer.select %{{.*}} all
// CHECK: %[[W:.*]] = peer.straight_through
// CHECK: %[[O:.*]] = peer.mix %{{.*}} gelu {rows_per_expert = 4 : i64}
// CHECK: %[[ON:.*]] = peer.reduce mean %[[W]] along [1, 2]
// CHECK: %[[Y:.*]] = arith.divf %[[O]]
// CHECK: %[[S:.*]] = peer.mean %[[ON]]
// CHECK: %[[T:.*]] = arith.addf %[[SUM]], %[[S]]
// CHECK: return %[[Y]], %[[T]]
// CHECK: func.func private @dense(%{{.*}}: tensor<?x8xf32>) -> tensor<?x8xf32>
// CHECK: peer.select %{{.*}} threshold<5.000000e-01, of = sigmoid, max = 4>
// CHECK: peer.gate %{{.*}} one
// CHECK: func.func private @loss_in_training({{.*}}) -> tensor<f32> {
// CHECK: %[[B:.*]]:2 = peer.repeat "ffw" 2 @dense_in_training(%{{.*}}, %{{.*}})
// CHECK: %[[P:.*]] = arith.mulf %[[B]]#1
// CHECK: arith.addf %{{.*}}, %[[P]]
// CHECK: func.func @loss({{.*}}peer.kind = "loss"
// CHECK: peer.repeat "ffw" 2 @dense(%{{.*}}) : tensor<?x8xf32>
// CHECK: peer.train @train of @loss_in_training
func.func private @dense(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %u = peer.param "up" normal(0.2) : tensor<8x16xf32>
  %h = peer.linear %x, %u : tensor<?x8xf32>, tensor<8x16xf32>
  %a = peer.activation %h gelu : tensor<?x16xf32>
  %d = peer.param "down" normal(0.2) : tensor<16x8xf32>
  %y = peer.linear %a, %d : tensor<?x16xf32>, tensor<16x8xf32>
  return %y : tensor<?x8xf32>
}
func.func private @loss(%x: tensor<?x8xf32> {peer.name = "x"}) -> tensor<f32> {
  %y = peer.repeat "ffw" 2 @dense(%x) : tensor<?x8xf32>
  %r = peer.reduce sum %y along [1] : tensor<?x8xf32>
  %m = peer.mean %r : tensor<?xf32>
  return %m : tensor<f32>
}
peer.train @train of @loss {optimizer = #peer.adamw<>}
