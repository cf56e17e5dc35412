// Blocks with causal attention and a PEER layer with query norm, as small as they can be: for tests of what blocks share.
!act = tensor<?x8xf32>  !ids = tensor<?xi32>  !vec = tensor<8xf32>  !mat = tensor<8x8xf32>
func.func private @block(%x: !act) -> !act {
  %g  = peer.param "norm.weight" ones : !vec              %n  = peer.rms_norm %x, %g : !act, !vec
  %wv = peer.param "value" normal(0.3) : !mat             %v  = peer.linear %n, %wv : !act, !mat
  %a  = peer.attention %n, %n, %v heads 2 context 8 : !act, !act, !act
  %r  = arith.addf %x, %a : !act
  %bw = peer.param "query_norm.weight" ones : !vec        %bb = peer.param "query_norm.bias" zeros : !vec
  %bm = peer.param "query_norm.running_mean" zeros buffer : !vec  %bv = peer.param "query_norm.running_var" ones buffer : !vec
  %b  = peer.batch_norm %r, %bw, %bb, %bm, %bv : !act, !vec, !vec, !vec, !vec
  %q  = peer.reshape %b to tensor<?x1x2x4xf32> : !act     %c  = peer.param "keys" normal(0.4) : tensor<1x2x4x4xf32>
  %s  = peer.score %q, %c : tensor<?x1x2x4xf32>, tensor<1x2x4x4xf32>
  %i, %t = peer.select %s product_topk<2> : tensor<?x1x2x4xf32>  %w  = peer.gate %t softmax : tensor<?x1x2xf32>
  %p  = peer.param "experts" normal(0.5) group("experts") : tensor<16x2x8xf32>
  %o  = peer.mix %r, %i, %w, %p gelu : !act, tensor<?x1x2xi32>, tensor<?x1x2xf32>, tensor<16x2x8xf32>
  %y  = arith.addf %r, %o : !act
  return %y : !act
}
func.func @logits(%tokens: !ids {peer.name = "tokens"}) -> (tensor<?x256xf32> {peer.name = "logits"}) {
  %e  = peer.param "table" normal(0.5) : tensor<256x8xf32>  %x  = peer.embedding %tokens, %e : !ids, tensor<256x8xf32>
  %z  = peer.repeat "blocks" 5 @block(%x) : !act
  %wh = peer.param "head" normal(0.2) : tensor<8x256xf32>   %y  = peer.linear %z, %wh : !act, tensor<8x256xf32>
  return %y : tensor<?x256xf32>
}
func.func @loss(%tokens: !ids {peer.name = "tokens"}, %targets: !ids {peer.name = "targets"}) -> (tensor<f32> {peer.name = "loss"}) {
  %y  = peer.call "" @logits(%tokens) : (!ids) -> tensor<?x256xf32>
  %l  = peer.cross_entropy %y, %targets : tensor<?x256xf32>, !ids  %m  = peer.mean %l : tensor<?xf32>
  return %m : tensor<f32>
}
peer.train @train_step of @loss {optimizer = #peer.adamw<learning_rate = 1.0e-2, clip_norm = 1.0>,
                                 groups = {experts = #peer.adamw<learning_rate = 3.0e-2, clip_norm = 1.0, lazy = true>}}
peer.decode @decode prefill @prefill of @logits
