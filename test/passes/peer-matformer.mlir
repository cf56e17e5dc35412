// RUN: %peer-pass %s --peer-matformer="widths=2,2,16 plan=%t.json" | FileCheck %s
// RUN: FileCheck %s --check-prefix=PLAN --input-file=%t.json
// RUN: %peer-pass %s --peer-matformer="widths=8" | FileCheck %s --check-prefix=ALL
// RUN: not %peer-pass %s --peer-matformer="widths=4,4" -o /dev/null 2>&1 | FileCheck %s --check-prefix=COUNT
// COUNT: error: expected a width for all 3 dense layers (blocks.0, blocks.1, blocks.2), or one for each, got 2
// RUN: not %peer-pass %s --peer-matformer="widths=17" -o /dev/null 2>&1 | FileCheck %s --check-prefix=WIDE
// WIDE: error: expected a width between 1 and the 16 hidden units of blocks.0, got 17
// RUN: %peer-pass %s --peer-matformer="widths=1" | FileCheck %s --check-prefix=NESTED

// Equal blocks stay one; what is nested stays what it is.
// CHECK: func.func private @block(
// CHECK: peer.param "up" normal({{.*}}) : tensor<8x2xf32>
// CHECK: peer.activation %{{.*}} gelu : tensor<?x2xf32>
// CHECK: peer.param "down" normal({{.*}}) : tensor<8x2xf32>
// CHECK: func.func private @block_2(
// CHECK: peer.param "up" normal({{.*}}) : tensor<8x16xf32>
// CHECK: func.func private @small(
// CHECK: peer.slice %{{.*}} along 1 from 0 size 2 : tensor<8x2xf32>
// CHECK: func.func private @small_2(
// CHECK: peer.slice %{{.*}} along 1 from 0 size 2 : tensor<8x16xf32>
// CHECK: func.func @model(
// CHECK: %[[B:.*]] = peer.repeat "blocks" 2 @block(
// CHECK-NEXT: peer.repeat "blocks" 1 from 2 @block_2(%[[B]])
// PLAN: "blocks.0.down": [
// PLAN-NEXT: "slice",
// PLAN: "blocks.1.up": [
// PLAN-NOT: "blocks.2

// What is nested and wider becomes the extracted model.
// NESTED: func.func private @small(
// NESTED: peer.linear %{{.*}} : tensor<?x8xf32>, tensor<8x1xf32>
// NESTED: peer.activation %{{.*}} gelu : tensor<?x1xf32>

// ALL: peer.activation %{{.*}} gelu : tensor<?x8xf32>
// ALL: peer.repeat "blocks" 3 @block(
func.func private @block(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %u = peer.param "up" normal(0.2) : tensor<8x16xf32>
  %h = peer.linear %x, %u : tensor<?x8xf32>, tensor<8x16xf32>
  %a = peer.activation %h gelu : tensor<?x16xf32>
  %d = peer.param "down" normal(0.2) : tensor<8x16xf32>
  %y = peer.linear %a, %d {transpose_weight} : tensor<?x16xf32>, tensor<8x16xf32>
  return %y : tensor<?x8xf32>
}
func.func private @small(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %u = peer.param "up" normal(0.2) : tensor<8x16xf32>
  %v = peer.slice %u along 1 from 0 size 2 : tensor<8x16xf32>
  %h = peer.linear %x, %v : tensor<?x8xf32>, tensor<8x2xf32>
  %a = peer.activation %h gelu : tensor<?x2xf32>
  %d = peer.param "down" normal(0.2) : tensor<8x16xf32>
  %e = peer.slice %d along 1 from 0 size 2 : tensor<8x16xf32>
  %y = peer.linear %a, %e {transpose_weight} : tensor<?x2xf32>, tensor<8x2xf32>
  return %y : tensor<?x8xf32>
}
func.func @model(%x: tensor<?x8xf32> {peer.name = "x"}) -> tensor<?x8xf32> {
  %y = peer.repeat "blocks" 3 @block(%x) : tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
func.func @nested(%x: tensor<?x8xf32> {peer.name = "x"}) -> tensor<?x8xf32> {
  %y = peer.repeat "blocks" 3 @small(%x) : tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
