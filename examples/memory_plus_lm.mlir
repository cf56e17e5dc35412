// A byte-level language model with Memory+ layers (Meta, "Memory Layers at Scale", arXiv 2412.09764): one pool of 4,096 values, which
// two of three blocks share, each by queries and keys of its own. What a layer retrieves is gated by its input, y = W2 (m * silu(W1 n)), and the
// whole by a number per token, sigmoid(g . n). Queries are normed; where the paper norms the keys, too, they learn their length here.

!act = tensor<?x64xf32>  !hid = tensor<?x256xf32>  !ids = tensor<?xi32>  !logits = tensor<?x256xf32>  !vec = tensor<64xf32>
!mat = tensor<64x64xf32>  !up = tensor<64x256xf32>  !down = tensor<256x64xf32>  !half = tensor<?x32xf32>
!keys = tensor<4x2x64x32xf32>  !values = tensor<4096x1x64xf32>

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

func.func private @memory_block(%x0: !act, %values: !values) -> !act {
  %x  = peer.call "" @attention(%x0) : (!act) -> !act
  %g  = peer.param "ffw_norm.weight" ones : !vec            %n  = peer.rms_norm %x, %g : !act, !vec
  // 4 heads, each with a query of two halves of 32 numbers, normed one by one.
  %wq = peer.param "memory.query.weight" normal(0.1) : !up  %q0 = peer.linear %n, %wq : !act, !up
  %gq = peer.param "memory.query_norm.weight" ones : tensor<32xf32>  %q1 = peer.reshape %q0 to !half : !hid
  %q2 = peer.rms_norm %q1, %gq : !half, tensor<32xf32>  %q = peer.reshape %q2 to tensor<?x4x2x32xf32> : !half
  %c  = peer.param "memory.keys" normal(0.1) : !keys        %s  = peer.score %q, %c : tensor<?x4x2x32xf32>, !keys
  %i, %v = peer.select %s product_topk<8> : tensor<?x4x2x64xf32>   %w = peer.gate %v softmax : tensor<?x4x8xf32>
  %m  = peer.mix %n, %i, %w, %values : !act, tensor<?x4x8xi32>, tensor<?x4x8xf32>, !values
  %w1 = peer.param "memory.swilu.weight" normal(0.1) : !mat   %a0 = peer.linear %n, %w1 : !act, !mat
  %a  = peer.activation %a0 silu : !act                       %h  = arith.mulf %m, %a : !act
  %w2 = peer.param "memory.output.weight" normal(0.1) : !mat  %p  = peer.linear %h, %w2 : !act, !mat
  // A gate of one head and one selection is a sigmoid per token.
  %wg = peer.param "memory.gate.weight" normal(0.1) : tensor<64x1xf32>  %z = peer.linear %n, %wg : !act, tensor<64x1xf32>
  %z1 = peer.reshape %z to tensor<?x1x1xf32> : tensor<?x1xf32>          %z2 = peer.gate %z1 sigmoid : tensor<?x1x1xf32>
  %z3 = peer.reshape %z2 to tensor<?xf32> : tensor<?x1x1xf32>
  %b  = peer.broadcast %z3 like %x along [1] : tensor<?xf32>, !act      %o  = arith.mulf %b, %p : !act
  %y  = arith.addf %x, %o : !act
  return %y : !act
}

func.func @logits(%tokens: !ids {peer.name = "tokens"}) -> (!logits {peer.name = "logits"}) {
  %e  = peer.param "token_embedding.weight" normal(0.05) : tensor<256x64xf32>  %x0 = peer.embedding %tokens, %e : !ids, tensor<256x64xf32>
  %p  = peer.param "values" normal(0.1) group("values") : !values
  %x1 = peer.call "blocks.0" @memory_block(%x0, %p) : (!act, !values) -> !act
  %x2 = peer.call "blocks.1" @dense_block(%x1) : (!act) -> !act
  %x3 = peer.call "blocks.2" @memory_block(%x2, %p) : (!act, !values) -> !act
  %g  = peer.param "final_norm.weight" ones : !vec           %n  = peer.rms_norm %x3, %g : !act, !vec
  %wh = peer.param "head.weight" normal(0.05) : !up          %y  = peer.linear %n, %wh : !act, !up
  return %y : !logits
}

func.func @loss(%tokens: !ids {peer.name = "tokens"}, %targets: !ids {peer.name = "targets"}) -> (tensor<f32> {peer.name = "loss"}) {
  %y  = peer.call "" @logits(%tokens) : (!ids) -> !logits
  %l  = peer.cross_entropy %y, %targets : !logits, !ids      %m  = peer.mean %l : tensor<?xf32>
  return %m : tensor<f32>
}

// The values have a rate of their own, which stays as it is whatever the others do; a step moves those that either block used.
peer.train @train_step of @loss {optimizer = #peer.adamw<learning_rate = 2.0e-3, weight_decay = 0.01, clip_norm = 1.0>,
                                 groups = {values = #peer.rowwise_adam<learning_rate = 8.0e-3, lazy = true, schedule = constant>}}
peer.decode @decode prefill @prefill of @logits
