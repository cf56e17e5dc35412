// A byte-level language model with a mixture of a few large experts (as in Mixtral, arXiv 2401.04088): 8 SwiGLU networks of
// 256 hidden units, of which a router picks 2 per token. A large expert is many rows of the pool: rows_per_expert says how many.

!act = tensor<?x64xf32>  !ids = tensor<?xi32>  !logits = tensor<?x256xf32>  !vec = tensor<64xf32>  !mat = tensor<64x64xf32>
!head = tensor<64x256xf32>  !router = tensor<1x1x8x64xf32>  !pool = tensor<2048x3x64xf32>

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

func.func private @moe_block(%x0: !act) -> !act {
  %x  = peer.call "" @attention(%x0) : (!act) -> !act
  %g  = peer.param "ffw_norm.weight" ones : !vec             %n  = peer.rms_norm %x, %g : !act, !vec
  // A router is a score with one head and one half: the token itself is the query, each expert has one key.
  %q  = peer.reshape %n to tensor<?x1x1x64xf32> : !act
  %c  = peer.param "ffw.router" normal(0.05) : !router       %s  = peer.score %q, %c : tensor<?x1x1x64xf32>, !router
  %i, %v = peer.select %s topk<2> : tensor<?x1x1x8xf32>      %w  = peer.gate %v softmax : tensor<?x1x2xf32>
  // 2048 rows of F = 3 vectors (g, u, v) are 8 experts of 256 rows: o = sum of w * silu(g . n) * (u . n) * v.
  %p  = peer.param "ffw.experts" normal(0.05) group("experts") : !pool
  %o  = peer.mix %n, %i, %w, %p silu {rows_per_expert = 256} : !act, tensor<?x1x2xi32>, tensor<?x1x2xf32>, !pool
  %y  = arith.addf %x, %o : !act
  return %y : !act
}

func.func @logits(%tokens: !ids {peer.name = "tokens"}) -> (!logits {peer.name = "logits"}) {
  %e  = peer.param "token_embedding.weight" normal(0.05) : tensor<256x64xf32>  %x0 = peer.embedding %tokens, %e : !ids, tensor<256x64xf32>
  %x2 = peer.repeat "blocks" 2 @moe_block(%x0) : !act
  %g  = peer.param "final_norm.weight" ones : !vec           %n  = peer.rms_norm %x2, %g : !act, !vec
  %wh = peer.param "head.weight" normal(0.05) : !head        %y  = peer.linear %n, %wh : !act, !head
  return %y : !logits
}

func.func @loss(%tokens: !ids {peer.name = "tokens"}, %targets: !ids {peer.name = "targets"}) -> (tensor<f32> {peer.name = "loss"}) {
  %y  = peer.call "" @logits(%tokens) : (!ids) -> !logits
  %l  = peer.cross_entropy %y, %targets : !logits, !ids      %m  = peer.mean %l : tensor<?xf32>
  return %m : tensor<f32>
}

// Every step uses every expert somewhere, so there is nothing for a lazy optimizer to leave out.
peer.train @train_step of @loss {optimizer = #peer.adamw<learning_rate = 2.0e-3, weight_decay = 0.01, clip_norm = 1.0>}
peer.decode @decode prefill @prefill of @logits
