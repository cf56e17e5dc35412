// RUN: %peer-pass %s --split-input-file --pass-pipeline='builtin.module(func.func(peer-guard-indices))' | FileCheck %s

// An index that nothing bounds is clamped, and what that changed is counted into one more result.
// CHECK-LABEL: func.func @computed(
// CHECK-SAME:    -> (tensor<?x4xf32> {peer.name = "y"}, tensor<f32> {peer.check = {range = [0, 8], what = "peer.embedding (peer-guard-indices.mlir:{{[0-9]+}}:8)"}, peer.name = "check.0"})
// CHECK:         %[[U:.*]] = arith.addi %{{.*}}, %{{.*}} : tensor<?xi32>
// CHECK:         %[[G:.*]]:2 = linalg.generic {{.*}} ins(%[[U]] : tensor<?xi32>)
// CHECK:           arith.maxsi
// CHECK:           arith.minsi
// CHECK:           arith.cmpi ne
// CHECK:         %[[N:.*]] = peer.sum_squares %[[G]]#1
// CHECK:         %[[Y:.*]] = peer.embedding %[[G]]#0
// CHECK:         return %[[Y]], %[[N]]
func.func @computed(%t: tensor<?xi32>, %e: tensor<8x4xf32>) -> (tensor<?x4xf32> {peer.name = "y"}) {
  %u = arith.addi %t, %t : tensor<?xi32>
  %y = peer.embedding %u, %e : tensor<?xi32>, tensor<8x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

// What follows from the argument's range, arithmetic, shapes, constants and selections needs no guard.
// CHECK-LABEL: func.func @proven(
// CHECK-NOT:     linalg.generic
// CHECK-NOT:     peer.check
// CHECK:         return
func.func @proven(%t: tensor<?xi32> {peer.range = [0, 4]}, %s: tensor<?x1x1x16xf32>, %x: tensor<?x4xf32>, %w: tensor<?x1x2xf32>,
                  %e: tensor<8x4xf32>, %pool: tensor<16x1x4xf32>)
    -> (tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>, tensor<3x4xf32>) {
  %u = arith.addi %t, %t : tensor<?xi32>
  %y0 = peer.embedding %u, %e : tensor<?xi32>, tensor<8x4xf32>
  %r0 = peer.reshape %t to tensor<?x1xi32> : tensor<?xi32>
  %r1 = peer.reshape %r0 to tensor<?xi32> : tensor<?x1xi32>
  %y1 = peer.embedding %r1, %e : tensor<?xi32>, tensor<8x4xf32>
  %i, %v = peer.select %s topk<2> : tensor<?x1x1x16xf32>
  %y2 = peer.mix %x, %i, %w, %pool gelu : tensor<?x4xf32>, tensor<?x1x2xi32>, tensor<?x1x2xf32>, tensor<16x1x4xf32>
  %c = arith.constant dense<[7, 0, 3]> : tensor<3xi32>
  %y3 = peer.embedding %c, %e : tensor<3xi32>, tensor<8x4xf32>
  return %y0, %y1, %y2, %y3 : tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>, tensor<3x4xf32>
}

// -----

// t + t wraps for a t of 2^30: a range that may overflow says nothing.
// CHECK-LABEL: func.func @wraps(
// CHECK:         linalg.generic
func.func @wraps(%t: tensor<?xi32> {peer.range = [0, 1073741825]}, %e: tensor<2147483647x1xf32>) -> tensor<?x1xf32> {
  %u = arith.addi %t, %t : tensor<?xi32>
  %y = peer.embedding %u, %e : tensor<?xi32>, tensor<2147483647x1xf32>
  return %y : tensor<?x1xf32>
}

// -----

// Every op that takes indices is asked for its range; those that want the same of one index share a guard. -1 means that
// nothing was selected.
// CHECK-LABEL: func.func @pool(
// CHECK-SAME:    peer.check = {range = [-1, 4], what = "peer.mix
// CHECK-NOT:     peer.check
// CHECK:         %[[G:.*]]:2 = linalg.generic
// CHECK:         arith.constant -1 : i32
// CHECK:         peer.mix %{{.*}}, %[[G]]#0
// CHECK:         %[[MG0:.*]], %[[MG1:.*]], %[[MG2:.*]] = peer.mix_grad %{{.*}}, %[[G]]#0
// CHECK:         %[[S0:.*]], %[[S1:.*]], %[[S2:.*]] = peer.sort_pairs %[[G]]#0
// CHECK:         peer.pool_grad_norm %[[G]]#0, %[[S0]]
// CHECK:         peer.usage %[[G]]#0
// CHECK:         %[[ROOT:.*]] = math.sqrt
// CHECK:         %[[VETOED:.*]] = arith.addf %{{.*}}, %[[ROOT]]
// CHECK:         peer.row_update %{{.*}}, %[[G]]#0, {{.*}}, %[[VETOED]] {
func.func @pool(%x: tensor<?x4xf32>, %i: tensor<?x1x2xi32>, %w: tensor<?x1x2xf32>, %p: tensor<4x1x4xf32>, %m: tensor<4xf32>,
                %lr: tensor<f32>, %step: tensor<f32>, %scale: tensor<f32>)
    -> (tensor<?x4xf32>, tensor<f32>, tensor<4xf32>, tensor<4x1x4xf32>) {
  %j = arith.subi %i, %i : tensor<?x1x2xi32>
  %k = arith.ori %j, %i : tensor<?x1x2xi32>
  %y = peer.mix %x, %k, %w, %p gelu : tensor<?x4xf32>, tensor<?x1x2xi32>, tensor<?x1x2xf32>, tensor<4x1x4xf32>
  %dx, %dw, %coef = peer.mix_grad %x, %k, %w, %p, %x gelu : tensor<?x4xf32>, tensor<?x1x2xi32>, tensor<?x1x2xf32>, tensor<4x1x4xf32>, tensor<?x4xf32>
  %o, %s, %c = peer.sort_pairs %k experts 4 : tensor<?x1x2xi32>
  %n = peer.pool_grad_norm %k, %o, %s, %c, %coef, %x, %x : tensor<?x1x2xi32>, tensor<?xi32>, tensor<?xi32>, tensor<2xi32>, tensor<?x1x2x1x1xf32>, tensor<?x4xf32>, tensor<?x4xf32>
  %u = peer.usage %k, %w, %m : tensor<?x1x2xi32>, tensor<?x1x2xf32>, tensor<4xf32>
  %q = peer.row_update %p, %k, %o, %s, %c, %coef, %x, %x, %lr, %step, %scale {optimizer = #peer.sgd}
      : tensor<4x1x4xf32>, tensor<?x1x2xi32>, tensor<?xi32>, tensor<?xi32>, tensor<2xi32>, tensor<?x1x2x1x1xf32>, tensor<?x4xf32>, tensor<?x4xf32>, tensor<f32>, tensor<f32>, tensor<f32>
  return %y, %n, %u, %q : tensor<?x4xf32>, tensor<f32>, tensor<4xf32>, tensor<4x1x4xf32>
}

// -----

// A position is one number: its own count.
// CHECK-LABEL: func.func @position(
// CHECK:         %[[G:.*]]:2 = linalg.generic
// CHECK:         peer.cached_attention {{.*}}, %[[G]]#0
// CHECK:         return %{{.*}}, %[[G]]#1
func.func @position(%x: tensor<1x4xf32>, %k: tensor<8x4xf32>, %v: tensor<8x4xf32>, %at: tensor<i32>) -> tensor<1x4xf32> {
  %p = arith.addi %at, %at : tensor<i32>
  %y:3 = peer.cached_attention %x, %x, %x, %k, %v, %p {heads = 1}
      : tensor<1x4xf32>, tensor<1x4xf32>, tensor<1x4xf32>, tensor<8x4xf32>, tensor<8x4xf32>, tensor<i32>
  return %y#0 : tensor<1x4xf32>
}

// -----

// A policy that may leave slots empty says so: experts are proven, -1 is no row of a table.
// CHECK-LABEL: func.func @empty_slots(
// CHECK-SAME:    peer.check = {range = [0, 16], what = "peer.embedding
// CHECK-NOT:     peer.check
// CHECK:         %[[I:.*]], %{{.*}} = peer.select
// CHECK-NEXT:    peer.mix %{{.*}}, %[[I]],
func.func @empty_slots(%s: tensor<?x1x1x16xf32>, %x: tensor<?x4xf32>, %w: tensor<?x1x2xf32>, %pool: tensor<16x1x4xf32>,
                       %e: tensor<16x4xf32>) -> (tensor<?x4xf32>, tensor<?x4xf32>) {
  %i, %v = peer.select %s top_p<0.9, max = 2> : tensor<?x1x1x16xf32>
  %y = peer.mix %x, %i, %w, %pool : tensor<?x4xf32>, tensor<?x1x2xi32>, tensor<?x1x2xf32>, tensor<16x1x4xf32>
  %r = peer.reshape %i to tensor<?xi32> : tensor<?x1x2xi32>
  %z = peer.embedding %r, %e : tensor<?xi32>, tensor<16x4xf32>
  return %y, %z : tensor<?x4xf32>, tensor<?x4xf32>
}

// -----

// So does one whose experts choose tokens; a hash leaves none empty.
// CHECK-LABEL: func.func @chosen_and_hashed(
// CHECK-SAME:    peer.check = {range = [0, 16], what = "peer.embedding
// CHECK-NOT:     peer.check
// CHECK:         %[[I:.*]], %{{.*}} = peer.select
// CHECK-NEXT:    peer.mix %{{.*}}, %[[I]],
// CHECK:         %[[H:.*]], %{{.*}} = peer.hash
// CHECK-NEXT:    peer.mix %{{.*}}, %[[H]],
func.func @chosen_and_hashed(%s: tensor<?x1x1x16xf32>, %t: tensor<?xi32>, %x: tensor<?x4xf32>, %w: tensor<?x1x16xf32>, %pool: tensor<16x1x4xf32>,
                             %e: tensor<16x4xf32>) -> (tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>) {
  %i, %v = peer.select %s expert_choice<2.0> : tensor<?x1x1x16xf32>
  %y = peer.mix %x, %i, %w, %pool : tensor<?x4xf32>, tensor<?x1x16xi32>, tensor<?x1x16xf32>, tensor<16x1x4xf32>
  %h, %one = peer.hash %t experts 16 : tensor<?xi32>
  %z = peer.mix %x, %h, %one, %pool : tensor<?x4xf32>, tensor<?x1x1xi32>, tensor<?x1x1xf32>, tensor<16x1x4xf32>
  %r = peer.reshape %h to tensor<?xi32> : tensor<?x1x1xi32>
  %a = peer.embedding %r, %e : tensor<?xi32>, tensor<16x4xf32>
  %q = peer.reshape %i to tensor<?xi32> : tensor<?x1x16xi32>
  %b = peer.embedding %q, %e : tensor<?xi32>, tensor<16x4xf32>
  return %y, %z, %a, %b : tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>
}
