// A byte-level language model: three blocks of width 128, the middle one with 65,536 experts as its feed-forward layer.
// Activations are T x 128: T tokens, sequences of 128 one after the other; `?` is T, known when it runs. A parameter is
// declared where it is used, with its first values; its full name is like a PyTorch state dict's: blocks.1.ffw.experts.

// Types by name. !act: activations; !hid: inside a dense feed-forward layer.
!act = tensor<?x128xf32>  !hid = tensor<?x512xf32>  !ids = tensor<?xi32>  !logits = tensor<?x256xf32>  !vec = tensor<128xf32>
!mat = tensor<128x128xf32>  !up = tensor<128x512xf32>  !down = tensor<512x128xf32>
!table = tensor<256x128xf32>  !head = tensor<128x256xf32>
!query = tensor<?x64xf32>  !qvec = tensor<64xf32>  !keys = tensor<4x2x256x32xf32>  !pool = tensor<65536x2x128xbf16>

// Causal attention with 4 heads and rotary positions; normed before, added to its input after.
func.func private @attention(%x: !act) -> !act {
  %g  = peer.param "attention_norm.weight" ones : !vec            %n  = peer.rms_norm %x, %g : !act, !vec
  %wq = peer.param "attention.query.weight" normal(0.05) : !mat   %q0 = peer.linear %n, %wq : !act, !mat
  %wk = peer.param "attention.key.weight" normal(0.05) : !mat     %k0 = peer.linear %n, %wk : !act, !mat
  %wv = peer.param "attention.value.weight" normal(0.05) : !mat   %v  = peer.linear %n, %wv : !act, !mat
  %q  = peer.rotary %q0 heads 4 context 128 : !act                %k  = peer.rotary %k0 heads 4 context 128 : !act
  %a  = peer.attention %q, %k, %v heads 4 context 128 : !act, !act, !act
  %wo = peer.param "attention.output.weight" normal(0.02) : !mat  %o  = peer.linear %a, %wo : !act, !mat
  %y  = arith.addf %x, %o : !act
  return %y : !act
}

// Attention, then a dense feed-forward layer. peer.call puts a prefix before the names of parameters; "" adds nothing.
func.func private @dense_block(%x0: !act) -> !act {
  %x  = peer.call "" @attention(%x0) : (!act) -> !act
  %g  = peer.param "ffw_norm.weight" ones : !vec           %n  = peer.rms_norm %x, %g : !act, !vec
  %w1 = peer.param "ffw.up.weight" normal(0.05) : !up      %h0 = peer.linear %n, %w1 : !act, !up
  %h  = peer.activation %h0 gelu : !hid
  %w2 = peer.param "ffw.down.weight" normal(0.02) : !down  %o  = peer.linear %h, %w2 : !hid, !down
  %y  = arith.addf %x, %o : !act
  return %y : !act
}

// Attention, then a PEER layer (arXiv 2407.04153): 256 * 256 experts of one neuron, of which each of 4 heads picks 32.
func.func private @peer_block(%x0: !act) -> !act {
  %x  = peer.call "" @attention(%x0) : (!act) -> !act
  %g  = peer.param "ffw_norm.weight" ones : !vec          %n  = peer.rms_norm %x, %g : !act, !vec
  // A query of 64 numbers per head, batch-normed over tokens and heads: that spreads the use of experts.
  // `buffer` marks its running statistics: training moves them without a gradient, and inference uses them.
  %wq = peer.param "ffw.query.weight" normal(0.05) : tensor<128x256xf32>
  %q0 = peer.linear %n, %wq : !act, tensor<128x256xf32>  %q1 = peer.reshape %q0 to !query : tensor<?x256xf32>
  %bw = peer.param "ffw.query_norm.weight" ones : !qvec   %bb = peer.param "ffw.query_norm.bias" zeros : !qvec
  %bm = peer.param "ffw.query_norm.running_mean" zeros buffer : !qvec
  %bv = peer.param "ffw.query_norm.running_var" ones buffer : !qvec
  %q2 = peer.batch_norm %q1, %bw, %bb, %bm, %bv : !query, !qvec, !qvec, !qvec, !qvec
  %q  = peer.reshape %q2 to tensor<?x4x2x32xf32> : !query
  // 256 keys for each half of a query: expert i * 256 + j scores (first half) . c_i + (second half) . c'_j. Keys begin as wide as
  // those of PKM (1907.05242), whose deviation is 1 / sqrt(3 * 32): beside normed queries smaller ones tell experts hardly apart.
  %c  = peer.param "ffw.keys" normal(0.1) : !keys        %s  = peer.score %q, %c : tensor<?x4x2x32xf32>, !keys
  %i, %v = peer.select %s product_topk<32> : tensor<?x4x2x256xf32>   %w = peer.gate %v softmax : tensor<?x4x32xf32>
  // Row e holds expert e's vectors u and v: o = sum over the chosen of w * gelu(u . n) * v. In bf16, since what rows cost is to
  // read them; a step rounds them by chance, so that none is lost. The group tells the optimizer the table from the dense weights.
  %p  = peer.param "ffw.experts" normal(0.05) group("experts") : !pool
  %o  = peer.mix %n, %i, %w, %p gelu : !act, tensor<?x4x32xi32>, tensor<?x4x32xf32>, !pool
  %y  = arith.addf %x, %o : !act
  return %y : !act
}

// Public functions are entries, which peer-run calls by name.
func.func @logits(%tokens: !ids {peer.name = "tokens"}) -> (!logits {peer.name = "logits"}) {
  %e  = peer.param "token_embedding.weight" normal(0.05) : !table  %x0 = peer.embedding %tokens, %e : !ids, !table
  %x1 = peer.call "blocks.0" @dense_block(%x0) : (!act) -> !act
  %x2 = peer.call "blocks.1" @peer_block(%x1) : (!act) -> !act
  %x3 = peer.call "blocks.2" @dense_block(%x2) : (!act) -> !act
  %g  = peer.param "final_norm.weight" ones : !vec                 %n  = peer.rms_norm %x3, %g : !act, !vec
  %wh = peer.param "head.weight" normal(0.02) : !head              %y  = peer.linear %n, %wh : !act, !head
  return %y : !logits
}

// What training brings down: the mean cross entropy of the next byte, in nats.
func.func @loss(%tokens: !ids {peer.name = "tokens"}, %targets: !ids {peer.name = "targets"}) -> (tensor<f32> {peer.name = "loss"}) {
  %y  = peer.call "" @logits(%tokens) : (!ids) -> !logits
  %l  = peer.cross_entropy %y, %targets : !logits, !ids  %m  = peer.mean %l : tensor<?xf32>
  return %m : tensor<f32>
}

// Entries that the compiler derives: a training step that updates the dense weights and the rows of the expert table
// that the batch touched, and decoding with a key-value cache. A row learns from few tokens of a batch, hence its larger rate; that
// of the step before is of other tokens, hence no momentum. One second moment per row is enough.
peer.train @train_step of @loss {optimizer = #peer.adamw<learning_rate = 7.0e-4, weight_decay = 0.01, clip_norm = 1.0>,
                                 groups = {experts = #peer.rowwise_adam<learning_rate = 7.0e-3, beta1 = 0.0, lazy = true>}}
peer.decode @decode prefill @prefill of @logits
