// RUN: %peer-pass %s --peer-drop-blocks="drop=blocks.0,blocks.2 plan=%t.json" | FileCheck %s
// RUN: FileCheck %s --check-prefix=PLAN --input-file=%t.json
// RUN: %peer-pass %s --peer-drop-blocks="drop=heads.0" | FileCheck %s --check-prefix=GAP
// RUN: %peer-pass %s --peer-drop-blocks="plan=%t.json" | FileCheck %s --check-prefix=SAME
// RUN: FileCheck %s --check-prefix=FOUND --input-file=%t.json
// RUN: %peer-pass %s --peer-drop-blocks="drop=blocks.2 marks" --peer-inline-modules --peer-calibrate=of=marks | FileCheck %s --check-prefix=MARKS
// RUN: not %peer-pass %s --peer-drop-blocks="drop=blocks.7" -o /dev/null 2>&1 | FileCheck %s --check-prefix=NONE
// NONE: error: there is no block 'blocks.7' to drop: expected blocks.0, blocks.1, blocks.2, blocks.3, heads.0, heads.1
// RUN: not %peer-pass %s --peer-drop-blocks="layers=heads drop=blocks.1" -o /dev/null 2>&1 | FileCheck %s --check-prefix=BEGUN
// BEGUN: error: there is no block 'blocks.1' to drop: expected heads.0, heads.1
// RUN: not %peer-pass %s --peer-drop-blocks="layers=mixed" -o /dev/null 2>&1 | FileCheck %s --check-prefix=NAMES
// NAMES: error: the model has no block of these names that could be left out: expected peer.repeat, or peer.call of a block whose name ends with a number

// A block that is nowhere used any more is gone; those that are left count on, through calls and repeats.
// CHECK-NOT: func.func private @first
// CHECK: func.func private @unused
// CHECK: func.func @model(%[[X:.*]]: tensor<?x4xf32>
// CHECK-NEXT: %[[B:.*]] = peer.repeat "blocks" 2 @block(%[[X]]) : tensor<?x4xf32>
// CHECK-NEXT: %[[H:.*]] = peer.repeat "heads" 2 @block(%[[B]])
// PLAN: "becomes": "blocks.0",
// PLAN-NEXT: "dropped": false,
// PLAN-NEXT: "name": "blocks.1"
// PLAN: "blocks.0.w": [
// PLAN-NEXT: "tensor",
// PLAN-NEXT: "blocks.1.w"
// PLAN: "blocks.1.w": [
// PLAN-NEXT: "tensor",
// PLAN-NEXT: "blocks.3.w"

// Beside heads.2, which has a parameter that no block takes with it, numbers stay.
// GAP: peer.repeat "blocks" 3 from 1 @block
// GAP-NEXT: peer.repeat "heads" 1 from 1 @block

// SAME: peer.call "blocks.0" @first
// SAME-NEXT: peer.repeat "blocks" 3 from 1 @block
// FOUND-NOT: "heads.2"

// MARKS: func.func @calibrate({{.*}}"blocks.0.in"}{{.*}}"blocks.0.out"}{{.*}}"blocks.1.in"}
// MARKS-SAME: "heads.1.out"}
func.func private @first(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %w = peer.param "w" ones : tensor<4xf32>
  %y = peer.rms_norm %x, %w : tensor<?x4xf32>, tensor<4xf32>
  return %y : tensor<?x4xf32>
}
func.func private @norm(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %w = peer.param "v" ones : tensor<4xf32>
  %y = peer.rms_norm %x, %w : tensor<?x4xf32>, tensor<4xf32>
  return %y : tensor<?x4xf32>
}
func.func private @block(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %w = peer.param "w" normal(0.2) : tensor<4x4xf32>
  %y = peer.linear %x, %w : tensor<?x4xf32>, tensor<4x4xf32>
  return %y : tensor<?x4xf32>
}
func.func private @unused(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  return %x : tensor<?x4xf32>
}
func.func @model(%x: tensor<?x4xf32> {peer.name = "x"}) -> tensor<?x4xf32> {
  %0 = peer.call "blocks.0" @first(%x) : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %1 = peer.repeat "blocks" 3 from 1 @block(%0) : tensor<?x4xf32>
  %2 = peer.repeat "heads" 2 @block(%1) : tensor<?x4xf32>
  %3 = peer.call "heads.2" @norm(%2) : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %w = peer.param "heads.2.w" ones : tensor<4xf32>
  %y = peer.rms_norm %3, %w : tensor<?x4xf32>, tensor<4xf32>
  return %y : tensor<?x4xf32>
}
func.func @loss(%x: tensor<?x4xf32> {peer.name = "x"}) -> tensor<f32> attributes {peer.kind = "loss"} {
  %y = peer.call "" @model(%x) : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %r = peer.reduce sum %y along [1] : tensor<?x4xf32>
  %m = peer.mean %r : tensor<?xf32>
  return %m : tensor<f32>
}
