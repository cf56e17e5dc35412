// A byte-level language model with a Switch layer (arXiv 2101.03961) in the middle one of three blocks, the trunk being that of
// tiny_peer_lm.mlir: 8 networks as large as the dense one, of which each token takes the likeliest, weighted by its probability
// among all 8. That weight is what teaches the router. In training an expert has room for 1.25 times its share of the tokens, the first
// that chose it, and a loss keeps use even; what is measured and decoded drops no token. Left out of the paper: the noise.

!act = tensor<?x128xf32>  !hid = tensor<?x512xf32>  !ids = tensor<?xi32>  !logits = tensor<?x256xf32>  !vec = tensor<128xf32>
!mat = tensor<128x128xf32>  !up = tensor<128x512xf32>  !down = tensor<512x128xf32>  !table = tensor<256x128xf32>  !head = tensor<128x256xf32>
!router = tensor<1x1x8x128xf32>  !scores = tensor<?x1x1x8xf32>  !pool = tensor<4096x2x128xf32>  !ones = tensor<?x1x1xf32>  !idx = tensor<?x1x1xi32>

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
  %c  = peer.param "blocks.1.ffw.router" normal(0.05) : !router  %s  = peer.score %q, %c : tensor<?x1x1x128xf32>, !router
  return %x, %n, %s : !act, !act, !scores
}

// The experts and what follows: 4096 rows of vectors (u, v) are 8 experts of 512 hidden units, o = sum of w * relu(u . n) * v.
func.func private @after(%x: !act, %n: !act, %i: !idx, %w: !ones) -> !logits {
  %p  = peer.param "blocks.1.ffw.experts" normal(0.05) group("experts") : !pool
  %o  = peer.mix %n, %i, %w, %p relu {rows_per_expert = 512} : !act, !idx, !ones, !pool
  %x2 = arith.addf %x, %o : !act                                   %x3 = peer.call "blocks.2" @dense_block(%x2) : (!act) -> !act
  %g  = peer.param "final_norm.weight" ones : !vec                 %m  = peer.rms_norm %x3, %g : !act, !vec
  %wh = peer.param "head.weight" normal(0.02) : !head              %y  = peer.linear %m, %wh : !act, !head
  return %y : !logits
}

func.func @logits(%tokens: !ids {peer.name = "tokens"}) -> (!logits {peer.name = "logits"}) {
  %x, %n, %s = peer.call "" @before(%tokens) : (!ids) -> (!act, !act, !scores)
  // The weight is the softmax over all 8, not over the one that was selected: of that it would be 1, without a gradient.
  %i, %v = peer.select %s topk<1> : !scores             %w = peer.probability %v, %s : !ones, !scores
  %y = peer.call "" @after(%x, %n, %i, %w) : (!act, !act, !idx, !ones) -> !logits
  return %y : !logits
}

// What is measured is the cross entropy; what is trained has the capacity, and the balance loss with the paper's coefficient.
func.func @loss(%tokens: !ids {peer.name = "tokens"}, %targets: !ids {peer.name = "targets"}) -> (tensor<f32> {peer.name = "loss"}) attributes {peer.kind = "loss"} {
  %y = peer.call "" @logits(%tokens) : (!ids) -> !logits
  %l = peer.cross_entropy %y, %targets : !logits, !ids  %m = peer.mean %l : tensor<?xf32>
  return %m : tensor<f32>
}
func.func private @balanced(%tokens: !ids {peer.name = "tokens"}, %targets: !ids {peer.name = "targets"}) -> tensor<f32> {
  %x, %n, %s = peer.call "" @before(%tokens) : (!ids) -> (!act, !act, !scores)
  %i, %v = peer.select %s topk<1> : !scores             %w = peer.probability %v, %s : !ones, !scores
  %j, %u = peer.capacity %i, %w experts 8 factor 1.25 by token : !idx, !ones
  %y = peer.call "" @after(%x, %n, %j, %u) : (!act, !act, !idx, !ones) -> !logits
  %l = peer.cross_entropy %y, %targets : !logits, !ids  %m = peer.mean %l : tensor<?xf32>
  // E * sum of f_e * p_e: the share of selections that an expert has, times its mean probability. Even use makes it 1.
  %f = peer.expert_load %i keys 8 : !idx                %z = peer.balance_loss %s, %f : !scores, tensor<1x8xf32>
  %b = peer.mean %z : tensor<?xf32>                     %c = arith.constant dense<0.01> : tensor<f32>
  %a = arith.mulf %b, %c : tensor<f32>                  %t = arith.addf %m, %a : tensor<f32>  return %t : tensor<f32>
}

peer.train @train_step of @balanced {optimizer = #peer.adamw<learning_rate = 2.0e-3, weight_decay = 0.01, clip_norm = 1.0>}
peer.decode @decode prefill @prefill of @logits
