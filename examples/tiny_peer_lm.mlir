// A byte-level language model of three blocks; the middle one has a PEER layer with 65,536 experts in place of its FFW.
// Activations are T x 128: T tokens, sequences of 128 one after the other. Blocks are private functions: peer.call puts a
// prefix before the names of their parameters, so that they come out as in a PyTorch state dict.

// Causal attention with 4 heads and rotary positions, normed first, added to its input.
func.func private @attention(%x: tensor<?x128xf32>) -> tensor<?x128xf32> {
  %g  = peer.param "attention_norm.weight" ones : tensor<128xf32>
  %n  = peer.rms_norm %x, %g : tensor<?x128xf32>, tensor<128xf32>
  %wq = peer.param "attention.query.weight" normal(0.05) : tensor<128x128xf32>
  %wk = peer.param "attention.key.weight" normal(0.05) : tensor<128x128xf32>
  %wv = peer.param "attention.value.weight" normal(0.05) : tensor<128x128xf32>
  %wo = peer.param "attention.output.weight" normal(0.02) : tensor<128x128xf32>
  %q0 = peer.linear %n, %wq : tensor<?x128xf32>, tensor<128x128xf32>
  %k0 = peer.linear %n, %wk : tensor<?x128xf32>, tensor<128x128xf32>
  %v  = peer.linear %n, %wv : tensor<?x128xf32>, tensor<128x128xf32>
  %q  = peer.rotary %q0 heads 4 context 128 : tensor<?x128xf32>
  %k  = peer.rotary %k0 heads 4 context 128 : tensor<?x128xf32>
  %a  = peer.attention %q, %k, %v heads 4 context 128 : tensor<?x128xf32>, tensor<?x128xf32>, tensor<?x128xf32>
  %o  = peer.linear %a, %wo : tensor<?x128xf32>, tensor<128x128xf32>
  %y  = arith.addf %x, %o : tensor<?x128xf32>
  return %y : tensor<?x128xf32>
}

// A block with a dense feed-forward layer.
func.func private @dense_block(%x0: tensor<?x128xf32>) -> tensor<?x128xf32> {
  %x  = peer.call "" @attention(%x0) : (tensor<?x128xf32>) -> tensor<?x128xf32>
  %g  = peer.param "ffw_norm.weight" ones : tensor<128xf32>
  %n  = peer.rms_norm %x, %g : tensor<?x128xf32>, tensor<128xf32>
  %w1 = peer.param "ffw.up.weight" normal(0.05) : tensor<128x512xf32>
  %w2 = peer.param "ffw.down.weight" normal(0.02) : tensor<512x128xf32>
  %h0 = peer.linear %n, %w1 : tensor<?x128xf32>, tensor<128x512xf32>
  %h  = peer.activation %h0 gelu : tensor<?x512xf32>
  %o  = peer.linear %h, %w2 : tensor<?x512xf32>, tensor<512x128xf32>
  %y  = arith.addf %x, %o : tensor<?x128xf32>
  return %y : tensor<?x128xf32>
}

