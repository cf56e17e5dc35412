// A byte-level language model whose second block has two routed sub-layers, one after the other: 4,096 tiny experts found by
// product keys, then 4 large ones behind a router. Each has a pool, an optimizer group and a learning rate of its own.

!act = tensor<?x64xf32>  !hid = tensor<?x256xf32>  !ids = tensor<?xi32>  !logits = tensor<?x256xf32>  !vec = tensor<64xf32>
!mat = tensor<64x64xf32>  !up = tensor<64x256xf32>
!keys = tensor<4x2x64x32xf32>  !tiny = tensor<4096x2x64xf32>  !router = tensor<1x1x4x64xf32>  !large = tensor<256x3x64xf32>

func.func private @attention(%x: !act) -> !act {
  %g  = peer.param "attention_norm.weight" ones : !vec            %n  = peer.rms_norm %x, %g : !act, !vec
  %wq = peer.param "attention.query.weight" normal(0.05) : !mat   %q0 = peer.linear %n, %wq : !act, !mat
  %wk = peer.param "attention.key.weight" normal(0.05) : !mat     %k0 = peer.linear %n, %wk : !act, !mat
  %wv = peer.param "attention.value.weight" normal(0.05) : !mat   %v  = peer.linear %n, %wv : !act, !mat
  %q  = peer.rotary %q0 heads 4 context 64 : !act                 %k  = peer.rotary %k0 heads 4 context 64 : !act
  %a  = peer.attention %q, %k, %v heads 4 context 64 : !act, !act, !act
  %wo = peer.param "attention.output.weight" normal(0.02) : !mat  %o  = peer.linear %a, %wo : !act, !mat
  %y  = arith.addf %x, %o : !act
  return %y : !act
}

func.func private @tiny_experts(%x: !act) -> !act {
  %g  = peer.param "norm.weight" ones : !vec                %n  = peer.rms_norm %x, %g : !act, !vec
  %wq = peer.param "query.weight" normal(0.05) : !up        %q0 = peer.linear %n, %wq : !act, !up
  %q  = peer.reshape %q0 to tensor<?x4x2x32xf32> : !hid
  %c  = peer.param "keys" normal(0.05) : !keys              %s  = peer.score %q, %c : tensor<?x4x2x32xf32>, !keys
  %i, %v = peer.select %s product_topk<8> : tensor<?x4x2x64xf32>   %w = peer.gate %v softmax : tensor<?x4x8xf32>
  %p  = peer.param "experts" normal(0.05) group("tiny") : !tiny
  %o  = peer.mix %n, %i, %w, %p gelu : !act, tensor<?x4x8xi32>, tensor<?x4x8xf32>, !tiny
  %y  = arith.addf %x, %o : !act
  return %y : !act
}

// Sigmoid gates: each of the two chosen experts has its say whatever the other scores.
func.func private @large_experts(%x: !act) -> !act {
  %g  = peer.param "norm.weight" ones : !vec                %n  = peer.rms_norm %x, %g : !act, !vec
  %q  = peer.reshape %n to tensor<?x1x1x64xf32> : !act
  %c  = peer.param "router" normal(0.05) : !router          %s  = peer.score %q, %c : tensor<?x1x1x64xf32>, !router
  %i, %v = peer.select %s topk<2> : tensor<?x1x1x4xf32>     %w  = peer.gate %v sigmoid : tensor<?x1x2xf32>
  %p  = peer.param "experts" normal(0.05) group("large") : !large
  %o  = peer.mix %n, %i, %w, %p silu {rows_per_expert = 64} : !act, tensor<?x1x2xi32>, tensor<?x1x2xf32>, !large
  %y  = arith.addf %x, %o : !act
  return %y : !act
}

func.func private @routed_block(%x: !act) -> !act {
  %a  = peer.call "" @attention(%x) : (!act) -> !act
  %b  = peer.call "tiny" @tiny_experts(%a) : (!act) -> !act
  %y  = peer.call "large" @large_experts(%b) : (!act) -> !act
  return %y : !act
}

func.func @logits(%tokens: !ids {peer.name = "tokens"}) -> (!logits {peer.name = "logits"}) {
  %e  = peer.param "token_embedding.weight" normal(0.05) : tensor<256x64xf32>  %x0 = peer.embedding %tokens, %e : !ids, tensor<256x64xf32>
  %x1 = peer.call "blocks.0" @attention(%x0) : (!act) -> !act
  %x2 = peer.call "blocks.1" @routed_block(%x1) : (!act) -> !act
  %g  = peer.param "final_norm.weight" ones : !vec          %n  = peer.rms_norm %x2, %g : !act, !vec
  %wh = peer.param "head.weight" normal(0.05) : !up         %y  = peer.linear %n, %wh : !act, !up
  return %y : !logits
}

func.func @loss(%tokens: !ids {peer.name = "tokens"}, %targets: !ids {peer.name = "targets"}) -> (tensor<f32> {peer.name = "loss"}) {
  %y  = peer.call "" @logits(%tokens) : (!ids) -> !logits
  %l  = peer.cross_entropy %y, %targets : !logits, !ids     %m  = peer.mean %l : tensor<?xf32>
  return %m : tensor<f32>
}

peer.train @train_step of @loss {optimizer = #peer.adamw<learning_rate = 2.0e-3, weight_decay = 0.01, clip_norm = 1.0>,
                                 groups = {large = #peer.adamw<learning_rate = 1.0e-3, clip_norm = 1.0>,
                                           tiny = #peer.adamw<learning_rate = 4.0e-3, clip_norm = 1.0, lazy = true>}}
peer.decode @decode prefill @prefill of @logits
