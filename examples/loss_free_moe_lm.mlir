// A byte-level language model whose routed layer is balanced without a loss (arXiv 2408.15664), the trunk being that of tiny_peer_lm.mlir: 16
// experts of 128 hidden units, of which a token takes 4, as many units as the dense layer has. Experts are selected by scores with a bias,
// which each step moves by 0.001 up where an expert had less than its share and down where it had more; weights are sigmoids of the scores
// without it. Left out: the paper's shared experts.

!act = tensor<?x128xf32>  !hid = tensor<?x512xf32>  !ids = tensor<?xi32>  !logits = tensor<?x256xf32>  !vec = tensor<128xf32>
!mat = tensor<128x128xf32>  !up = tensor<128x512xf32>  !down = tensor<512x128xf32>  !table = tensor<256x128xf32>  !head = tensor<128x256xf32>
!router = tensor<1x1x16x128xf32>  !pool = tensor<2048x2x128xf32>

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

// Attention, then the routed layer. A router is a score with one head and one half: the token is the query, each expert has a key.
func.func private @routed_block(%x0: !act) -> !act {
  %x  = peer.call "" @attention(%x0) : (!act) -> !act
  %g  = peer.param "ffw_norm.weight" ones : !vec           %n  = peer.rms_norm %x, %g : !act, !vec
  %q  = peer.reshape %n to tensor<?x1x1x128xf32> : !act
  %c  = peer.param "ffw.router" normal(0.05) : !router     %s  = peer.score %q, %c : tensor<?x1x1x128xf32>, !router
  // A buffer is no optimizer's: what training does with it is balance_bias's own.
  %e  = peer.param "ffw.router.bias" zeros buffer : tensor<1x16xf32>
  %sb = peer.balance_bias %s, %e {rate = 1.0e-3 : f32} : tensor<?x1x1x16xf32>, tensor<1x16xf32>
  %i, %biased = peer.select %sb topk<4> : tensor<?x1x1x16xf32>
  // The scores of those experts without the bias.
  %v  = peer.gather %s, %i : tensor<?x1x1x16xf32>, tensor<?x1x4xi32>
  %w  = peer.gate %v sigmoid : tensor<?x1x4xf32>
  %p  = peer.param "ffw.experts" normal(0.05) group("experts") : !pool
  %o  = peer.mix %n, %i, %w, %p relu {rows_per_expert = 128} : !act, tensor<?x1x4xi32>, tensor<?x1x4xf32>, !pool
  %y  = arith.addf %x, %o : !act                           return %y : !act
}

func.func @logits(%tokens: !ids {peer.name = "tokens"}) -> (!logits {peer.name = "logits"}) {
  %e  = peer.param "token_embedding.weight" normal(0.05) : !table  %x0 = peer.embedding %tokens, %e : !ids, !table
  %x1 = peer.call "blocks.0" @dense_block(%x0) : (!act) -> !act
  %x2 = peer.call "blocks.1" @routed_block(%x1) : (!act) -> !act
  %x3 = peer.call "blocks.2" @dense_block(%x2) : (!act) -> !act
  %g  = peer.param "final_norm.weight" ones : !vec                 %n  = peer.rms_norm %x3, %g : !act, !vec
  %wh = peer.param "head.weight" normal(0.02) : !head              %y  = peer.linear %n, %wh : !act, !head
  return %y : !logits
}

func.func @loss(%tokens: !ids {peer.name = "tokens"}, %targets: !ids {peer.name = "targets"}) -> (tensor<f32> {peer.name = "loss"}) {
  %y  = peer.call "" @logits(%tokens) : (!ids) -> !logits
  %l  = peer.cross_entropy %y, %targets : !logits, !ids  %m  = peer.mean %l : tensor<?xf32>
  return %m : tensor<f32>
}

peer.train @train_step of @loss {optimizer = #peer.adamw<learning_rate = 2.0e-3, weight_decay = 0.01, clip_norm = 1.0>}
peer.decode @decode prefill @prefill of @logits
