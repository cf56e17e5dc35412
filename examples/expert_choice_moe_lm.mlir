// A byte-level language model with expert choice (Zhou et al., arXiv 2202.09368) in the middle one of three blocks, the trunk being that
// of tiny_peer_lm.mlir: 16 experts of 128 hidden units, each of which takes the 4 T / 16 tokens of the batch that want it most, by their softmax
// over experts, which also is the weight. A token has 4 experts on average, as many units as the dense layer has, and no loss is
// needed to keep use even. That looks at later tokens, so it is for training alone: what is measured and decoded takes each token's 4
// likeliest experts, with the same weights. Left out of the paper: the bound on a token's experts.

!act = tensor<?x128xf32>  !hid = tensor<?x512xf32>  !ids = tensor<?xi32>  !logits = tensor<?x256xf32>  !vec = tensor<128xf32>
!mat = tensor<128x128xf32>  !up = tensor<128x512xf32>  !down = tensor<512x128xf32>  !table = tensor<256x128xf32>  !head = tensor<128x256xf32>
!router = tensor<1x1x16x128xf32>  !scores = tensor<?x1x1x16xf32>  !pool = tensor<2048x2x128xf32>  !idx = tensor<?x1x16xi32>  !w = tensor<?x1x16xf32>
!idx4 = tensor<?x1x4xi32>  !w4 = tensor<?x1x4xf32>

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

// What comes before the experts. A router is a score with one head and one half: the token is the query, each expert has a key.
func.func private @before(%tokens: !ids) -> (!act, !act, !scores) {
  %e  = peer.param "token_embedding.weight" normal(0.05) : !table  %x0 = peer.embedding %tokens, %e : !ids, !table
  %x1 = peer.call "blocks.0" @dense_block(%x0) : (!act) -> !act    %x  = peer.call "blocks.1" @attention(%x1) : (!act) -> !act
  %g  = peer.param "blocks.1.ffw_norm.weight" ones : !vec          %n  = peer.rms_norm %x, %g : !act, !vec
  %q  = peer.reshape %n to tensor<?x1x1x128xf32> : !act
  %c  = peer.param "blocks.1.ffw.router" normal(0.2) : !router  %s  = peer.score %q, %c : tensor<?x1x1x128xf32>, !router
  return %x, %n, %s : !act, !act, !scores
}

// What comes behind them.
func.func private @after(%x: !act, %o: !act) -> !logits {
  %x2 = arith.addf %x, %o : !act                                   %x3 = peer.call "blocks.2" @dense_block(%x2) : (!act) -> !act
  %g  = peer.param "final_norm.weight" ones : !vec                 %m  = peer.rms_norm %x3, %g : !act, !vec
  %wh = peer.param "head.weight" normal(0.02) : !head              %y  = peer.linear %m, %wh : !act, !head
  return %y : !logits
}

// 2048 rows of vectors (u, v) are 16 experts of 128 hidden units: o = sum of w * relu(u . n) * v.
func.func @logits(%tokens: !ids {peer.name = "tokens"}) -> (!logits {peer.name = "logits"}) {
  %x, %n, %s = peer.call "" @before(%tokens) : (!ids) -> (!act, !act, !scores)
  %i, %v = peer.select %s topk<4> : !scores             %w = peer.probability %v, %s : !w4, !scores
  %p = peer.param "blocks.1.ffw.experts" normal(0.05) group("experts") : !pool
  %o = peer.mix %n, %i, %w, %p relu {rows_per_expert = 128} : !act, !idx4, !w4, !pool
  %y = peer.call "" @after(%x, %o) : (!act, !act) -> !logits  return %y : !logits
}

func.func @loss(%tokens: !ids {peer.name = "tokens"}, %targets: !ids {peer.name = "targets"}) -> (tensor<f32> {peer.name = "loss"}) attributes {peer.kind = "loss"} {
  %y = peer.call "" @logits(%tokens) : (!ids) -> !logits
  %l = peer.cross_entropy %y, %targets : !logits, !ids  %m = peer.mean %l : tensor<?xf32>
  return %m : tensor<f32>
}
func.func private @chosen(%tokens: !ids {peer.name = "tokens"}, %targets: !ids {peer.name = "targets"}) -> tensor<f32> {
  %x, %n, %s = peer.call "" @before(%tokens) : (!ids) -> (!act, !act, !scores)
  // Slot e of a token is expert e, or empty.
  %q = peer.softmax %s : !scores                        %i, %u = peer.select %q expert_choice<4.0> : !scores
  %v = peer.gather %s, %i : !scores, !idx               %w = peer.probability %v, %s : !w, !scores
  %p = peer.param "blocks.1.ffw.experts" normal(0.05) group("experts") : !pool
  %o = peer.mix %n, %i, %w, %p relu {rows_per_expert = 128} : !act, !idx, !w, !pool
  %y = peer.call "" @after(%x, %o) : (!act, !act) -> !logits
  %l = peer.cross_entropy %y, %targets : !logits, !ids  %m = peer.mean %l : tensor<?xf32>
  return %m : tensor<f32>
}

peer.train @train_step of @chosen {optimizer = #peer.adamw<learning_rate = 2.0e-3, weight_decay = 0.01, clip_norm = 1.0>}
peer.decode @decode prefill @prefill of @logits
