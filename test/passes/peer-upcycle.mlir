// RUN: %peer-pass %s --peer-upcycle="experts=4 top-k=2 plan=%t.json" | FileCheck %s
// RUN: FileCheck %s --check-prefix=PLAN --input-file=%t.json
// RUN: %peer-pass %s --peer-upcycle="form=peer experts=16 top-k=3 heads=2 layers=blocks.1" | FileCheck %s --check-prefix=BESIDE
// RUN: not %peer-pass %s --peer-upcycle="form=peer experts=8" -o /dev/null 2>&1 | FileCheck %s --check-prefix=SQUARE
// SQUARE: error: expected the experts of a PEER layer to be a square, got 8
// RUN: not %peer-pass %s --peer-upcycle="experts=2 top-k=3" -o /dev/null 2>&1 | FileCheck %s --check-prefix=MANY
// MANY: error: expected top-k between 1 and 2, got 3
// RUN: not %peer-pass %s --peer-upcycle="layers=blocks.0" -o /dev/null 2>&1 | FileCheck %s --check-prefix=SOME
// SOME: error: some of the layers that this block describes are to be converted, and others are not

// A block that is used twice has two routers and two pools.
// PLAN-DAG: "blocks.0.ffw.router": [
// PLAN-DAG: "blocks.0.ffw.experts": [
// PLAN-DAG: "blocks.2.ffw.router": [
// PLAN-DAG: "blocks.1.ffw.experts": [

// CHECK-LABEL: func.func private @dense
// CHECK-SAME:    %[[X:.*]]: tensor<?x8xf32>
// CHECK-NEXT: %[[C:.*]] = peer.param "ffw.router" normal({{.*}}) : tensor<1x1x4x8xf32>
// CHECK-NEXT: %[[Q:.*]] = peer.reshape %[[X]] to tensor<?x1x1x8xf32>
// CHECK-NEXT: %[[S:.*]] = peer.score %[[Q]], %[[C]]
// CHECK-NEXT: %[[I:.*]], %[[V:.*]] = peer.select %[[S]] topk<2>
// CHECK-NEXT: %[[P:.*]] = peer.param "ffw.experts" normal({{.*}}) group("experts") : tensor<64x2x8xf32>
// CHECK-NEXT: %[[W:.*]] = peer.gate %[[V]] softmax
// CHECK-NEXT: %[[Y:.*]] = peer.mix %[[X]], %[[I]], %[[W]], %[[P]] relu {rows_per_expert = 16 : i64}
// CHECK-NEXT: return %[[Y]]
// BESIDE-LABEL: func.func private @dense
// BESIDE-NOT: peer.mix
func.func private @dense(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %u = peer.param "ffw.up.weight" normal(0.2) : tensor<8x16xf32>
  %h = peer.linear %x, %u : tensor<?x8xf32>, tensor<8x16xf32>
  %a = peer.activation %h relu : tensor<?x16xf32>
  %d = peer.param "ffw.down.weight" normal(0.2) : tensor<16x8xf32>
  %y = peer.linear %a, %d : tensor<?x16xf32>, tensor<16x8xf32>
  return %y : tensor<?x8xf32>
}
// CHECK-LABEL: func.func private @gated
// CHECK: peer.mix {{.*}} silu {rows_per_expert = 16 : i64} : {{.*}}, tensor<64x3x8xf32>
// CHECK-NEXT: return
// BESIDE-LABEL: func.func private @gated
// BESIDE: %[[Y:.*]] = peer.linear %{{.*}}, %{{.*}} : tensor<?x16xf32>, tensor<16x8xf32>
// BESIDE: peer.param "ffw.peer.query.weight" normal({{.*}}) : tensor<8x16xf32>
// BESIDE: peer.param "ffw.peer.keys" normal({{.*}}) : tensor<2x2x4x4xf32>
// BESIDE: peer.select %{{.*}} product_topk<3>
// BESIDE: peer.param "ffw.peer.experts" normal({{.*}}) group("experts") : tensor<16x2x8xf32>
// BESIDE: %[[M:.*]] = peer.mix
// BESIDE-NEXT: %[[Z:.*]] = arith.addf %[[Y]], %[[M]]
// BESIDE-NEXT: return %[[Z]]
func.func private @gated(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %g = peer.param "ffw.gate.weight" normal(0.2) : tensor<8x16xf32>
  %b = peer.linear %x, %g : tensor<?x8xf32>, tensor<8x16xf32>
  %a = peer.activation %b silu : tensor<?x16xf32>
  %u = peer.param "ffw.up.weight" normal(0.2) : tensor<8x16xf32>
  %h = peer.linear %x, %u : tensor<?x8xf32>, tensor<8x16xf32>
  %m = arith.mulf %h, %a : tensor<?x16xf32>
  %d = peer.param "ffw.down.weight" normal(0.2) : tensor<16x8xf32>
  %y = peer.linear %m, %d : tensor<?x16xf32>, tensor<16x8xf32>
  return %y : tensor<?x8xf32>
}
func.func @model(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %1 = peer.call "blocks.0" @dense(%x) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %2 = peer.call "blocks.1" @gated(%1) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %3 = peer.call "blocks.2" @dense(%2) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  return %3 : tensor<?x8xf32>
}
