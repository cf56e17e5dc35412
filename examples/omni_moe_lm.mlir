// A byte-level language model with an OmniMoE layer (arXiv 2602.05711) in the middle one of three blocks, the trunk being that of tiny_peer_lm.mlir:
// of 4,096 experts of one hidden unit, the cells of a grid of 64 rows and 64 columns, a token takes the 64 whose row and column fit it
// best, weighted by the softmax over the whole grid as it is; beside them a dense SwiGLU of 256 units that all tokens have. The
// softmax over the grid takes two sums of 64 terms. The weights of 4,096 are small, so values begin large.

!act = tensor<?x128xf32>  !hid = tensor<?x512xf32>  !ids = tensor<?xi32>  !logits = tensor<?x256xf32>  !vec = tensor<128xf32>
!mat = tensor<128x128xf32>  !up = tensor<128x512xf32>  !down = tensor<512x128xf32>  !table = tensor<256x128xf32>  !head = tensor<128x256xf32>
!router = tensor<128x128xf32>  !scores = tensor<?x1x2x64xf32>  !pool = tensor<4096x2x128xf32>  !w = tensor<?x1x64xf32>
!hid1 = tensor<?x256xf32>  !up1 = tensor<128x256xf32>  !down1 = tensor<256x128xf32>

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

func.func private @omni_block(%x0: !act) -> !act {
  %x  = peer.call "" @attention(%x0) : (!act) -> !act
  %g  = peer.param "ffw_norm.weight" ones : !vec                   %n  = peer.rms_norm %x, %g : !act, !vec
  // 64 logits of rows, then 64 of columns: one head, two halves.
  %wr = peer.param "ffw.router.weight" normal(0.1) : !router       %l  = peer.linear %n, %wr : !act, !router
  %s  = peer.reshape %l to !scores : !act
  %i, %v = peer.select %s product_topk<64> : !scores               %w  = peer.probability %v, %s : !w, !scores
  %p  = peer.param "ffw.experts" normal(0.2) group("experts") : !pool
  %r  = peer.mix %n, %i, %w, %p silu : !act, tensor<?x1x64xi32>, !w, !pool
  %wg = peer.param "ffw.shared.gate.weight" normal(0.05) : !up1    %a0 = peer.linear %n, %wg : !act, !up1
  %wu = peer.param "ffw.shared.up.weight" normal(0.05) : !up1      %u  = peer.linear %n, %wu : !act, !up1
  %a  = peer.activation %a0 silu : !hid1                           %h  = arith.mulf %a, %u : !hid1
  %wd = peer.param "ffw.shared.down.weight" normal(0.02) : !down1  %d  = peer.linear %h, %wd : !hid1, !down1
  %o  = arith.addf %r, %d : !act
  %y  = arith.addf %x, %o : !act                                   return %y : !act
}

func.func @logits(%tokens: !ids {peer.name = "tokens"}) -> (!logits {peer.name = "logits"}) {
  %e  = peer.param "token_embedding.weight" normal(0.05) : !table  %x0 = peer.embedding %tokens, %e : !ids, !table
  %x1 = peer.call "blocks.0" @dense_block(%x0) : (!act) -> !act
  %x2 = peer.call "blocks.1" @omni_block(%x1) : (!act) -> !act
  %x3 = peer.call "blocks.2" @dense_block(%x2) : (!act) -> !act
  %g  = peer.param "final_norm.weight" ones : !vec                 %n  = peer.rms_norm %x3, %g : !act, !vec
  %wh = peer.param "head.weight" normal(0.02) : !head              %y  = peer.linear %n, %wh : !act, !head
  return %y : !logits
}

func.func @loss(%tokens: !ids {peer.name = "tokens"}, %targets: !ids {peer.name = "targets"}) -> (tensor<f32> {peer.name = "loss"}) {
  %y = peer.call "" @logits(%tokens) : (!ids) -> !logits
  %l = peer.cross_entropy %y, %targets : !logits, !ids  %m = peer.mean %l : tensor<?xf32>
  return %m : tensor<f32>
}

peer.train @train_step of @loss {optimizer = #peer.adamw<learning_rate = 2.0e-3, weight_decay = 0.01, clip_norm = 1.0>}
peer.decode @decode prefill @prefill of @logits
