// RUN: %peer-pass %s --peer-differentiate --split-input-file | FileCheck %s

// The routing ops: selection passes on the gradient of its values alone; the pool's gradient goes through sorted pairs.
// CHECK-LABEL: func.func @peer_grad(
// CHECK-SAME:    %[[X:[a-z0-9]+]]: tensor<?x16xf32>
// CHECK-SAME:    %[[Q:[a-z0-9]+]]: tensor<?x4x2x8xf32>
// CHECK-SAME:    %[[KEYS:[a-z0-9]+]]: tensor<4x2x32x8xf32>
// CHECK-SAME:    %[[POOL:[a-z0-9]+]]: tensor<1024x2x16xbf16>
// CHECK-SAME:    %[[DY:[a-z0-9]+]]: tensor<?x16xf32>
// CHECK-SAME:    tensor<1024x2x16xf32> {peer.name = "dpool"}
// CHECK:         %[[S0:.*]], %[[S1:.*]] = peer.select
// CHECK:         %[[W:.*]] = peer.gate %[[S1]]
// CHECK:         %[[G0:.*]], %[[G1:.*]], %[[G2:.*]] = peer.mix_grad %[[X]], %[[S0]], %[[W]], %[[POOL]], %[[DY]]  gelu
// CHECK:         %[[P0:.*]], %[[P1:.*]], %[[P2:.*]] = peer.sort_pairs %[[S0]] experts 1024
// CHECK:         %[[DPOOL:.*]] = peer.pool_grad %[[S0]], %[[P0]], %[[P1]], %[[P2]], %[[G2]], %[[X]], %[[DY]] {rows = 1024 : i64}
// CHECK:         %[[DVAL:.*]] = peer.gate_grad %[[S1]], %[[W]], %[[G1]]  softmax
// CHECK:         %[[DL:.*]] = peer.select_grad %[[S0]], %[[DVAL]]  product_topk<3> n 32
// CHECK:         %[[DQ:.*]] = peer.score_query_grad %[[DL]], %[[KEYS]]
// CHECK:         %[[DK:.*]] = peer.score_key_grad %[[DL]], %[[Q]]
// CHECK-NOT:     shared
// CHECK:         return %[[G0]], %[[DQ]], %[[DK]], %[[DPOOL]]
func.func @peer(%x: tensor<?x16xf32>, %q: tensor<?x4x2x8xf32>, %keys: tensor<4x2x32x8xf32>,
                %pool: tensor<1024x2x16xbf16> {peer.name = "pool"}) -> tensor<?x16xf32> {
  %s = peer.score %q, %keys : tensor<?x4x2x8xf32>, tensor<4x2x32x8xf32>
  %i, %v = peer.select %s product_topk<3> : tensor<?x4x2x32xf32>
  %w = peer.gate %v softmax : tensor<?x4x3xf32>
  %y = peer.mix %x, %i, %w, %pool gelu : tensor<?x16xf32>, tensor<?x4x3xi32>, tensor<?x4x3xf32>, tensor<1024x2x16xbf16>
  return %y : tensor<?x16xf32>
}
peer.gradient @peer_grad of @peer

// -----

// Keys that all heads share have one gradient; a gate of one passes nothing on, so nothing but the pool is reached.
// CHECK-LABEL: func.func @shared_grad(
// CHECK:         peer.score_key_grad %{{.*}}, %{{.*}} shared
// CHECK-LABEL: func.func @one_grad(
// CHECK-NOT:     peer.gate_grad
// CHECK:         peer.sort_pairs %{{.*}} experts 16
// CHECK-NOT:     peer.score_key_grad
// CHECK:         %[[ZERO:.*]] = arith.constant dense<0.000000e+00> : tensor<1x1x16x8xf32>
// CHECK:         return %[[ZERO]],
func.func @shared(%q: tensor<?x4x1x8xf32>, %keys: tensor<1x1x16x8xf32>) -> tensor<?x4x2xf32> {
  %s = peer.score %q, %keys : tensor<?x4x1x8xf32>, tensor<1x1x16x8xf32>
  %i, %v = peer.select %s topk<2> : tensor<?x4x1x16xf32>
  return %v : tensor<?x4x2xf32>
}
peer.gradient @shared_grad of @shared
func.func @one(%x: tensor<?x16xf32>, %q: tensor<?x4x1x8xf32>, %keys: tensor<1x1x16x8xf32>, %pool: tensor<32x3x16xf32>) -> tensor<?x16xf32> {
  %s = peer.score %q, %keys : tensor<?x4x1x8xf32>, tensor<1x1x16x8xf32>
  %i, %v = peer.select %s topk<2> : tensor<?x4x1x16xf32>
  %w = peer.gate %v one : tensor<?x4x2xf32>
  %y = peer.mix %x, %i, %w, %pool silu {rows_per_expert = 2}
      : tensor<?x16xf32>, tensor<?x4x2xi32>, tensor<?x4x2xf32>, tensor<32x3x16xf32>
  return %y : tensor<?x16xf32>
}
peer.gradient @one_grad of @one wrt [2, 3]

