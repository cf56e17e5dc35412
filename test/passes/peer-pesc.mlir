// RUN: %peer-pass %s --peer-pesc="experts=4 top-k=2 adapter=3 plan=%t.json" | FileCheck %s
// RUN: FileCheck %s --check-prefix=PLAN --input-file=%t.json
// RUN: not %peer-pass %s --peer-pesc="experts=4 top-k=5" -o /dev/null 2>&1 | FileCheck %s --check-prefix=MANY
// MANY: error: expected top-k between 1 and 4, got 5
// RUN: not %peer-pass %s --peer-pesc="adapter=0" -o /dev/null 2>&1 | FileCheck %s --check-prefix=NARROW
// NARROW: error: expected adapter between 1 and 2^24, got 0

// PLAN: "experts": [
// PLAN-NEXT: "concat",
// PLAN: "initial"
// PLAN: "zeros",
// PLAN: "router": [
// PLAN-NEXT: "initial"

// The layer stays, frozen; adapters read what it returns, the router what it reads.
// CHECK: func.func @dense(%[[X:.*]]: tensor<?x8xf32>)
// CHECK: peer.param "up" normal({{.*}}) frozen
// CHECK: peer.param "down" normal({{.*}}) frozen
// CHECK: %[[F:.*]] = peer.linear
// CHECK: %[[Q:.*]] = peer.reshape %[[X]]
// CHECK: %[[S:.*]] = peer.score %[[Q]], %{{.*}} : tensor<?x1x1x8xf32>, tensor<1x1x4x8xf32>
// CHECK: %[[P:.*]] = peer.param "experts" normal({{.*}}) group("experts") : tensor<12x2x8xf32>
// CHECK: %[[M:.*]] = peer.mix %[[F]], %{{.*}}, %{{.*}}, %[[P]] gelu {rows_per_expert = 3 : i64}
// CHECK: %[[Y:.*]] = arith.addf %[[F]], %[[M]]
// CHECK: return %[[Y]]
func.func @dense(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %u = peer.param "up" normal(0.2) : tensor<8x16xf32>
  %h = peer.linear %x, %u : tensor<?x8xf32>, tensor<8x16xf32>
  %a = peer.activation %h gelu : tensor<?x16xf32>
  %d = peer.param "down" normal(0.2) : tensor<16x8xf32>
  %y = peer.linear %a, %d : tensor<?x16xf32>, tensor<16x8xf32>
  return %y : tensor<?x8xf32>
}
