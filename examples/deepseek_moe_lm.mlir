// A byte-level language model with a DeepSeekMoE layer (arXiv 2401.06066) in the middle one of three blocks, the trunk being that of tiny_peer_lm.mlir:
// a shared SwiGLU expert of 128 hidden units that all tokens have, beside 32 fine ones of 32, of which a token takes the 6 likeliest, weighted by
// their probabilities among all 32 as they are: about as many parameters as the dense layer. The paper's loss keeps experts in use;
// its loss over devices, which hold experts, has no meaning here.

!act = tensor<?x128xf32>  !hid = tensor<?x512xf32>  !ids = tensor<?xi32>  !logits = tensor<?x256xf32>  !vec = tensor<128xf32>
!mat = tensor<128x128xf32>  !up = tensor<128x512xf32>  !down = tensor<512x128xf32>  !table = tensor<256x128xf32>  !head = tensor<128x256xf32>
!router = tensor<1x1x32x128xf32>  !scores = tensor<?x1x1x32xf32>  !pool = tensor<1024x3x128xf32>  !idx = tensor<?x1x6xi32>  !w = tensor<?x1x6xf32>  !f = tensor<f32>

func.func private @attention(%x: !act) -> !act {
  %g  = peer.param "attention_norm.weight" ones : !vec            %n  = peer.rms_norm %x, %g : !act, !vec
  %wq = peer.param "attention.query.weight" normal(0.05) : !mat   %q0 = peer.linear %n, %wq : !act, !mat
  %wk = peer.param "attention.key.weight" normal(0.05) : !mat     %k0 = peer.linear %n, %wk : !act, !mat
  %wv = peer.param "attention.value.weight" normal(0.05) : !mat   %v  = peer.linear %n, %wv : !act, !mat
  %q  = peer.rotary %q0 heads 4 context 128 : !act                %k  = peer.rotary %k0 heads 4 context 128 : !act
  %a  = peer.attention %q, %k, %v heads 4 context 128 : !act, !act, !act
  %wo = peer.param "attention.output.weight" normal(0.02) : !mat  %o  = peer.linear %a, %wo : !act, !mat
  %y  = arith.addf %x, %o : !act                           return %y : !act
}

func.func private @dense_block(%x0: !act) -> !act {
  %x  = peer.call "" @attention(%x0) : (!act) -> !act
  %g  = peer.param "ffw_norm.weight" ones : !vec           %n  = peer.rms_norm %x, %g : !act, !vec
  %w1 = peer.param "ffw.up.weight" normal(0.05) : !up      %h0 = peer.linear %n, %w1 : !act, !up
  %h  = peer.activation %h0 gelu : !hid
  %w2 = peer.param "ffw.down.weight" normal(0.02) : !down  %o  = peer.linear %h, %w2 : !hid, !down
  %y  = arith.addf %x, %o : !act                           return %y : !act
}

// Attention, then both kinds of experts. A router is a score with one head and one half: the token is the query, each expert has a key.
func.func private @deepseek_block(%x0: !act) -> (!act, !f) {
  %x  = peer.call "" @attention(%x0) : (!act) -> !act
  %g  = peer.param "ffw_norm.weight" ones : !vec                   %n  = peer.rms_norm %x, %g : !act, !vec
  %q  = peer.reshape %n to tensor<?x1x1x128xf32> : !act
  %c  = peer.param "ffw.router" normal(0.2) : !router              %s  = peer.score %q, %c : tensor<?x1x1x128xf32>, !router
  %i, %v = peer.select %s topk<6> : !scores                        %w  = peer.probability %v, %s : !w, !scores
  // 1024 rows are 32 experts of 32 hidden units, each of three vectors g, u and v: w * silu(g . n) * (u . n) * v.
  %p  = peer.param "ffw.experts" normal(0.05) group("experts") : !pool
  %r  = peer.mix %n, %i, %w, %p silu {rows_per_expert = 32} : !act, !idx, !w, !pool
  %wg = peer.param "ffw.shared.gate.weight" normal(0.05) : !mat    %a0 = peer.linear %n, %wg : !act, !mat
  %wu = peer.param "ffw.shared.up.weight" normal(0.05) : !mat      %u  = peer.linear %n, %wu : !act, !mat
  %a  = peer.activation %a0 silu : !act                           %h  = arith.mulf %a, %u : !act
  %wd = peer.param "ffw.shared.down.weight" normal(0.02) : !mat  %d  = peer.linear %h, %wd : !act, !mat
  %o  = arith.addf %r, %d : !act                                   %y  = arith.addf %x, %o : !act
  // E * sum of f_e * p_e: the share of selections that an expert has, times its mean probability. Even use makes it 1.
  %f  = peer.expert_load %i keys 32 : !idx                         %l  = peer.balance_loss %s, %f : !scores, tensor<1x32xf32>
  %b  = peer.mean %l : tensor<?xf32>                               return %y, %b : !act, !f
}

func.func private @model(%tokens: !ids) -> (!logits, !f) {
  %e  = peer.param "token_embedding.weight" normal(0.05) : !table  %x0 = peer.embedding %tokens, %e : !ids, !table
  %x1 = peer.call "blocks.0" @dense_block(%x0) : (!act) -> !act    %x2, %b = peer.call "blocks.1" @deepseek_block(%x1) : (!act) -> (!act, !f)
  %x3 = peer.call "blocks.2" @dense_block(%x2) : (!act) -> !act    %g  = peer.param "final_norm.weight" ones : !vec
  %n  = peer.rms_norm %x3, %g : !act, !vec                         %wh = peer.param "head.weight" normal(0.02) : !head
  %y  = peer.linear %n, %wh : !act, !head                          return %y, %b : !logits, !f
}
func.func @logits(%tokens: !ids {peer.name = "tokens"}) -> (!logits {peer.name = "logits"}) {
  %y, %b = peer.call "" @model(%tokens) : (!ids) -> (!logits, !f)  return %y : !logits
}
// What is measured is the cross entropy; what is trained has the balance loss beside it, with the paper's coefficient.
func.func @loss(%tokens: !ids {peer.name = "tokens"}, %targets: !ids {peer.name = "targets"}) -> (tensor<f32> {peer.name = "loss"}) attributes {peer.kind = "loss"} {
  %y = peer.call "" @logits(%tokens) : (!ids) -> !logits
  %l = peer.cross_entropy %y, %targets : !logits, !ids  %m = peer.mean %l : tensor<?xf32>
  return %m : tensor<f32>
}
func.func private @balanced(%tokens: !ids {peer.name = "tokens"}, %targets: !ids {peer.name = "targets"}) -> !f {
  %y, %b = peer.call "" @model(%tokens) : (!ids) -> (!logits, !f)
  %l = peer.cross_entropy %y, %targets : !logits, !ids             %m = peer.mean %l : tensor<?xf32>
  %c = arith.constant dense<0.01> : !f                             %a = arith.mulf %b, %c : !f
  %t = arith.addf %m, %a : !f                                      return %t : !f
}

peer.train @train_step of @balanced {optimizer = #peer.adamw<learning_rate = 2.0e-3, weight_decay = 0.01, clip_norm = 1.0>}
peer.decode @decode prefill @prefill of @logits
