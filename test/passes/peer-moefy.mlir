// RUN: %peer-pass %s --peer-moefy="experts=4 top-k=1 plan=%t.json" | FileCheck %s
// RUN: FileCheck %s --check-prefix=PLAN --input-file=%t.json
// RUN: not %peer-pass %s --peer-moefy="experts=3" -o /dev/null 2>&1 | FileCheck %s --check-prefix=DIVIDES
// DIVIDES: error: expected experts to divide the 16 hidden units of the layer, got 3
// RUN: not %peer-pass %s --peer-moefy="experts=4 top-k=5" -o /dev/null 2>&1 | FileCheck %s --check-prefix=MANY
// MANY: error: expected top-k between 1 and 4, got 5

// PLAN: "experts": [
// PLAN-NEXT: "gather",
// PLAN: "order:"
// PLAN: "router": [
// PLAN-NEXT: "decided",
// PLAN-NEXT: "router:"

// CHECK: %[[C:.*]] = peer.param "router" normal({{.*}}) : tensor<1x1x4x8xf32>
// CHECK: %[[I:.*]], %[[V:.*]] = peer.select %{{.*}} topk<1>
// CHECK: %[[P:.*]] = peer.param "experts" normal({{.*}}) group("experts") : tensor<16x2x8xf32>
// CHECK: %[[W:.*]] = peer.gate %[[V]] one
// CHECK: peer.mix %{{.*}}, %[[I]], %[[W]], %[[P]] gelu {rows_per_expert = 4 : i64}
func.func @dense(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %u = peer.param "up" normal(0.2) : tensor<16x8xf32>
  %h = peer.linear %x, %u {transpose_weight} : tensor<?x8xf32>, tensor<16x8xf32>
  %a = peer.activation %h gelu : tensor<?x16xf32>
  %d = peer.param "down" normal(0.2) : tensor<16x8xf32>
  %y = peer.linear %a, %d : tensor<?x16xf32>, tensor<16x8xf32>
  return %y : tensor<?x8xf32>
}
