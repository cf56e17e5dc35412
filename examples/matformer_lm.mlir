// MatFormer (arXiv 2310.07707) on the trunk of tiny_dense_lm.mlir: the first 128 of the 512 hidden units of each feed-forward layer make a smaller model
// with the same attention, which is trained together with the whole one: each step draws by chance which of both it trains. The paper nests and draws from
// four sizes; more sizes are more blocks like @small_block and more draws. A step computes both, and the one that was not drawn has a gradient of 0.

!act = tensor<?x128xf32>  !hid = tensor<?x512xf32>  !few = tensor<?x128xf32>  !ids = tensor<?xi32>  !logits = tensor<?x256xf32>  !vec = tensor<128xf32>
!mat = tensor<128x128xf32>  !up = tensor<128x512xf32>  !down = tensor<512x128xf32>  !table = tensor<256x128xf32>  !head = tensor<128x256xf32>

func.func private @attention(%x: !act) -> !act {
  %g  = peer.param "attention_norm.weight" ones : !vec            %n  = peer.rms_norm %x, %g : !act, !vec
  %wq = peer.param "attention.query.weight" normal(0.05) : !mat   %q0 = peer.linear %n, %wq : !act, !mat
  %wk = peer.param "attention.key.weight" normal(0.05) : !mat     %k0 = peer.linear %n, %wk : !act, !mat
  %wv = peer.param "attention.value.weight" normal(0.05) : !mat   %v  = peer.linear %n, %wv : !act, !mat
  %q  = peer.rotary %q0 heads 4 context 128 : !act                %k  = peer.rotary %k0 heads 4 context 128 : !act
  %a  = peer.attention %q, %k, %v heads 4 context 128 : !act, !act, !act
  %wo = peer.param "attention.output.weight" normal(0.02) : !mat  %o  = peer.linear %a, %wo : !act, !mat
  %y  = arith.addf %x, %o : !act                                  return %y : !act
}

func.func private @block(%x0: !act) -> !act {
  %x  = peer.call "" @attention(%x0) : (!act) -> !act
  %g  = peer.param "ffw_norm.weight" ones : !vec           %n  = peer.rms_norm %x, %g : !act, !vec
  %w1 = peer.param "ffw.up.weight" normal(0.05) : !up      %w2 = peer.param "ffw.down.weight" normal(0.02) : !down
  %h0 = peer.linear %n, %w1 : !act, !up                    %h  = peer.activation %h0 gelu : !hid
  %o  = peer.linear %h, %w2 : !hid, !down                  %y  = arith.addf %x, %o : !act  return %y : !act
}

// The same parameters by the same names, of which it takes the first hidden units.
func.func private @small_block(%x0: !act) -> !act {
  %x  = peer.call "" @attention(%x0) : (!act) -> !act
  %g  = peer.param "ffw_norm.weight" ones : !vec           %n  = peer.rms_norm %x, %g : !act, !vec
  %w1 = peer.param "ffw.up.weight" normal(0.05) : !up      %w2 = peer.param "ffw.down.weight" normal(0.02) : !down
  %u  = peer.slice %w1 along 1 from 0 size 128 : !up       %d  = peer.slice %w2 along 0 from 0 size 128 : !down
  %h0 = peer.linear %n, %u : !act, !mat                    %h  = peer.activation %h0 gelu : !few
  %o  = peer.linear %h, %d : !few, !mat                    %y  = arith.addf %x, %o : !act  return %y : !act
}

func.func private @predict(%x: !act) -> !logits {
  %g  = peer.param "final_norm.weight" ones : !vec         %n  = peer.rms_norm %x, %g : !act, !vec
  %wh = peer.param "head.weight" normal(0.02) : !head      %y  = peer.linear %n, %wh : !act, !head  return %y : !logits
}
func.func private @embed(%tokens: !ids) -> !act {
  %e  = peer.param "token_embedding.weight" normal(0.05) : !table  %x = peer.embedding %tokens, %e : !ids, !table  return %x : !act
}
func.func @logits(%tokens: !ids {peer.name = "tokens"}) -> (!logits {peer.name = "logits"}) {
  %x0 = peer.call "" @embed(%tokens) : (!ids) -> !act      %x3 = peer.repeat "blocks" 3 @block(%x0) : !act
  %y  = peer.call "" @predict(%x3) : (!act) -> !logits     return %y : !logits
}
func.func @small_logits(%tokens: !ids {peer.name = "tokens"}) -> (!logits {peer.name = "logits"}) {
  %x0 = peer.call "" @embed(%tokens) : (!ids) -> !act      %x3 = peer.repeat "blocks" 3 @small_block(%x0) : !act
  %y  = peer.call "" @predict(%x3) : (!act) -> !logits     return %y : !logits
}

// What evaluations report is the whole model's loss; the other one is there to call.
func.func @loss(%tokens: !ids {peer.name = "tokens"}, %targets: !ids {peer.name = "targets"}) -> (tensor<f32> {peer.name = "loss"}) attributes {peer.kind = "loss"} {
  %y  = peer.call "" @logits(%tokens) : (!ids) -> !logits
  %l  = peer.cross_entropy %y, %targets : !logits, !ids    %m  = peer.mean %l : tensor<?xf32>  return %m : tensor<f32>
}
func.func @small_loss(%tokens: !ids {peer.name = "tokens"}, %targets: !ids {peer.name = "targets"}) -> (tensor<f32> {peer.name = "loss"}) {
  %y  = peer.call "" @small_logits(%tokens) : (!ids) -> !logits
  %l  = peer.cross_entropy %y, %targets : !logits, !ids    %m  = peer.mean %l : tensor<?xf32>  return %m : tensor<f32>
}
func.func private @drawn(%tokens: !ids {peer.name = "tokens"}, %targets: !ids {peer.name = "targets"}) -> (tensor<f32> {peer.name = "loss"}) {
  %a  = peer.call "" @loss(%tokens, %targets) : (!ids, !ids) -> tensor<f32>
  %b  = peer.call "" @small_loss(%tokens, %targets) : (!ids, !ids) -> tensor<f32>
  // A 1 that is dropped with a chance of 1/2 is 0 or 2, another draw for each step: the loss is that of one of both.
  %i  = arith.constant dense<1.0> : tensor<1xf32>          %h  = arith.constant dense<0.5> : tensor<f32>
  %d0 = peer.dropout %i {rate = 0.5 : f32} : tensor<1xf32>  %d1 = peer.reduce sum %d0 along [0] : tensor<1xf32>
  %d  = arith.mulf %d1, %h : tensor<f32>                   %e  = arith.subf %a, %b : tensor<f32>
  %s  = arith.mulf %d, %e : tensor<f32>                    %m  = arith.addf %b, %s : tensor<f32>  return %m : tensor<f32>
}
peer.train @train_step of @drawn {optimizer = #peer.adamw<learning_rate = 2.0e-3, weight_decay = 0.01, clip_norm = 1.0>}
peer.decode @decode prefill @prefill of @logits
