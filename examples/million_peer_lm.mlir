// A byte-level language model of 12 blocks, width 256; block 5 has a PEER layer with 1,048,576 experts (arXiv 2407.04153).
// tiny_peer_lm.mlir is the same model in small, with every step explained.
!act = tensor<?x256xf32>  !hid = tensor<?x1024xf32>  !ids = tensor<?xi32>  !logits = tensor<?x256xf32>  !vec = tensor<256xf32>
!mat = tensor<256x256xf32>  !up = tensor<256x1024xf32>  !down = tensor<1024x256xf32>
!table = tensor<256x256xf32>  !head = tensor<256x256xf32>
!query = tensor<?x256xf32>  !qvec = tensor<256xf32>  !keys = tensor<8x2x1024x128xf32>  !pool = tensor<1048576x2x256xf32>
func.func private @attention(%x: !act) -> !act {
  %g  = peer.param "attention_norm.weight" ones : !vec            %n  = peer.rms_norm %x, %g : !act, !vec
  %wq = peer.param "attention.query.weight" normal(0.03) : !mat   %q0 = peer.linear %n, %wq : !act, !mat
  %wk = peer.param "attention.key.weight" normal(0.03) : !mat     %k0 = peer.linear %n, %wk : !act, !mat
  %wv = peer.param "attention.value.weight" normal(0.03) : !mat   %v  = peer.linear %n, %wv : !act, !mat
  %q  = peer.rotary %q0 heads 8 context 256 : !act                %k  = peer.rotary %k0 heads 8 context 256 : !act
  %a  = peer.attention %q, %k, %v heads 8 context 256 : !act, !act, !act
  %wo = peer.param "attention.output.weight" normal(0.01) : !mat  %o  = peer.linear %a, %wo : !act, !mat
  %y  = arith.addf %x, %o : !act
  return %y : !act
}
func.func private @dense_block(%x0: !act) -> !act {
  %x  = peer.call "" @attention(%x0) : (!act) -> !act
  %g  = peer.param "ffw_norm.weight" ones : !vec           %n  = peer.rms_norm %x, %g : !act, !vec
  %w1 = peer.param "ffw.up.weight" normal(0.03) : !up      %h0 = peer.linear %n, %w1 : !act, !up
  %h  = peer.activation %h0 gelu : !hid
  %w2 = peer.param "ffw.down.weight" normal(0.01) : !down  %o  = peer.linear %h, %w2 : !hid, !down
  %y  = arith.addf %x, %o : !act
  return %y : !act
}
func.func private @peer_block(%x0: !act) -> !act {
  %x  = peer.call "" @attention(%x0) : (!act) -> !act
  %g  = peer.param "ffw_norm.weight" ones : !vec          %n  = peer.rms_norm %x, %g : !act, !vec
  %wq = peer.param "ffw.query.weight" normal(0.03) : tensor<256x2048xf32>
  %q0 = peer.linear %n, %wq : !act, tensor<256x2048xf32>  %q1 = peer.reshape %q0 to !query : tensor<?x2048xf32>
  %bw = peer.param "ffw.query_norm.weight" ones : !qvec   %bb = peer.param "ffw.query_norm.bias" zeros : !qvec
  %bm = peer.param "ffw.query_norm.running_mean" zeros buffer : !qvec
  %bv = peer.param "ffw.query_norm.running_var" ones buffer : !qvec
  %q2 = peer.batch_norm %q1, %bw, %bb, %bm, %bv : !query, !qvec, !qvec, !qvec, !qvec
  %q  = peer.reshape %q2 to tensor<?x8x2x128xf32> : !query
  %c  = peer.param "ffw.keys" normal(0.02) : !keys        %s  = peer.score %q, %c : tensor<?x8x2x128xf32>, !keys
  %i, %v = peer.select %s product_topk<16> : tensor<?x8x2x1024xf32>   %w = peer.gate %v softmax : tensor<?x8x16xf32>
  %p  = peer.param "ffw.experts" normal(0.03) group("experts") : !pool
  %o  = peer.mix %n, %i, %w, %p gelu : !act, tensor<?x8x16xi32>, tensor<?x8x16xf32>, !pool
  %y  = arith.addf %x, %o : !act
  return %y : !act
}
func.func @logits(%tokens: !ids {peer.name = "tokens"}) -> (!logits {peer.name = "logits"}) {
  %e  = peer.param "token_embedding.weight" normal(0.03) : !table  %x0 = peer.embedding %tokens, %e : !ids, !table
  %x1 = peer.repeat "blocks" 5 @dense_block(%x0) : !act            // blocks.0 to blocks.4
  %x2 = peer.call "blocks.5" @peer_block(%x1) : (!act) -> !act
  %x3 = peer.repeat "blocks" 6 from 6 @dense_block(%x2) : !act     // blocks.6 to blocks.11
  %g  = peer.param "final_norm.weight" ones : !vec                 %n  = peer.rms_norm %x3, %g : !act, !vec
  %wh = peer.param "head.weight" normal(0.02) : !head              %y  = peer.linear %n, %wh : !act, !head
  return %y : !logits
}
func.func @loss(%tokens: !ids {peer.name = "tokens"}, %targets: !ids {peer.name = "targets"}) -> (tensor<f32> {peer.name = "loss"}) {
  %y  = peer.call "" @logits(%tokens) : (!ids) -> !logits
  %l  = peer.cross_entropy %y, %targets : !logits, !ids  %m  = peer.mean %l : tensor<?xf32>
  return %m : tensor<f32>
}
peer.train @train_step of @loss {optimizer = #peer.adamw<learning_rate = 1.0e-3, weight_decay = 0.01, clip_norm = 1.0>,
                                 groups = {experts = #peer.adamw<learning_rate = 4.0e-3, beta1 = 0.0, clip_norm = 1.0, lazy = true>}}
peer.decode @decode prefill @prefill of @logits
