// A language model as small as one can be with a layer of each kind that a conversion wants: width 16, context 16; block 0 has a dense layer, block 1
// two experts of four, weighted by the softmax over those, with a loss that balances them in training, block 2 a dense layer with a gate.
!act = tensor<?x16xf32>  !hid = tensor<?x32xf32>  !ids = tensor<?xi32>  !mat = tensor<16x16xf32>  !vec = tensor<16xf32>  !f = tensor<f32>
!up = tensor<16x32xf32>  !down = tensor<32x16xf32>  !logits = tensor<?x256xf32>
func.func private @attention(%x: !act) -> !act {
  %g  = peer.param "norm.weight" ones : !vec          %n  = peer.rms_norm %x, %g : !act, !vec
  %wq = peer.param "query.weight" normal(0.2) : !mat  %q0 = peer.linear %n, %wq : !act, !mat
  %wk = peer.param "key.weight" normal(0.2) : !mat    %k0 = peer.linear %n, %wk : !act, !mat
  %wv = peer.param "value.weight" normal(0.2) : !mat  %v  = peer.linear %n, %wv : !act, !mat
  %q  = peer.rotary %q0 heads 2 context 16 : !act     %k  = peer.rotary %k0 heads 2 context 16 : !act
  %a  = peer.attention %q, %k, %v heads 2 context 16 : !act, !act, !act
  %y  = arith.addf %x, %a : !act                      return %y : !act
}
func.func private @dense(%x0: !act) -> !act {
  %x  = peer.call "attention" @attention(%x0) : (!act) -> !act
  %g  = peer.param "ffw_norm.weight" ones : !vec         %n  = peer.rms_norm %x, %g : !act, !vec
  %w1 = peer.param "ffw.up.weight" normal(0.2) : !up     %h0 = peer.linear %n, %w1 : !act, !up
  %h  = peer.activation %h0 gelu : !hid
  %w2 = peer.param "ffw.down.weight" normal(0.2) : !down %o  = peer.linear %h, %w2 : !hid, !down
  %y  = arith.addf %x, %o : !act                         return %y : !act
}
func.func private @gated(%x0: !act) -> !act {
  %x  = peer.call "attention" @attention(%x0) : (!act) -> !act
  %g  = peer.param "ffw_norm.weight" ones : !vec          %n  = peer.rms_norm %x, %g : !act, !vec
  %wg = peer.param "ffw.gate.weight" normal(0.2) : !up    %a0 = peer.linear %n, %wg : !act, !up
  %wu = peer.param "ffw.up.weight" normal(0.2) : !down    %u  = peer.linear %n, %wu {transpose_weight} : !act, !down
  %a  = peer.activation %a0 silu : !hid                   %h  = arith.mulf %a, %u : !hid
  %wd = peer.param "ffw.down.weight" normal(0.2) : !down  %o  = peer.linear %h, %wd : !hid, !down
  %y  = arith.addf %x, %o : !act                          return %y : !act
}
func.func private @routed(%x0: !act) -> (!act, !f) {
  %x  = peer.call "attention" @attention(%x0) : (!act) -> !act
  %g  = peer.param "ffw_norm.weight" ones : !vec                   %n  = peer.rms_norm %x, %g : !act, !vec
  %q  = peer.reshape %n to tensor<?x1x1x16xf32> : !act
  %c  = peer.param "ffw.router" normal(0.5) : tensor<1x1x4x16xf32> %s  = peer.score %q, %c : tensor<?x1x1x16xf32>, tensor<1x1x4x16xf32>
  %i, %v = peer.select %s topk<2> : tensor<?x1x1x4xf32>            %w  = peer.gate %v softmax : tensor<?x1x2xf32>
  %p  = peer.param "ffw.experts" normal(0.2) group("experts") : tensor<32x3x16xf32>
  %o  = peer.mix %n, %i, %w, %p silu {rows_per_expert = 8} : !act, tensor<?x1x2xi32>, tensor<?x1x2xf32>, tensor<32x3x16xf32>
  %y  = arith.addf %x, %o : !act
  %f  = peer.expert_load %i keys 4 : tensor<?x1x2xi32>             %l  = peer.balance_loss %s, %f : tensor<?x1x1x4xf32>, tensor<1x4xf32>
  %b  = peer.mean %l : tensor<?xf32>                               return %y, %b : !act, !f
}
func.func private @model(%tokens: !ids) -> (!logits, !f) {
  %e  = peer.param "table" normal(0.5) : tensor<256x16xf32>       %x0 = peer.embedding %tokens, %e : !ids, tensor<256x16xf32>
  %x1 = peer.call "blocks.0" @dense(%x0) : (!act) -> !act         %x2, %b = peer.call "blocks.1" @routed(%x1) : (!act) -> (!act, !f)
  %x3 = peer.call "blocks.2" @gated(%x2) : (!act) -> !act
  %wh = peer.param "head" normal(0.2) : tensor<16x256xf32>        %y  = peer.linear %x3, %wh : !act, tensor<16x256xf32>
  return %y, %b : !logits, !f
}
func.func @logits(%tokens: !ids {peer.name = "tokens"}) -> (!logits {peer.name = "logits"}) {
  %y, %b = peer.call "" @model(%tokens) : (!ids) -> (!logits, !f)  return %y : !logits
}
func.func @loss(%tokens: !ids {peer.name = "tokens"}, %targets: !ids {peer.name = "targets"}) -> (!f {peer.name = "loss"}) attributes {peer.kind = "loss"} {
  %y  = peer.call "" @logits(%tokens) : (!ids) -> !logits
  %l  = peer.cross_entropy %y, %targets : !logits, !ids            %m  = peer.mean %l : tensor<?xf32>
  return %m : !f
}
func.func private @balanced(%tokens: !ids {peer.name = "tokens"}, %targets: !ids {peer.name = "targets"}) -> !f {
  %y, %b = peer.call "" @model(%tokens) : (!ids) -> (!logits, !f)
  %l  = peer.cross_entropy %y, %targets : !logits, !ids            %m  = peer.mean %l : tensor<?xf32>
  %c  = arith.constant dense<0.01> : !f                            %a  = arith.mulf %b, %c : !f
  %t  = arith.addf %m, %a : !f                                     return %t : !f
}
peer.train @train_step of @balanced {optimizer = #peer.adamw<learning_rate = 1.0e-2, clip_norm = 1.0>}