// A block with 256 * 256 single-neuron experts; each of 4 heads picks 8 of them per token.
func.func private @peer_block(%x0: tensor<?x128xf32>) -> tensor<?x128xf32> {
  %x  = peer.call "" @attention(%x0) : (tensor<?x128xf32>) -> tensor<?x128xf32>
  %g  = peer.param "ffw_norm.weight" ones : tensor<128xf32>
  %n  = peer.rms_norm %x, %g : tensor<?x128xf32>, tensor<128xf32>
  // A query of 128 numbers per head, batch-normed over tokens and heads: that spreads the use of experts.
  %wq = peer.param "ffw.query.weight" normal(0.05) : tensor<128x512xf32>
  %q0 = peer.linear %n, %wq : tensor<?x128xf32>, tensor<128x512xf32>
  %q1 = peer.reshape %q0 to tensor<?x128xf32> : tensor<?x512xf32>
  %bw = peer.param "ffw.query_norm.weight" ones : tensor<128xf32>
  %bb = peer.param "ffw.query_norm.bias" zeros : tensor<128xf32>
  %bm = peer.param "ffw.query_norm.running_mean" zeros buffer : tensor<128xf32>
  %bv = peer.param "ffw.query_norm.running_var" ones buffer : tensor<128xf32>
  %q2 = peer.batch_norm %q1, %bw, %bb, %bm, %bv
      : tensor<?x128xf32>, tensor<128xf32>, tensor<128xf32>, tensor<128xf32>, tensor<128xf32>
  %q  = peer.reshape %q2 to tensor<?x4x2x64xf32> : tensor<?x128xf32>
  // Two sets of 256 keys: expert i * 256 + j scores (first half of q) . c_i + (second half) . c'_j.
  %c  = peer.param "ffw.keys" normal(0.02) : tensor<4x2x256x64xf32>
  %s  = peer.score %q, %c : tensor<?x4x2x64xf32>, tensor<4x2x256x64xf32>
  %i, %v = peer.select %s product_topk<8> : tensor<?x4x2x256xf32>
  %w  = peer.gate %v softmax : tensor<?x4x8xf32>
  // Row e: expert e's u and v. o = sum of w * gelu(u . n) * v.
  %p  = peer.param "ffw.experts" normal(0.05) group("experts") : tensor<65536x2x128xf32>
  %o  = peer.mix %n, %i, %w, %p gelu : tensor<?x128xf32>, tensor<?x4x8xi32>, tensor<?x4x8xf32>, tensor<65536x2x128xf32>
  %y  = arith.addf %x, %o : tensor<?x128xf32>
  return %y : tensor<?x128xf32>
}

// Public functions are entries: what the artifact offers to peer-run.
func.func @logits(%tokens: tensor<?xi32> {peer.name = "tokens"}) -> (tensor<?x256xf32> {peer.name = "logits"}) {
  %e  = peer.param "token_embedding.weight" normal(0.05) : tensor<256x128xf32>
  %x0 = peer.embedding %tokens, %e : tensor<?xi32>, tensor<256x128xf32>
  %x1 = peer.call "blocks.0" @dense_block(%x0) : (tensor<?x128xf32>) -> tensor<?x128xf32>
  %x2 = peer.call "blocks.1" @peer_block(%x1) : (tensor<?x128xf32>) -> tensor<?x128xf32>
  %x3 = peer.call "blocks.2" @dense_block(%x2) : (tensor<?x128xf32>) -> tensor<?x128xf32>
  %g  = peer.param "final_norm.weight" ones : tensor<128xf32>
  %n  = peer.rms_norm %x3, %g : tensor<?x128xf32>, tensor<128xf32>
  %wh = peer.param "head.weight" normal(0.02) : tensor<128x256xf32>
  %y  = peer.linear %n, %wh : tensor<?x128xf32>, tensor<128x256xf32>
  return %y : tensor<?x256xf32>
}

// The mean cross entropy of the next byte, in nats.
func.func @loss(%tokens: tensor<?xi32> {peer.name = "tokens"}, %targets: tensor<?xi32> {peer.name = "targets"})
    -> (tensor<f32> {peer.name = "loss"}) {
  %y = peer.call "" @logits(%tokens) : (tensor<?xi32>) -> tensor<?x256xf32>
  %l = peer.cross_entropy %y, %targets : tensor<?x256xf32>, tensor<?xi32>
  %m = peer.mean %l : tensor<?xf32>
  return %m : tensor<f32>
}

// Entries that the compiler derives: one training step, with touched-row updates of the expert table, and decoding
// with a key-value cache.
peer.train @train_step of @loss {optimizer = #peer.adamw<learning_rate = 2.0e-3, weight_decay = 0.01, clip_norm = 1.0>,
                                 groups = {experts = #peer.adamw<learning_rate = 8.0e-3, clip_norm = 1.0, lazy = true>}}
peer.decode @decode prefill @prefill of @logits
