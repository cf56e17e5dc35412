// DSMoE (arXiv 2502.12455) in the middle one of three blocks, the trunk being that of tiny_dense_lm.mlir: the feed-forward layer of 512 hidden units is
// cut into 8 blocks of 64, and a token has those whose gate, a sigmoid, is above 0.5; what they give is scaled by 8 / (blocks it has). Gates
// are 0 or 1 in the forward direction and sigmoids in the gradient (straight-through), where blocks are counted, too, so those that are off learn
// to be on. Chosen where nothing is known: a token without blocks gets 0 from them; the loss for sparsity is the mean share of blocks that
// are on, times 0.01.

!act = tensor<?x128xf32>  !hid = tensor<?x512xf32>  !ids = tensor<?xi32>  !logits = tensor<?x256xf32>  !vec = tensor<128xf32>
!mat = tensor<128x128xf32>  !up = tensor<128x512xf32>  !down = tensor<512x128xf32>  !table = tensor<256x128xf32>  !head = tensor<128x256xf32>
!router = tensor<1x1x8x128xf32>  !scores = tensor<?x1x1x8xf32>  !pool = tensor<512x2x128xf32>  !idx = tensor<?x1x8xi32>  !w = tensor<?x1x8xf32>  !share = tensor<?xf32>  !f = tensor<f32>

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

// What comes before the blocks. A router is a score with one head and one half: the token is the query, each block has a key.
func.func private @before(%tokens: !ids) -> (!act, !act, !scores) {
  %e  = peer.param "token_embedding.weight" normal(0.05) : !table  %x0 = peer.embedding %tokens, %e : !ids, !table
  %x1 = peer.call "blocks.0" @dense_block(%x0) : (!act) -> !act    %x  = peer.call "blocks.1" @attention(%x1) : (!act) -> !act
  %g  = peer.param "blocks.1.ffw_norm.weight" ones : !vec          %n  = peer.rms_norm %x, %g : !act, !vec
  %q  = peer.reshape %n to tensor<?x1x1x128xf32> : !act            %c  = peer.param "blocks.1.ffw.router" normal(0.2) : !router
  %s  = peer.score %q, %c : tensor<?x1x1x128xf32>, !router         return %x, %n, %s : !act, !act, !scores
}
// The blocks whose weight is 1, and what comes behind them; the share of blocks that are on, too.
func.func private @after(%x: !act, %n: !act, %i: !idx, %w: !w) -> (!logits, !share) {
  // 512 rows of vectors (u, v) are 8 blocks of 64 hidden units: w * gelu(u . n) * v.
  %p  = peer.param "blocks.1.ffw.experts" normal(0.05) group("experts") : !pool
  %o  = peer.mix %n, %i, %w, %p gelu {rows_per_expert = 64} : !act, !idx, !w, !pool
  // Divided by the share; there is none between 0 and 1/8.
  %on = peer.reduce mean %w along [1, 2] : !w                      %lo = arith.constant dense<0.0625> : !f
  %l  = peer.broadcast %lo like %on along [0] : !f, !share         %m  = arith.maximumf %on, %l : !share
  %d  = peer.broadcast %m like %o along [1] : !share, !act         %r  = arith.divf %o, %d : !act
  %x2 = arith.addf %x, %r : !act                                   %x3 = peer.call "blocks.2" @dense_block(%x2) : (!act) -> !act
  %g  = peer.param "final_norm.weight" ones : !vec                 %z  = peer.rms_norm %x3, %g : !act, !vec
  %wh = peer.param "head.weight" normal(0.02) : !head              %y  = peer.linear %z, %wh : !act, !head
  return %y, %on : !logits, !share
}

// Only blocks that are on are computed.
func.func @logits(%tokens: !ids {peer.name = "tokens"}) -> (!logits {peer.name = "logits"}) {
  %x, %n, %s = peer.call "" @before(%tokens) : (!ids) -> (!act, !act, !scores)
  %i, %v = peer.select %s threshold<0.5, of = sigmoid, max = 8> : !scores  %w = peer.gate %v one : !w
  %y, %on = peer.call "" @after(%x, %n, %i, %w) : (!act, !act, !idx, !w) -> (!logits, !share)  return %y : !logits
}
func.func @loss(%tokens: !ids {peer.name = "tokens"}, %targets: !ids {peer.name = "targets"}) -> (tensor<f32> {peer.name = "loss"}) attributes {peer.kind = "loss"} {
  %y = peer.call "" @logits(%tokens) : (!ids) -> !logits
  %l = peer.cross_entropy %y, %targets : !logits, !ids  %m = peer.mean %l : tensor<?xf32>
  return %m : tensor<f32>
}
// In training all blocks are, with weights of 0 or 1, so that those that are off have a gradient: the same numbers, and parameters of the same names.
func.func private @sparse(%tokens: !ids {peer.name = "tokens"}, %targets: !ids {peer.name = "targets"}) -> !f {
  %x, %n, %s = peer.call "" @before(%tokens) : (!ids) -> (!act, !act, !scores)
  %i, %v = peer.select %s all : !scores                            %w = peer.straight_through %v : !w
  %y, %on = peer.call "" @after(%x, %n, %i, %w) : (!act, !act, !idx, !w) -> (!logits, !share)
  %l = peer.cross_entropy %y, %targets : !logits, !ids             %m = peer.mean %l : tensor<?xf32>
  %b = peer.mean %on : !share                                      %c = arith.constant dense<0.01> : !f
  %a = arith.mulf %b, %c : !f                                      %t = arith.addf %m, %a : !f  return %t : !f
}

peer.train @train_step of @sparse {optimizer = #peer.adamw<learning_rate = 2.0e-3, weight_decay = 0.01, clip_norm = 1.0>}
peer.decode @decode prefill @prefill of @logits
