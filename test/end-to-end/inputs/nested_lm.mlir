// A language model as small as one can be with blocks that repeat, three, each attention and a dense layer of 32 hidden units; width 16, context 16. Entries of the model whose
// layers have the first hidden units alone, 4, 16 and 32, are there, too: what an extraction is compared with.
!act = tensor<?x16xf32>  !ids = tensor<?xi32>  !mat = tensor<16x16xf32>  !vec = tensor<16xf32>  !f = tensor<f32>
!up = tensor<16x32xf32>  !down = tensor<32x16xf32>  !logits = tensor<?x256xf32>
func.func private @attention(%x: !act) -> (!act, !act) {
  %g  = peer.param "norm.weight" ones : !vec          %n  = peer.rms_norm %x, %g : !act, !vec
  %wq = peer.param "query.weight" normal(0.2) : !mat  %q0 = peer.linear %n, %wq : !act, !mat
  %wk = peer.param "key.weight" normal(0.2) : !mat    %k0 = peer.linear %n, %wk : !act, !mat
  %wv = peer.param "value.weight" normal(0.2) : !mat  %v  = peer.linear %n, %wv : !act, !mat
  %q  = peer.rotary %q0 heads 2 context 16 : !act     %k  = peer.rotary %k0 heads 2 context 16 : !act
  %a  = peer.attention %q, %k, %v heads 2 context 16 : !act, !act, !act
  %y  = arith.addf %x, %a : !act
  %h  = peer.param "ffw_norm.weight" ones : !vec      %m  = peer.rms_norm %y, %h : !act, !vec
  return %y, %m : !act, !act
}
func.func private @block(%x0: !act) -> !act {
  %x, %n = peer.call "" @attention(%x0) : (!act) -> (!act, !act)
  %w1 = peer.param "ffw.up.weight" normal(0.2) : !up     %w2 = peer.param "ffw.down.weight" normal(0.2) : !down
  %h0 = peer.linear %n, %w1 : !act, !up                  %h  = peer.activation %h0 gelu : tensor<?x32xf32>
  %o  = peer.linear %h, %w2 : tensor<?x32xf32>, !down    %y  = arith.addf %x, %o : !act  return %y : !act
}
func.func private @block_of_4(%x0: !act) -> !act {
  %x, %n = peer.call "" @attention(%x0) : (!act) -> (!act, !act)
  %w1 = peer.param "ffw.up.weight" normal(0.2) : !up     %u = peer.slice %w1 along 1 from 0 size 4 : !up
  %w2 = peer.param "ffw.down.weight" normal(0.2) : !down %d = peer.slice %w2 along 0 from 0 size 4 : !down
  %h0 = peer.linear %n, %u : !act, tensor<16x4xf32>      %h = peer.activation %h0 gelu : tensor<?x4xf32>
  %o  = peer.linear %h, %d : tensor<?x4xf32>, tensor<4x16xf32>   %y = arith.addf %x, %o : !act  return %y : !act
}
func.func private @block_of_16(%x0: !act) -> !act {
  %x, %n = peer.call "" @attention(%x0) : (!act) -> (!act, !act)
  %w1 = peer.param "ffw.up.weight" normal(0.2) : !up     %u = peer.slice %w1 along 1 from 0 size 16 : !up
  %w2 = peer.param "ffw.down.weight" normal(0.2) : !down %d = peer.slice %w2 along 0 from 0 size 16 : !down
  %h0 = peer.linear %n, %u : !act, !mat                  %h = peer.activation %h0 gelu : !act
  %o  = peer.linear %h, %d : !act, !mat                  %y = arith.addf %x, %o : !act  return %y : !act
}
func.func private @embed(%tokens: !ids) -> !act {
  %e = peer.param "table" normal(0.5) : tensor<256x16xf32>  %x = peer.embedding %tokens, %e : !ids, tensor<256x16xf32>  return %x : !act
}
func.func private @head(%x: !act) -> !logits {
  %w = peer.param "head" normal(0.2) : tensor<16x256xf32>   %y = peer.linear %x, %w : !act, tensor<16x256xf32>          return %y : !logits
}
func.func @logits(%tokens: !ids {peer.name = "tokens"}) -> (!logits {peer.name = "logits"}) {
  %x = peer.call "" @embed(%tokens) : (!ids) -> !act     %b = peer.repeat "blocks" 3 @block(%x) : !act
  %y = peer.call "" @head(%b) : (!act) -> !logits        return %y : !logits
}
func.func @mixed(%tokens: !ids {peer.name = "tokens"}) -> (!logits {peer.name = "logits"}) {
  %x = peer.call "" @embed(%tokens) : (!ids) -> !act     %b = peer.call "blocks.0" @block_of_4(%x) : (!act) -> !act
  %c = peer.call "blocks.1" @block_of_16(%b) : (!act) -> !act  %d = peer.call "blocks.2" @block(%c) : (!act) -> !act
  %y = peer.call "" @head(%d) : (!act) -> !logits        return %y : !logits
}
func.func @loss(%tokens: !ids {peer.name = "tokens"}, %targets: !ids {peer.name = "targets"}) -> (!f {peer.name = "loss"}) {
  %y = peer.call "" @logits(%tokens) : (!ids) -> !logits
  %l = peer.cross_entropy %y, %targets : !logits, !ids   %m = peer.mean %l : tensor<?xf32>  return %m : !f
}
peer.train @train_step of @loss {optimizer = #peer.adamw<learning_rate = 1.0e-2, clip_norm = 1.0>}
