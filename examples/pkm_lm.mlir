// A byte-level language model with a product-key memory (PKM, arXiv 1907.05242): two blocks of width 64, the second with
// 16,384 values as its feed-forward layer. A memory is a pool of F = 1 vector per row: the mix adds up values, and nothing
// stands between a token and them but the weights.

!act = tensor<?x64xf32>  !hid = tensor<?x256xf32>  !ids = tensor<?xi32>  !logits = tensor<?x256xf32>  !vec = tensor<64xf32>
!mat = tensor<64x64xf32>  !up = tensor<64x256xf32>  !down = tensor<256x64xf32>
!keys = tensor<4x2x128x32xf32>  !values = tensor<16384x1x64xf32>

func.func private @attention(%x: !act) -> !act {
  %g  = peer.param "attention_norm.weight" ones : !vec            %n  = peer.rms_norm %x, %g : !act, !vec
  %wq = peer.param "attention.query.weight" normal(0.05) : !mat   %q0 = peer.linear %n, %wq : !act, !mat
  %wk = peer.param "attention.key.weight" normal(0.05) : !mat     %k0 = peer.linear %n, %wk : !act, !mat
  %wv = peer.param "attention.value.weight" normal(0.05) : !mat   %v  = peer.linear %n, %wv : !act, !mat
  %q  = peer.rotary %q0 heads 4 context 64 : !act                 %k  = peer.rotary %k0 heads 4 context 64 : !act
  %a  = peer.attention %q, %k, %v heads 4 context 64 : !act, !act, !act
  %wo = peer.param "attention.output.weight" normal(0.02) : !mat  %o  = peer.linear %a, %wo : !act, !mat
  %y  = arith.addf %x, %o : !act
  return %y : !act
}

func.func private @dense_block(%x0: !act) -> !act {
  %x  = peer.call "" @attention(%x0) : (!act) -> !act
  %g  = peer.param "ffw_norm.weight" ones : !vec           %n  = peer.rms_norm %x, %g : !act, !vec
  %w1 = peer.param "ffw.up.weight" normal(0.05) : !up      %h0 = peer.linear %n, %w1 : !act, !up
  %h  = peer.activation %h0 gelu : !hid
  %w2 = peer.param "ffw.down.weight" normal(0.02) : !down  %o  = peer.linear %h, %w2 : !hid, !down
  %y  = arith.addf %x, %o : !act
  return %y : !act
}

func.func private @memory_block(%x0: !act) -> !act {
  %x  = peer.call "" @attention(%x0) : (!act) -> !act
  %g  = peer.param "ffw_norm.weight" ones : !vec          %n  = peer.rms_norm %x, %g : !act, !vec
  // A query of 64 numbers for each of 4 heads, batch-normed as in the paper: more of the memory is used.
  %wq = peer.param "ffw.query.weight" normal(0.1) : !up   %q0 = peer.linear %n, %wq : !act, !up
  %q1 = peer.reshape %q0 to !act : !hid
  %bw = peer.param "ffw.query_norm.weight" ones : !vec                %bb = peer.param "ffw.query_norm.bias" zeros : !vec
  %bm = peer.param "ffw.query_norm.running_mean" zeros buffer : !vec  %bv = peer.param "ffw.query_norm.running_var" ones buffer : !vec
  %q2 = peer.batch_norm %q1, %bw, %bb, %bm, %bv : !act, !vec, !vec, !vec, !vec
  %q  = peer.reshape %q2 to tensor<?x4x2x32xf32> : !act
  // 128 keys for each half of a query number 128 * 128 values; each head takes 16.
  %c  = peer.param "ffw.keys" normal(0.1) : !keys         %s  = peer.score %q, %c : tensor<?x4x2x32xf32>, !keys
  %i, %v = peer.select %s product_topk<16> : tensor<?x4x2x128xf32>   %w = peer.gate %v softmax : tensor<?x4x16xf32>
  // Rows of one vector have no activation.
  %p  = peer.param "ffw.values" normal(0.1) group("values") : !values
  %o  = peer.mix %n, %i, %w, %p : !act, tensor<?x4x16xi32>, tensor<?x4x16xf32>, !values
  %y  = arith.addf %x, %o : !act
  return %y : !act
}

func.func @logits(%tokens: !ids {peer.name = "tokens"}) -> (!logits {peer.name = "logits"}) {
  %e  = peer.param "token_embedding.weight" normal(0.05) : tensor<256x64xf32>  %x0 = peer.embedding %tokens, %e : !ids, tensor<256x64xf32>
  %x1 = peer.call "blocks.0" @dense_block(%x0) : (!act) -> !act
  %x2 = peer.call "blocks.1" @memory_block(%x1) : (!act) -> !act
  %g  = peer.param "final_norm.weight" ones : !vec        %n  = peer.rms_norm %x2, %g : !act, !vec
  %wh = peer.param "head.weight" normal(0.05) : !up       %y  = peer.linear %n, %wh : !act, !up
  return %y : !logits
}

func.func @loss(%tokens: !ids {peer.name = "tokens"}, %targets: !ids {peer.name = "targets"}) -> (tensor<f32> {peer.name = "loss"}) {
  %y  = peer.call "" @logits(%tokens) : (!ids) -> !logits
  %l  = peer.cross_entropy %y, %targets : !logits, !ids   %m  = peer.mean %l : tensor<?xf32>
  return %m : tensor<f32>
}

// The values learn with a rate of their own, and only those that a step used move.
peer.train @train_step of @loss {optimizer = #peer.adamw<learning_rate = 2.0e-3, weight_decay = 0.01, clip_norm = 1.0>,
                                 groups = {values = #peer.adamw<learning_rate = 8.0e-3, beta1 = 0.0, lazy = true>}}
peer.decode @decode prefill @prefill of @logits