// -----

// A language model's other ops, from the loss back to the table; integers carry no gradient.
// CHECK-LABEL: func.func @lm_grad(
// CHECK-SAME:    %[[TOK:[a-z0-9]+]]: tensor<?xi32>
// CHECK-SAME:    %[[TGT:[a-z0-9]+]]: tensor<?xi32>
// CHECK-SAME:    %[[TABLE:[a-z0-9]+]]: tensor<50x8xf32>
// CHECK-SAME:    %[[DL:[a-z0-9]+]]: tensor<f32>
// CHECK-SAME:    -> (tensor<50x8xf32> {peer.name = "darg2"})
// CHECK-SAME:    peer.multiple_of = 16 : i64
// CHECK:         %[[E:.*]] = peer.embedding
// CHECK:         %[[R:.*]] = peer.rotary %[[E]]
// CHECK:         %[[A:.*]] = peer.attention %[[R]], %[[R]], %[[E]]
// CHECK:         %[[H:.*]] = peer.activation %[[A]]
// CHECK:         %[[L:.*]] = peer.cross_entropy %[[LOGITS:.*]], %[[TGT]]
// CHECK:         %[[DM:.*]] = peer.mean_grad %[[L]], %[[DL]]
// CHECK:         %[[DC:.*]] = peer.cross_entropy_grad %[[LOGITS]], %[[TGT]], %[[DM]]
// CHECK:         %[[DH:.*]] = peer.linear %[[DC]], %[[TABLE]] :
// CHECK:         %[[DT1:.*]] = peer.linear %[[DC]], %[[H]] {transpose_x}
// CHECK:         %[[DA:.*]] = peer.activation_grad %[[A]], %[[DH]]  silu
// CHECK:         %[[D0:.*]], %[[D1:.*]], %[[D2:.*]] = peer.attention_grad %[[R]], %[[R]], %[[E]], %[[DA]]
// CHECK:         %[[DR:.*]] = arith.addf %[[D0]], %[[D1]]
// CHECK:         %[[DE0:.*]] = peer.rotary %[[DR]] heads 2 context 16 {inverse}
// CHECK:         %[[DE:.*]] = arith.addf %[[D2]], %[[DE0]]
// CHECK:         %[[DT2:.*]] = peer.embedding_grad %[[TOK]], %[[DE]] {rows = 50 : i64}
// CHECK:         %[[DT:.*]] = arith.addf %[[DT1]], %[[DT2]]
// CHECK:         return %[[DT]]
func.func @lm(%tokens: tensor<?xi32>, %targets: tensor<?xi32>, %table: tensor<50x8xf32>) -> tensor<f32> {
  %e = peer.embedding %tokens, %table : tensor<?xi32>, tensor<50x8xf32>
  %r = peer.rotary %e heads 2 context 16 : tensor<?x8xf32>
  %a = peer.attention %r, %r, %e heads 2 context 16 : tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>
  %h = peer.activation %a silu : tensor<?x8xf32>
  %logits = peer.linear %h, %table {transpose_weight} : tensor<?x8xf32>, tensor<50x8xf32>
  %l = peer.cross_entropy %logits, %targets : tensor<?x50xf32>, tensor<?xi32>
  %m = peer.mean %l : tensor<?xf32>
  return %m : tensor<f32>
}
peer.gradient @lm_grad of @lm

