// A byte-level language model whose routed layer is balanced as DeepSeek-V3's (arXiv 2412.19437), the trunk being that of tiny_peer_lm.mlir: 16
// experts of 128 hidden units, of which a token takes 4, as many units as the dense layer has. Experts are selected by scores with a bias,
// which each step moves by 0.001 up where an expert had less than its share and down where it had more: no loss is needed for that (arXiv
// 2408.15664). Weights are sigmoids of the scores without it. Beside it a small loss keeps experts even within each sequence, where the batch as a
// whole may be even and a sequence not. Left out: shared experts.

!act = tensor<?x128xf32>  !hid = tensor<?x512xf32>  !ids = tensor<?xi32>  !logits = tensor<?x256xf32>  !vec = tensor<128xf32>
!mat = tensor<128x128xf32>  !up = tensor<128x512xf32>  !down = tensor<512x128xf32>  !table = tensor<256x128xf32>  !head = tensor<128x256xf32>
!router = tensor<1x1x16x128xf32>  !pool = tensor<2048x2x128xf32>  !bias = tensor<1x16xf32>  !s = tensor<?x1x1x16xf32>  !idx = tensor<?x1x4xi32>
!w = tensor<?x1x4xf32>  !seq = tensor<?x128x16xf32>  !each = tensor<?x16xf32>  !f = tensor<f32>

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
  %h  = peer.activation %h0 gelu : !hid                    %w2 = peer.param "ffw.down.weight" normal(0.02) : !down
  %o  = peer.linear %h, %w2 : !hid, !down                  %y  = arith.addf %x, %o : !act  return %y : !act
}

// Attention, then the routed layer. A router is a score with one head and one half: the token is the query, each expert has a key.
func.func private @routed_block(%x0: !act) -> (!act, !f) {
  %x  = peer.call "" @attention(%x0) : (!act) -> !act
  %g  = peer.param "ffw_norm.weight" ones : !vec                   %n  = peer.rms_norm %x, %g : !act, !vec
  // A buffer is no optimizer's: what training does with it is balance_bias's own.
  %q  = peer.reshape %n to tensor<?x1x1x128xf32> : !act            %e  = peer.param "ffw.router.bias" zeros buffer : !bias
  %c  = peer.param "ffw.router" normal(0.05) : !router             %s  = peer.score %q, %c : tensor<?x1x1x128xf32>, !router
  %sb = peer.balance_bias %s, %e {rate = 1.0e-3 : f32} : !s, !bias  %i, %u = peer.select %sb topk<4> : !s
  // The scores of those experts without the bias.
  %v  = peer.gather %s, %i : !s, !idx                              %w  = peer.gate %v sigmoid : !w
  // 2048 rows of vectors (u, v) are 16 experts of 128 hidden units: o = sum of w * relu(u . n) * v.
  %p  = peer.param "ffw.experts" normal(0.1) group("experts") : !pool
  %o  = peer.mix %n, %i, %w, %p relu {rows_per_expert = 128} : !act, !idx, !w, !pool
  // The loss of a sequence: sum over experts of f * r. r is the mean over its 128 tokens of an expert's share of their sigmoids; f the share of tokens
  // that took it, whose biased score is at least that of the last one taken. f is made of comparisons, so the gradient is r's.
  %s1 = peer.reshape %s to !each : !s                              %d  = peer.activation %s1 sigmoid : !each
  %t  = peer.reduce sum %d along [1] : !each                       %tb = peer.broadcast %t like %d along [1] : tensor<?xf32>, !each
  %r  = arith.divf %d, %tb : !each                                 %r1 = peer.reshape %r to !seq : !each  %rm = peer.reduce mean %r1 along [1] : !seq
  %k  = peer.slice %u along 2 from 3 size 1 : !w                   %kb = peer.broadcast %k like %sb along [3] : tensor<?x1x1xf32>, !s
  %on = arith.cmpf oge, %sb, %kb : !s                              %f0 = arith.uitofp %on : tensor<?x1x1x16xi1> to !s
  %f1 = peer.reshape %f0 to !seq : !s                              %fm = peer.reduce mean %f1 along [1] : !seq
  %fr = arith.mulf %fm, %rm : !each                                %l  = peer.reduce sum %fr along [1] : !each
  %b  = peer.mean %l : tensor<?xf32>                               %y  = arith.addf %x, %o : !act  return %y, %b : !act, !f
}

func.func private @model(%tokens: !ids) -> (!logits, !f) {
  %e  = peer.param "token_embedding.weight" normal(0.05) : !table  %x0 = peer.embedding %tokens, %e : !ids, !table
  %x1 = peer.call "blocks.0" @dense_block(%x0) : (!act) -> !act    %x2, %b = peer.call "blocks.1" @routed_block(%x1) : (!act) -> (!act, !f)
  %x3 = peer.call "blocks.2" @dense_block(%x2) : (!act) -> !act    %g  = peer.param "final_norm.weight" ones : !vec
  %n  = peer.rms_norm %x3, %g : !act, !vec                         %wh = peer.param "head.weight" normal(0.02) : !head
  %y  = peer.linear %n, %wh : !act, !head                          return %y, %b : !logits, !f
}
func.func @logits(%tokens: !ids {peer.name = "tokens"}) -> (!logits {peer.name = "logits"}) {
  %y, %b = peer.call "" @model(%tokens) : (!ids) -> (!logits, !f)  return %y : !logits
}
// What is measured is the cross entropy; what is trained has the loss of sequences beside it: 16 / 4, which makes it 1 where use is even, times 0.0001.
func.func @loss(%tokens: !ids {peer.name = "tokens"}, %targets: !ids {peer.name = "targets"}) -> (tensor<f32> {peer.name = "loss"}) attributes {peer.kind = "loss"} {
  %y = peer.call "" @logits(%tokens) : (!ids) -> !logits
  %l = peer.cross_entropy %y, %targets : !logits, !ids  %m = peer.mean %l : tensor<?xf32>  return %m : tensor<f32>
}
func.func private @balanced(%tokens: !ids {peer.name = "tokens"}, %targets: !ids {peer.name = "targets"}) -> !f {
  %y, %b = peer.call "" @model(%tokens) : (!ids) -> (!logits, !f)
  %l = peer.cross_entropy %y, %targets : !logits, !ids             %m = peer.mean %l : tensor<?xf32>
  %c = arith.constant dense<0.0004> : !f                           %a = arith.mulf %b, %c : !f  %t = arith.addf %m, %a : !f  return %t : !f
}

peer.train @train_step of @balanced {optimizer = #peer.adamw<learning_rate = 2.0e-3, weight_decay = 0.01, clip_norm = 1.0>}
peer.decode @decode prefill @prefill of @logits
