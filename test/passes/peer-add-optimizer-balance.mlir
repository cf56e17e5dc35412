// RUN: %peer-pass %s --peer-inline-modules --peer-add-optimizer --split-input-file | FileCheck %s
// RUN: %peer-pass %s --peer-inline-modules --peer-add-optimizer=accumulate --split-input-file | FileCheck %s --check-prefix=PARTS

// The step moves the bias by the sign of what each expert's load is above an even one; a veto stops it. Scores and gates have gradients
// that know nothing of it.
// CHECK-LABEL: func.func @train_step(
// CHECK-SAME:    %[[BIAS:[a-z0-9]+]]: tensor<1x8xf32> {bufferization.writable = true, peer.name = "bias"
// CHECK:         %[[B:.*]] = peer.balance_bias %[[S:.*]], %[[BIAS]]
// CHECK:         %[[I:.*]], %{{.*}} = peer.select %[[B]] topk<2>
// CHECK:         peer.gather %[[S]], %[[I]]
// CHECK:         %[[LOAD:.*]] = peer.expert_load %[[I]] keys 8
// CHECK:         peer.select_grad %[[I]], %{{.*}} topk<2> n 8
// CHECK:         %[[EXCESS:.*]] = linalg.generic {{.*}} ins(%[[LOAD]] :
// CHECK:         %[[RATE:.*]] = arith.constant dense<2.500000e-01> : tensor<f32>
// CHECK:         %[[NEW:.*]] = peer.update %[[BIAS]], %[[EXCESS]], %[[RATE]], %{{.*}}, %{{.*}} {optimizer = #peer.sgd
// CHECK:         return {{.*}}%[[NEW]]

// Loads of parts add up to that of the batch.
// PARTS-LABEL: func.func @train_step_accumulate(
// PARTS-SAME:    peer.name = "bias.load.
// PARTS:         peer.expert_load
// PARTS-LABEL: func.func @train_step_update(
// PARTS-NOT:     peer.expert_load
// PARTS:         linalg.generic
// PARTS:         peer.update
func.func @loss(%x: tensor<?x1x1x4xf32>, %t: tensor<?xi32>) -> tensor<f32> {
  %k = peer.param "keys" normal(0.5) : tensor<1x1x8x4xf32>
  %c = peer.param "bias" zeros buffer : tensor<1x8xf32>
  %s = peer.score %x, %k : tensor<?x1x1x4xf32>, tensor<1x1x8x4xf32>
  %b = peer.balance_bias %s, %c {rate = 0.25 : f32} : tensor<?x1x1x8xf32>, tensor<1x8xf32>
  %i, %u = peer.select %b topk<2> : tensor<?x1x1x8xf32>
  %v = peer.gather %s, %i : tensor<?x1x1x8xf32>, tensor<?x1x2xi32>
  %w = peer.gate %v sigmoid : tensor<?x1x2xf32>
  %y = peer.reshape %w to tensor<?x2xf32> : tensor<?x1x2xf32>
  %l = peer.cross_entropy %y, %t : tensor<?x2xf32>, tensor<?xi32>
  %m = peer.mean %l : tensor<?xf32>
  return %m : tensor<f32>
}
peer.train @train_step of @loss {optimizer = #peer.sgd}
