// E3 (arXiv 2110.03360) on the trunk of tiny_peer_lm.mlir: an ensemble within a mixture of experts. From the routed layer on every token is there twice; each copy picks 2
// experts within its own half of 16, weighted by the softmax over that half, and all else is shared. What the model predicts is the mean of the copies' probabilities;
// what training brings down is, our choice, the mean of their losses. Left out: the balance loss.

!act = tensor<?x128xf32>  !hid = tensor<?x512xf32>  !ids = tensor<?xi32>  !logits = tensor<?x256xf32>  !vec = tensor<128xf32>  !mat = tensor<128x128xf32>
!up = tensor<128x512xf32>  !down = tensor<512x128xf32>  !table = tensor<256x128xf32>  !head = tensor<128x256xf32>
!router = tensor<128x16xf32>  !half = tensor<128x8xf32>  !pool = tensor<4096x2x128xf32>  !part = tensor<2048x2x128xf32>

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

func.func private @dense_block(%x0: !act) -> !act {
  %x  = peer.call "" @attention(%x0) : (!act) -> !act
  %g  = peer.param "ffw_norm.weight" ones : !vec           %n  = peer.rms_norm %x, %g : !act, !vec
  %w1 = peer.param "ffw.up.weight" normal(0.05) : !up      %h0 = peer.linear %n, %w1 : !act, !up
  %w2 = peer.param "ffw.down.weight" normal(0.02) : !down  %h  = peer.activation %h0 gelu : !hid
  %o  = peer.linear %h, %w2 : !hid, !down                  %y  = arith.addf %x, %o : !act  return %y : !act
}

// A copy's way from the routed layer to its logits: the router and the experts that it is given are its own, all other parameters have one name for both.
func.func private @member(%x0: !act, %wr: !half, %p: !part) -> !logits {
  %x  = peer.call "blocks.1" @attention(%x0) : (!act) -> !act
  %g  = peer.param "blocks.1.ffw_norm.weight" ones : !vec  %n  = peer.rms_norm %x, %g : !act, !vec
  %l  = peer.linear %n, %wr : !act, !half                  %s  = peer.reshape %l to tensor<?x1x1x8xf32> : tensor<?x8xf32>
  %i, %v = peer.select %s topk<2> : tensor<?x1x1x8xf32>    %w  = peer.probability %v, %s : tensor<?x1x2xf32>, tensor<?x1x1x8xf32>
  %o  = peer.mix %n, %i, %w, %p gelu {rows_per_expert = 256} : !act, tensor<?x1x2xi32>, tensor<?x1x2xf32>, !part
  %x1 = arith.addf %x, %o : !act                           %x2 = peer.call "blocks.2" @dense_block(%x1) : (!act) -> !act
  %gf = peer.param "final_norm.weight" ones : !vec         %f  = peer.rms_norm %x2, %gf : !act, !vec
  %wh = peer.param "head.weight" normal(0.02) : !head      %y  = peer.linear %f, %wh : !act, !head  return %y : !logits
}

func.func private @members(%tokens: !ids) -> (!logits, !logits) {
  %e  = peer.param "token_embedding.weight" normal(0.05) : !table          %x0 = peer.embedding %tokens, %e : !ids, !table
  %wr = peer.param "blocks.1.ffw.router.weight" normal(0.05) : !router     %p  = peer.param "blocks.1.ffw.experts" normal(0.05) : !pool
  %wa = peer.slice %wr along 1 from 0 size 8 : !router                     %wb = peer.slice %wr along 1 from 8 size 8 : !router
  %pa = peer.slice %p along 0 from 0 size 2048 : !pool                     %pb = peer.slice %p along 0 from 2048 size 2048 : !pool
  %x1 = peer.call "blocks.0" @dense_block(%x0) : (!act) -> !act
  %a  = peer.call "" @member(%x1, %wa, %pa) : (!act, !half, !part) -> !logits
  %b  = peer.call "" @member(%x1, %wb, %pb) : (!act, !half, !part) -> !logits  return %a, %b : !logits, !logits
}

func.func @logits(%tokens: !ids {peer.name = "tokens"}) -> (!logits {peer.name = "logits"}) {
  %a, %b = peer.call "" @members(%tokens) : (!ids) -> (!logits, !logits)
  %pa = peer.softmax %a : !logits                          %pb = peer.softmax %b : !logits
  %s  = arith.addf %pa, %pb : !logits                      %y  = math.log %s : !logits  return %y : !logits
}
func.func @loss(%tokens: !ids {peer.name = "tokens"}, %targets: !ids {peer.name = "targets"}) -> (tensor<f32> {peer.name = "loss"}) attributes {peer.kind = "loss"} {
  %y  = peer.call "" @logits(%tokens) : (!ids) -> !logits
  %l  = peer.cross_entropy %y, %targets : !logits, !ids    %m  = peer.mean %l : tensor<?xf32>  return %m : tensor<f32>
}
func.func private @joint(%tokens: !ids {peer.name = "tokens"}, %targets: !ids {peer.name = "targets"}) -> (tensor<f32> {peer.name = "loss"}) {
  %a, %b = peer.call "" @members(%tokens) : (!ids) -> (!logits, !logits)
  %la = peer.cross_entropy %a, %targets : !logits, !ids    %lb = peer.cross_entropy %b, %targets : !logits, !ids
  %s  = arith.addf %la, %lb : tensor<?xf32>                %d  = peer.mean %s : tensor<?xf32>
  %c  = arith.constant dense<0.5> : tensor<f32>            %m  = arith.mulf %d, %c : tensor<f32>  return %m : tensor<f32>
}
peer.train @train_step of @joint {optimizer = #peer.adamw<learning_rate = 2.0e-3, weight_decay = 0.01, clip_norm = 1.0>}
peer.decode @decode prefill @prefill of @logits
