// RUN: %peer-pass %s --peer-prune-experts="experts=3 how=merge plan=%t.json" | FileCheck %s
// RUN: FileCheck %s --check-prefix=PLAN --input-file=%t.json
// RUN: not %peer-pass %s --peer-prune-experts="experts=3 how=mix" -o /dev/null 2>&1 | FileCheck %s --check-prefix=HOW
// HOW: error: expected how to be drop or merge, got 'mix'

// The description is that of fewer experts, whatever becomes of the others; the weights half gets the pool, too.
// PLAN:      "pool": [
// PLAN-NEXT:   "tensor",
// PLAN-NEXT:   "experts"
// PLAN:      "experts": [
// PLAN-NEXT:   "reshape",
// PLAN-NEXT:   [
// PLAN-NEXT:     "combine",
// PLAN-NEXT:     [
// PLAN-NEXT:       "reshape",
// PLAN-NEXT:       [
// PLAN-NEXT:         "gather",
// PLAN:              "units:experts"
// PLAN:            0,
// PLAN-NEXT:       "shares:experts"
// PLAN:      "router": [
// PLAN-NEXT:   "reshape",
// PLAN-NEXT:   [
// PLAN-NEXT:     "combine",
// PLAN-NOT:      "gather"
// PLAN:          2,
// PLAN-NEXT:     "shares:experts"
// CHECK-LABEL: func.func @layer
func.func @layer(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // CHECK: peer.param "router" normal(2.000000e-01) : tensor<1x1x3x8xf32>
  %c = peer.param "router" normal(0.2) : tensor<1x1x4x8xf32>
  %q = peer.reshape %x to tensor<?x1x1x8xf32> : tensor<?x8xf32>
  %s = peer.score %q, %c : tensor<?x1x1x8xf32>, tensor<1x1x4x8xf32>
  %i, %v = peer.select %s topk<2> : tensor<?x1x1x4xf32>
  %w = peer.gate %v softmax : tensor<?x1x2xf32>
  // CHECK: peer.param "experts" normal(2.000000e-01) : tensor<12x2x8xf32>
  %p = peer.param "experts" normal(0.2) : tensor<16x2x8xf32>
  %y = peer.mix %x, %i, %w, %p gelu {rows_per_expert = 4} : tensor<?x8xf32>, tensor<?x1x2xi32>, tensor<?x1x2xf32>, tensor<16x2x8xf32>
  return %y : tensor<?x8xf32>
}
