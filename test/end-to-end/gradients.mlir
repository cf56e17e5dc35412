// The derived gradient of every differentiable op, all the way through compiled code, against finite differences.
// RUN: rm -rf %t && mkdir -p %t
// RUN: peer-opt %s --internal-ops --target=cpu -o %t/model.peer
// RUN: peer-run init %t/model.peer --seed 3 --out %t/weights.safetensors
// RUN: %python %S/inputs/finite_differences.py %t | FileCheck %s
// CHECK: 26 gradients agree with finite differences

!act = tensor<?x16xf32>  !mat = tensor<16x16xf32>  !vec = tensor<16xf32>

// Weights are drawn wide, so that no gradient drowns in the rounding of f32.
func.func private @attention(%x: !act) -> !act {
  %g  = peer.param "norm.weight" uniform(0.5, 1.5) : !vec  %n  = peer.rms_norm %x, %g : !act, !vec
  %wq = peer.param "query" normal(0.3) : !mat              %q0 = peer.linear %n, %wq : !act, !mat
  %wk = peer.param "key" normal(0.3) : !mat                %k0 = peer.linear %n, %wk {transpose_weight} : !act, !mat
  %wv = peer.param "value" normal(0.3) : !mat              %v  = peer.linear %n, %wv : !act, !mat
  %q  = peer.rotary %q0 heads 2 context 4 : !act           %k  = peer.rotary %k0 heads 2 context 4 : !act
  %a  = peer.attention %q, %k, %v heads 2 context 4 : !act, !act, !act
  %y  = arith.addf %x, %a : !act
  return %y : !act
}

func.func private @dense_block(%x: !act) -> !act {
  %a  = peer.call "attention" @attention(%x) : (!act) -> !act
  %g  = peer.param "norm.weight" uniform(0.5, 1.5) : !vec
  %b  = peer.param "norm.bias" normal(0.3) : !vec          %n  = peer.layer_norm %a, %g, %b : !act, !vec, !vec
  %w1 = peer.param "up" normal(0.3) : tensor<16x32xf32>    %h0 = peer.linear %n, %w1 : !act, tensor<16x32xf32>
  %h1 = peer.activation %h0 gelu : tensor<?x32xf32>        %h  = arith.mulf %h1, %h0 : tensor<?x32xf32>
  %w2 = peer.param "down" normal(0.3) : tensor<32x16xf32>  %o  = peer.linear %h, %w2 : tensor<?x32xf32>, tensor<32x16xf32>
  %y  = arith.subf %a, %o : !act
  return %y : !act
}

// Product keys, with a query norm in each of its modes.
func.func private @peer_block(%x: !act) -> !act {
  %wq = peer.param "query" normal(0.3) : tensor<16x32xf32> %q0 = peer.linear %x, %wq : !act, tensor<16x32xf32>
  %q1 = peer.reshape %q0 to !act : tensor<?x32xf32>
  %g  = peer.param "norm.weight" uniform(0.5, 1.5) : !vec
  %b  = peer.param "norm.bias" normal(0.3) : !vec
  %m  = peer.param "norm.running_mean" normal(0.3) buffer : !vec
  %r  = peer.param "norm.running_var" uniform(0.5, 1.5) buffer : !vec
  %batch:2 = peer.batch_stats %q1 : !act
  %q2 = peer.batch_norm %q1, %g, %b, %batch#0, %batch#1 {batch_statistics} : !act, !vec, !vec, !vec, !vec
  %q3 = peer.batch_norm %q2, %g, %b, %m, %r : !act, !vec, !vec, !vec, !vec
  %q  = peer.reshape %q3 to tensor<?x2x2x8xf32> : !act
  %c  = peer.param "keys" normal(0.5) : tensor<2x2x8x8xf32>
  %s  = peer.score %q, %c : tensor<?x2x2x8xf32>, tensor<2x2x8x8xf32>
  %i, %v = peer.select %s product_topk<4> : tensor<?x2x2x8xf32>
  %w  = peer.gate %v softmax : tensor<?x2x4xf32>
  %p  = peer.param "experts" normal(0.3) : tensor<64x2x16xf32>
  %y  = peer.mix %x, %i, %w, %p gelu : !act, tensor<?x2x4xi32>, tensor<?x2x4xf32>, tensor<64x2x16xf32>
  %z  = arith.addf %x, %y : !act
  return %z : !act
}

// Ordinary routers with shared keys: gated experts of four rows under sigmoid, and all of a table of values.
func.func private @router_block(%x: !act) -> !act {
  %wq = peer.param "query" normal(0.3) : !mat              %q0 = peer.linear %x, %wq : !act, !mat
  %q  = peer.reshape %q0 to tensor<?x2x1x8xf32> : !act
  %c  = peer.param "keys" normal(0.5) : tensor<1x1x6x8xf32>
  %s  = peer.score %q, %c : tensor<?x2x1x8xf32>, tensor<1x1x6x8xf32>
  %i, %v = peer.select %s topk<3> : tensor<?x2x1x6xf32>
  %w  = peer.gate %v sigmoid : tensor<?x2x3xf32>
  %p  = peer.param "experts" normal(0.3) : tensor<24x3x16xf32>
  %y  = peer.mix %x, %i, %w, %p silu {rows_per_expert = 4}
      : !act, tensor<?x2x3xi32>, tensor<?x2x3xf32>, tensor<24x3x16xf32>
  %j, %u = peer.select %s all : tensor<?x2x1x6xf32>
  %t  = peer.gate %u softmax : tensor<?x2x6xf32>
  %e  = peer.param "values" normal(0.3) : tensor<6x1x16xf32>
  %z  = peer.mix %x, %j, %t, %e relu : !act, tensor<?x2x6xi32>, tensor<?x2x6xf32>, tensor<6x1x16xf32>
  %a  = arith.addf %x, %y : !act
  %o  = arith.addf %a, %z : !act
  return %o : !act
}

func.func @loss(%tokens: tensor<?xi32> {peer.name = "tokens"}, %targets: tensor<?xi32> {peer.name = "targets"})
    -> (tensor<f32> {peer.name = "loss"}) {
  %e  = peer.param "table" normal(1.0) : tensor<20x16xf32>
  %x0 = peer.embedding %tokens, %e : tensor<?xi32>, tensor<20x16xf32>
  %x1 = peer.call "blocks.0" @dense_block(%x0) : (!act) -> !act
  %x2 = peer.call "blocks.1" @peer_block(%x1) : (!act) -> !act
  %x3 = peer.call "blocks.2" @router_block(%x2) : (!act) -> !act
  %x4 = peer.call "blocks.3" @dense_block(%x3) : (!act) -> !act
  %y  = peer.linear %x4, %e {transpose_weight} : !act, tensor<20x16xf32>
  %l  = peer.cross_entropy %y, %targets : tensor<?x20xf32>, tensor<?xi32>
  %m  = peer.mean %l : tensor<?xf32>
  return %m : tensor<f32>
}
peer.gradient @loss_grad of @loss
