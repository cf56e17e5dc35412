// A byte-level language model whose two PEER layers share one pool of 4,096 experts: each layer finds its own way there, by
// queries and keys of its own. What is shared is declared once and handed to the blocks as an argument.

!act = tensor<?x64xf32>  !ids = tensor<?xi32>  !logits = tensor<?x256xf32>  !vec = tensor<64xf32>  !mat = tensor<64x64xf32>
!wide = tensor<64x256xf32>  !keys = tensor<4x2x64x32xf32>  !pool = tensor<4096x2x64xf32>

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

func.func private @peer_block(%x0: !act, %experts: !pool) -> !act {
  %x  = peer.call "" @attention(%x0) : (!act) -> !act
  %g  = peer.param "ffw_norm.weight" ones : !vec            %n  = peer.rms_norm %x, %g : !act, !vec
  // 4 heads, each with a query of two halves of 32 numbers.
  %wq = peer.param "ffw.query.weight" normal(0.05) : !wide  %q0 = peer.linear %n, %wq : !act, !wide
  %q  = peer.reshape %q0 to tensor<?x4x2x32xf32> : tensor<?x256xf32>
  %c  = peer.param "ffw.keys" normal(0.05) : !keys          %s  = peer.score %q, %c : tensor<?x4x2x32xf32>, !keys
  %i, %v = peer.select %s product_topk<8> : tensor<?x4x2x64xf32>   %w = peer.gate %v softmax : tensor<?x4x8xf32>
  %o  = peer.mix %n, %i, %w, %experts gelu : !act, tensor<?x4x8xi32>, tensor<?x4x8xf32>, !pool
  %y  = arith.addf %x, %o : !act
  return %y : !act
}

func.func @logits(%tokens: !ids {peer.name = "tokens"}) -> (!logits {peer.name = "logits"}) {
  %e  = peer.param "token_embedding.weight" normal(0.05) : tensor<256x64xf32>  %x0 = peer.embedding %tokens, %e : !ids, tensor<256x64xf32>
  // 64 keys per half number 64 * 64 experts, for both layers the same.
  %p  = peer.param "experts" normal(0.05) group("experts") : !pool
  %x1 = peer.call "blocks.0" @peer_block(%x0, %p) : (!act, !pool) -> !act
  %x2 = peer.call "blocks.1" @peer_block(%x1, %p) : (!act, !pool) -> !act
  %g  = peer.param "final_norm.weight" ones : !vec          %n  = peer.rms_norm %x2, %g : !act, !vec
  %wh = peer.param "head.weight" normal(0.05) : !wide       %y  = peer.linear %n, %wh : !act, !wide
  return %y : !logits
}

func.func @loss(%tokens: !ids {peer.name = "tokens"}, %targets: !ids {peer.name = "targets"}) -> (tensor<f32> {peer.name = "loss"}) {
  %y  = peer.call "" @logits(%tokens) : (!ids) -> !logits
  %l  = peer.cross_entropy %y, %targets : !logits, !ids     %m  = peer.mean %l : tensor<?xf32>
  return %m : tensor<f32>
}

// The pairs of both layers are one list: a row that both used moves once, by the sum of its gradients.
peer.train @train_step of @loss {optimizer = #peer.adamw<learning_rate = 2.0e-3, weight_decay = 0.01, clip_norm = 1.0>,
                                 groups = {experts = #peer.adamw<learning_rate = 4.0e-3, beta1 = 0.0, clip_norm = 1.0, lazy = true>}}
peer.decode @decode prefill @prefill of @logits
