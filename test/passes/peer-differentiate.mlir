// RUN: %peer-pass %s --peer-differentiate --split-input-file | FileCheck %s

// Inputs, then a gradient for each result, then parameters; gradients of the inputs, then of the trainable parameters.
// CHECK-LABEL: func.func @f_grad(
// CHECK-SAME:    %[[X:[a-z0-9]+]]: tensor<?x8xf32> {{{[^}]*}}peer.name = "x"
// CHECK-SAME:    %[[DY:[a-z0-9]+]]: tensor<?x4xf32> {bufferization.writable = false, peer.name = "dy", peer.role = "input"}
// CHECK-SAME:    %[[W:[a-z0-9]+]]: tensor<8x4xf32> {{{[^}]*}}peer.name = "w"
// CHECK-SAME:    -> (tensor<?x8xf32> {peer.name = "dx"}, tensor<8x4xf32> {peer.name = "grad.w"})
// CHECK-SAME:    attributes {peer.kind = "gradient", peer.of = "f"}
// CHECK:         %[[DX:.*]] = peer.linear %[[DY]], %[[W]] {transpose_weight}
// CHECK:         %[[DW:.*]] = peer.linear %[[X]], %[[DY]] {transpose_x}
// CHECK:         return %[[DX]], %[[DW]]
// CHECK-NOT:   peer.gradient
func.func @f(%x: tensor<?x8xf32> {peer.name = "x", peer.role = "input"},
             %w: tensor<8x4xf32> {peer.name = "w", peer.role = "parameter", peer.parameter = #peer.parameter<"w", <zeros>, "default", true>})
    -> (tensor<?x4xf32> {peer.name = "y"}) {
  %y = peer.linear %x, %w : tensor<?x8xf32>, tensor<8x4xf32>
  return %y : tensor<?x4xf32>
}
peer.gradient @f_grad of @f

// -----

// Products of a gradient are those of the op.
// CHECK-LABEL: func.func @rounded_grad(
// CHECK:         peer.linear %{{.*}} {products = bf16, transpose_weight}
// CHECK:         peer.linear %{{.*}} {products = bf16, transpose_x}
func.func @rounded(%x: tensor<?x8xf32> {peer.name = "x", peer.role = "input"},
                   %w: tensor<8x4xf32> {peer.name = "w", peer.role = "parameter", peer.parameter = #peer.parameter<"w", <zeros>, "default", true>})
    -> (tensor<?x4xf32> {peer.name = "y"}) {
  %y = peer.linear %x, %w {products = bf16} : tensor<?x8xf32>, tensor<8x4xf32>
  return %y : tensor<?x4xf32>
}
peer.gradient @rounded_grad of @rounded

// -----

// All four ways to store the operands of a product.
// CHECK-LABEL: func.func @transposed_grad(
// CHECK-SAME:    %[[A:[a-z0-9]+]]: tensor<5x6xf32>
// CHECK-SAME:    %[[B:[a-z0-9]+]]: tensor<7x5xf32>
// CHECK-SAME:    %[[C:[a-z0-9]+]]: tensor<6x3xf32>
// CHECK-SAME:    %[[D:[a-z0-9]+]]: tensor<7x3xf32>
// CHECK-SAME:    %[[DY:[a-z0-9]+]]: tensor<3x3xf32>
// CHECK:         %[[P:.*]] = peer.linear %[[A]], %[[B]] {transpose_weight, transpose_x} : tensor<5x6xf32>, tensor<7x5xf32>
// CHECK:         %[[Q:.*]] = peer.linear %[[P]], %[[C]] {transpose_x} : tensor<6x7xf32>, tensor<6x3xf32>
// CHECK:         %[[DD:.*]] = peer.linear %[[Q]], %[[DY]] {transpose_weight} : tensor<7x3xf32>, tensor<3x3xf32>
// CHECK:         %[[DQ:.*]] = peer.linear %[[D]], %[[DY]] : tensor<7x3xf32>, tensor<3x3xf32>
// CHECK:         %[[DP:.*]] = peer.linear %[[C]], %[[DQ]] {transpose_weight} : tensor<6x3xf32>, tensor<7x3xf32>
// CHECK:         %[[DC:.*]] = peer.linear %[[P]], %[[DQ]] : tensor<6x7xf32>, tensor<7x3xf32>
// CHECK:         %[[DA:.*]] = peer.linear %[[B]], %[[DP]] {transpose_weight, transpose_x} : tensor<7x5xf32>, tensor<6x7xf32>
// CHECK:         %[[DB:.*]] = peer.linear %[[DP]], %[[A]] {transpose_weight, transpose_x} : tensor<6x7xf32>, tensor<5x6xf32>
// CHECK:         return %[[DA]], %[[DB]], %[[DC]], %[[DD]]
func.func @transposed(%a: tensor<5x6xf32>, %b: tensor<7x5xf32>, %c: tensor<6x3xf32>, %d: tensor<7x3xf32>) -> tensor<3x3xf32> {
  %p = peer.linear %a, %b {transpose_x, transpose_weight} : tensor<5x6xf32>, tensor<7x5xf32>
  %q = peer.linear %p, %c {transpose_x} : tensor<6x7xf32>, tensor<6x3xf32>
  %y = peer.linear %d, %q {transpose_x} : tensor<7x3xf32>, tensor<7x3xf32>
  return %y : tensor<3x3xf32>
}
peer.gradient @transposed_grad of @transposed

// -----

// Contributions add up; only the wanted gradients are built, and of the function what they read; what nothing reaches is zero, with its dynamic size.
// CHECK-LABEL: func.func @sums_grad(
// CHECK-SAME:    %[[X:[a-z0-9]+]]: tensor<?x4xf32>
// CHECK-SAME:    %[[Z:[a-z0-9]+]]: tensor<?x4xf32>
// CHECK-SAME:    %[[U:[a-z0-9]+]]: tensor<?x4xf32>
// CHECK-SAME:    %[[DY:[a-z0-9]+]]: tensor<?x4xf32>
// CHECK-SAME:    -> (tensor<?x4xf32> {peer.name = "darg0"}, tensor<?x4xf32> {peer.name = "darg2"})
// CHECK-NOT:     arith.subf
// CHECK:         %[[DB:.*]] = arith.negf %[[DY]]
// CHECK-NEXT:    %[[DA:.*]] = arith.negf %[[DB]]
// CHECK-NEXT:    %[[A:.*]] = arith.mulf %[[DA]], %[[Z]]
// CHECK-NEXT:    %[[SUM:.*]] = arith.addf %[[DY]], %[[A]]
// CHECK:         %[[T:.*]] = tensor.dim %[[U]]
// CHECK:         %[[EMPTY:.*]] = tensor.empty(%[[T]]) : tensor<?x4xf32>
// CHECK:         %[[ZERO:.*]] = linalg.fill ins(%{{.*}} : f32) outs(%[[EMPTY]]
// CHECK:         return %[[SUM]], %[[ZERO]]
func.func @sums(%x: tensor<?x4xf32>, %z: tensor<?x4xf32>, %u: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %a = arith.mulf %x, %z : tensor<?x4xf32>
  %b = arith.negf %a : tensor<?x4xf32>
  %y = arith.subf %x, %b : tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}
peer.gradient @sums_grad of @sums wrt [0, 2]

// -----

// CHECK-LABEL: func.func @norms_grad(
// CHECK-SAME:    %[[X:[a-z0-9]+]]: tensor<?x4xf32>
// CHECK-SAME:    %[[G:[a-z0-9]+]]: tensor<4xf32>
// CHECK-SAME:    %[[B:[a-z0-9]+]]: tensor<4xf32>
// CHECK-SAME:    %[[DY:[a-z0-9]+]]: tensor<?x4xf32>
// CHECK:         %[[H:.*]] = peer.rms_norm %[[X]], %[[G]]
// CHECK:         %[[LN0:.*]], %[[LN1:.*]], %[[LN2:.*]] = peer.layer_norm_grad %[[H]], %[[G]], %[[DY]] {epsilon = {{.*}}}
// CHECK:         %[[LW0:.*]], %[[LW1:.*]] = peer.layer_norm_weight_grad %[[H]], %[[LN1]], %[[LN2]], %[[DY]]
// CHECK:         %[[RN0:.*]], %[[RN1:.*]] = peer.rms_norm_grad %[[X]], %[[G]], %[[LN0]]
// CHECK:         %[[RW:.*]] = peer.rms_norm_weight_grad %[[X]], %[[RN1]], %[[LN0]]
// CHECK:         %[[DG:.*]] = arith.addf %[[LW0]], %[[RW]]
// CHECK:         return %[[RN0]], %[[DG]], %[[LW1]]
func.func @norms(%x: tensor<?x4xf32>, %g: tensor<4xf32>, %b: tensor<4xf32>) -> tensor<?x4xf32> {
  %h = peer.rms_norm %x, %g : tensor<?x4xf32>, tensor<4xf32>
  %y = peer.layer_norm %h, %g, %b : tensor<?x4xf32>, tensor<4xf32>, tensor<4xf32>
  return %y : tensor<?x4xf32>
}
peer.gradient @norms_grad of @norms

// -----

// In both modes of batch_norm no gradient leaves through mean and variance; with batch statistics dx contains it.
// CHECK-LABEL: func.func @batch_norms_grad(
// CHECK-SAME:    %[[X:[a-z0-9]+]]: tensor<?x4xf32>
// CHECK:         %[[S0:.*]], %[[S1:.*]] = peer.batch_stats %[[X]]
// CHECK:         %[[Y1:.*]] = peer.batch_norm %[[X]], %{{.*}}, %{{.*}}, %[[S0]], %[[S1]] {batch_statistics}
// CHECK:         %[[W20:.*]], %[[W21:.*]] = peer.batch_norm_weight_grad %[[Y1]]
// CHECK:         %[[D2:.*]] = peer.batch_norm_grad %[[Y1]], {{.*}}, %[[W20]], %[[W21]] {epsilon = {{[^,]*}}}
// CHECK:         %[[W10:.*]], %[[W11:.*]] = peer.batch_norm_weight_grad %[[X]], %[[S0]], %[[S1]], %[[D2]]
// CHECK:         %[[D1:.*]] = peer.batch_norm_grad %[[X]], %{{.*}}, %[[S0]], %[[S1]], %[[D2]], %[[W10]], %[[W11]] {batch_statistics
// CHECK:         return %[[D1]]
func.func @batch_norms(%x: tensor<?x4xf32>, %g: tensor<4xf32>, %m: tensor<4xf32>) -> tensor<?x4xf32> {
  %s:2 = peer.batch_stats %x : tensor<?x4xf32>
  %h = peer.batch_norm %x, %g, %g, %s#0, %s#1 {batch_statistics} : tensor<?x4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>
  %y = peer.batch_norm %h, %g, %g, %m, %m : tensor<?x4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>
  return %y : tensor<?x4xf32>
}
peer.gradient @batch_norms_grad of @batch_norms wrt [0]

// -----

// A private function that only the request named is gone with it.
// CHECK-NOT:   func.func private
// CHECK-LABEL: func.func @private_grad(
func.func private @helper(%x: tensor<4xf32>) -> tensor<4xf32> {
  %y = arith.mulf %x, %x : tensor<4xf32>
  return %y : tensor<4xf32>
}
peer.gradient @private_grad of @helper

// -----

// A structured op's gradient runs its body again: over the loops that an operand lacks it is a sum.
// CHECK-LABEL: func.func @scaled_grad(
// CHECK-SAME:    %[[X:[a-z0-9]+]]: tensor<?x4xf32> {{.*}} %[[W:[a-z0-9]+]]: tensor<4xf32> {{.*}} %[[DY:[a-z0-9]+]]: tensor<?x4xf32>
// CHECK:         %[[DX:.*]] = linalg.generic {{.*}} iterator_types = ["parallel", "parallel"]} ins(%[[X]], %[[W]], %[[DY]] :
// CHECK:         %[[DW:.*]] = linalg.generic {{.*}} iterator_types = ["reduction", "parallel"]} ins(%[[X]], %[[W]], %[[DY]] :
// CHECK:         return %[[DX]], %[[DW]]
func.func @scaled(%x: tensor<?x4xf32>, %w: tensor<4xf32>) -> tensor<?x4xf32> {
  %c0 = arith.constant 0 : index
  %n = tensor.dim %x, %c0 : tensor<?x4xf32>
  %e = tensor.empty(%n) : tensor<?x4xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(t, d) -> (t, d)>, affine_map<(t, d) -> (d)>, affine_map<(t, d) -> (t, d)>],
      iterator_types = ["parallel", "parallel"]} ins(%x, %w : tensor<?x4xf32>, tensor<4xf32>) outs(%e : tensor<?x4xf32>) {
    ^bb0(%a: f32, %b: f32, %o: f32):
      %0 = arith.mulf %a, %b : f32
      linalg.yield %0 : f32
  } -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}
peer.gradient @scaled_grad of @scaled