// -----

// A probability is over all logits: they get a gradient of their own, beside that of the selected.
// CHECK-LABEL: func.func @probability_grad(
// CHECK-SAME:    %[[S:[a-z0-9]+]]: tensor<?x1x2x16xf32>
// CHECK-SAME:    %[[DW:[a-z0-9]+]]: tensor<?x1x4xf32>
// CHECK:         %[[I:.*]], %[[V:.*]] = peer.select %[[S]]
// CHECK:         %[[W:.*]] = peer.probability %[[V]], %[[S]]
// CHECK-DAG:     %[[DV:.*]] = arith.mulf %[[W]], %[[DW]]
// CHECK-DAG:     %[[ALL:.*]] = peer.probability_grad %[[S]], %[[W]], %[[DW]]
// CHECK-DAG:     %[[SELECTED:.*]] = peer.select_grad %[[I]], %[[DV]]
// CHECK:         %[[DS:.*]] = arith.addf
// CHECK:         return %[[DS]]
func.func @probability(%s: tensor<?x1x2x16xf32>) -> tensor<?x1x4xf32> {
  %i, %v = peer.select %s product_topk<4> : tensor<?x1x2x16xf32>
  %w = peer.probability %v, %s : tensor<?x1x4xf32>, tensor<?x1x2x16xf32>
  return %w : tensor<?x1x4xf32>
}
peer.gradient @probability_grad of @probability

// -----

// Losses of all logits: counts pass nothing on, their probabilities do.
// CHECK-LABEL: func.func @balance_grad(
// CHECK:         %[[F:.*]] = peer.expert_load %{{.*}} keys 8
// CHECK:         %[[DZ:.*]] = peer.z_loss_grad %{{.*}}, %[[D:.*]] :
// CHECK:         %[[DB:.*]] = peer.balance_loss_grad %{{.*}}, %[[F]], %[[D]] :
// CHECK:         %[[DS:.*]] = arith.addf %{{.*}}, %{{.*}} : tensor<?x1x1x8xf32>
// CHECK-NOT:     peer.select_grad
// CHECK:         return
func.func @balance(%q: tensor<?x1x1x4xf32>) -> tensor<?xf32> {
  %k = peer.param "keys" normal(0.5) : tensor<1x1x8x4xf32>
  %s = peer.score %q, %k : tensor<?x1x1x4xf32>, tensor<1x1x8x4xf32>
  %i, %v = peer.select %s topk<2> : tensor<?x1x1x8xf32>
  %f = peer.expert_load %i keys 8 : tensor<?x1x2xi32>
  %b = peer.balance_loss %s, %f : tensor<?x1x1x8xf32>, tensor<1x8xf32>
  %z = peer.z_loss %s : tensor<?x1x1x8xf32>
  %l = arith.addf %b, %z : tensor<?xf32>
  return %l : tensor<?xf32>
}
peer.gradient @balance_grad of @balance

// -----

// Weights that are kept have a gradient, those that are dropped have none.
// CHECK-LABEL: func.func @capacity_grad(
// CHECK:         %[[KEPT:.*]], %{{.*}} = peer.capacity
// CHECK:         %[[DW:.*]] = linalg.generic {{.*}} ins(%[[KEPT]], %{{.*}} : tensor<?x1x2xi32>, tensor<?x1x2xf32>)
// CHECK:           arith.cmpi sge
// CHECK:           arith.select
// CHECK:         peer.select_grad %{{.*}}, %[[DW]]
func.func @capacity(%q: tensor<?x1x1x4xf32>) -> tensor<?x1x2xf32> {
  %k = peer.param "keys" normal(0.5) : tensor<1x1x8x4xf32>
  %s = peer.score %q, %k : tensor<?x1x1x4xf32>, tensor<1x1x8x4xf32>
  %i, %v = peer.select %s topk<2> : tensor<?x1x1x8xf32>
  %j, %w = peer.capacity %i, %v experts 8 factor 1.0 by token : tensor<?x1x2xi32>, tensor<?x1x2xf32>
  return %w : tensor<?x1x2xf32>
}
peer.gradient @capacity_grad of @capacity
