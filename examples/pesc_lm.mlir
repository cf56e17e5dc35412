// PESC (arXiv 2401.02731) in the middle one of three blocks, the trunk being that of tiny_dense_lm.mlir: the feed-forward layer stays as it was trained,
// and 8 adapters on its output, small networks of 64 hidden units, are the experts: expert i is f + adapter_i(f), f being the layer's output.
// A router that reads the layer's input picks 2, weighted by the softmax over the 2. Names and shapes of what is frozen are those of a dense
// model, whose weights are what it is for. Choices: GELU in adapters, as in the authors' code; Switch's balance loss. The
// paper moves what is left of the model by updates of low rank; here it is trained as it is.

!act = tensor<?x128xf32>  !hid = tensor<?x512xf32>  !ids = tensor<?xi32>  !logits = tensor<?x256xf32>  !vec = tensor<128xf32>
!mat = tensor<128x128xf32>  !up = tensor<128x512xf32>  !down = tensor<512x128xf32>  !table = tensor<256x128xf32>  !head = tensor<128x256xf32>
!router = tensor<1x1x8x128xf32>  !scores = tensor<?x1x1x8xf32>  !pool = tensor<512x2x128xf32>  !idx = tensor<?x1x2xi32>  !w = tensor<?x1x2xf32>  !f = tensor<f32>

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

func.func private @pesc_block(%x0: !act) -> (!act, !f) {
  %x  = peer.call "" @attention(%x0) : (!act) -> !act
  %g  = peer.param "ffw_norm.weight" ones : !vec                   %n  = peer.rms_norm %x, %g : !act, !vec
  // No training changes these two: they have no gradient and no state of the optimizer.
  %w1 = peer.param "ffw.up.weight" normal(0.05) frozen : !up       %h0 = peer.linear %n, %w1 : !act, !up
  %h  = peer.activation %h0 gelu : !hid
  %w2 = peer.param "ffw.down.weight" normal(0.02) frozen : !down   %f  = peer.linear %h, %w2 : !hid, !down
  // A router is a score with one head and one half: the token is the query, each expert has a key.
  %q  = peer.reshape %n to tensor<?x1x1x128xf32> : !act
  %c  = peer.param "ffw.router" normal(0.05) : !router             %s  = peer.score %q, %c : tensor<?x1x1x128xf32>, !router
  %i, %v = peer.select %s topk<2> : !scores                        %w  = peer.gate %v softmax : !w
  // Weights add up to 1, so that f counts once: 512 rows of vectors (u, v) are 8 adapters, w * gelu(u . f) * v.
  %p  = peer.param "ffw.experts" normal(0.02) group("experts") : !pool
  %a  = peer.mix %f, %i, %w, %p gelu {rows_per_expert = 64} : !act, !idx, !w, !pool
  %o  = arith.addf %f, %a : !act                                   %y  = arith.addf %x, %o : !act
  %u  = peer.expert_load %i keys 8 : !idx                          %l  = peer.balance_loss %s, %u : !scores, tensor<1x8xf32>
  %b  = peer.mean %l : tensor<?xf32>                               return %y, %b : !act, !f
}

func.func private @model(%tokens: !ids) -> (!logits, !f) {
  %e  = peer.param "token_embedding.weight" normal(0.05) : !table  %x0 = peer.embedding %tokens, %e : !ids, !table
  %x1 = peer.call "blocks.0" @dense_block(%x0) : (!act) -> !act    %x2, %b = peer.call "blocks.1" @pesc_block(%x1) : (!act) -> (!act, !f)
  %x3 = peer.call "blocks.2" @dense_block(%x2) : (!act) -> !act    %g  = peer.param "final_norm.weight" ones : !vec
  %n  = peer.rms_norm %x3, %g : !act, !vec                         %wh = peer.param "head.weight" normal(0.02) : !head
  %y  = peer.linear %n, %wh : !act, !head                          return %y, %b : !logits, !f
}
func.func @logits(%tokens: !ids {peer.name = "tokens"}) -> (!logits {peer.name = "logits"}) {
  %y, %b = peer.call "" @model(%tokens) : (!ids) -> (!logits, !f)  return %y : !logits
}
// What is measured is the cross entropy; what is trained has the balance loss beside it.
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
