// RUN: %peer-pass %s --peer-inline-modules --peer-calibrate=of=dense | FileCheck %s
// RUN: %peer-pass %s --peer-inline-modules --peer-calibrate=of=loss | FileCheck %s --check-prefix=LOSS
// RUN: not %peer-pass %s --peer-inline-modules --peer-calibrate=of=all -o /dev/null 2>&1 | FileCheck %s --check-prefix=WHAT
// WHAT: error: expected of to be loss, dense or marks, got all
// RUN: not %peer-pass %s --peer-calibrate -o /dev/null 2>&1 | FileCheck %s --check-prefix=NONE
// NONE: error: the model has no loss

// What layers read, and nothing that comes after.
// CHECK: func.func @calibrate(%[[X:.*]]: tensor<?x8xf32> {peer.name = "x"}) -> (tensor<?x8xf32> {peer.name = "ffw.x"})
// CHECK-NEXT: %[[S:.*]] = peer.param "shift.running" zeros buffer : tensor<8x8xf32>
// CHECK-NEXT: %[[N:.*]] = peer.linear %[[X]], %[[S]]
// CHECK-NEXT: return %[[N]]
// CHECK-NOT: peer.train
// LOSS: func.func @loss({{.*}}) -> (tensor<f32> {peer.name = "loss"}) attributes {peer.kind = "loss"}
// LOSS: peer.param "ffw.down" normal(2.000000e-01) : tensor<16x8xf32>
// LOSS-NOT: peer.train
func.func private @dense(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %u = peer.param "up" normal(0.2) : tensor<8x16xf32>
  %h = peer.linear %x, %u : tensor<?x8xf32>, tensor<8x16xf32>
  %a = peer.activation %h gelu : tensor<?x16xf32>
  %d = peer.param "down" normal(0.2) : tensor<16x8xf32>
  %y = peer.linear %a, %d : tensor<?x16xf32>, tensor<16x8xf32>
  return %y : tensor<?x8xf32>
}
func.func private @loss(%x: tensor<?x8xf32> {peer.name = "x"}) -> tensor<f32> {
  %s = peer.param "shift.running" zeros buffer : tensor<8x8xf32>
  %n = peer.linear %x, %s : tensor<?x8xf32>, tensor<8x8xf32>
  %y = peer.call "ffw" @dense(%n) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %r = peer.reduce sum %y along [1] : tensor<?x8xf32>
  %m = peer.mean %r : tensor<?xf32>
  return %m : tensor<f32>
}
peer.train @train of @loss {optimizer = #peer.adamw<>}
