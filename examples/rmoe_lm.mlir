// RMoE (arXiv 2408.06793) on the trunk of tiny_peer_lm.mlir: two routed layers, whose routers read the state of a GRU (arXiv 1406.1078) that is carried from one to the next;
// the experts read the layer's own input. A layer projects its input to the width of the state and has a router of its own, the GRU is one for both. Its first
// state is learnt. 8 SwiGLU experts of 128 hidden units, of which a token takes 2. Left out: the balance loss.

!act = tensor<?x128xf32>  !hid = tensor<?x512xf32>  !ids = tensor<?xi32>  !logits = tensor<?x256xf32>  !vec = tensor<128xf32>  !mat = tensor<128x128xf32>
!up = tensor<128x512xf32>  !down = tensor<512x128xf32>  !table = tensor<256x128xf32>  !head = tensor<128x256xf32>  !pool = tensor<1024x3x128xf32>
!state = tensor<?x32xf32>  !gates = tensor<?x96xf32>  !gru = tensor<32x96xf32>  !bias = tensor<96xf32>

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

// One step of the GRU: columns of the weights are those of z, r and n; next = n + z * (state - n), n = tanh(i + r * h).
func.func private @recur(%p: !state, %state: !state, %wi: !gru, %bi: !bias, %wh: !gru, %bh: !bias) -> !state {
  %i  = peer.linear %p, %wi, %bi : !state, !gru, !bias   %h  = peer.linear %state, %wh, %bh : !state, !gru, !bias
  %iz = peer.slice %i along 1 from 0 size 32 : !gates    %hz = peer.slice %h along 1 from 0 size 32 : !gates
  %ir = peer.slice %i along 1 from 32 size 32 : !gates   %hr = peer.slice %h along 1 from 32 size 32 : !gates
  %in = peer.slice %i along 1 from 64 size 32 : !gates   %hn = peer.slice %h along 1 from 64 size 32 : !gates
  %z0 = arith.addf %iz, %hz : !state                     %z  = peer.activation %z0 sigmoid : !state
  %r0 = arith.addf %ir, %hr : !state                     %r  = peer.activation %r0 sigmoid : !state
  %n0 = arith.mulf %r, %hn : !state                      %n1 = arith.addf %in, %n0 : !state
  %n  = peer.activation %n1 tanh : !state                %d  = arith.subf %state, %n : !state
  %zd = arith.mulf %z, %d : !state                       %y  = arith.addf %n, %zd : !state  return %y : !state
}

func.func private @routed_block(%x0: !act, %state: !state, %wi: !gru, %bi: !bias, %wh: !gru, %bh: !bias) -> (!act, !state) {
  %x  = peer.call "" @attention(%x0) : (!act) -> !act
  %g  = peer.param "ffw_norm.weight" ones : !vec           %n  = peer.rms_norm %x, %g : !act, !vec
  %wp = peer.param "ffw.projection.weight" normal(0.05) : tensor<128x32xf32>  %p = peer.linear %n, %wp : !act, tensor<128x32xf32>
  %next = peer.call "" @recur(%p, %state, %wi, %bi, %wh, %bh) : (!state, !state, !gru, !bias, !gru, !bias) -> !state
  %q  = peer.reshape %next to tensor<?x1x1x32xf32> : !state  %c = peer.param "ffw.router" normal(0.2) : tensor<1x1x8x32xf32>
  %s  = peer.score %q, %c : tensor<?x1x1x32xf32>, tensor<1x1x8x32xf32>
  %i, %v = peer.select %s topk<2> : tensor<?x1x1x8xf32>    %w  = peer.gate %v softmax : tensor<?x1x2xf32>
  %e  = peer.param "ffw.experts" normal(0.05) group("experts") : !pool
  %o  = peer.mix %n, %i, %w, %e silu {rows_per_expert = 128} : !act, tensor<?x1x2xi32>, tensor<?x1x2xf32>, !pool
  %y  = arith.addf %x, %o : !act                           return %y, %next : !act, !state
}

func.func @logits(%tokens: !ids {peer.name = "tokens"}) -> (!logits {peer.name = "logits"}) {
  %e  = peer.param "token_embedding.weight" normal(0.05) : !table  %x0 = peer.embedding %tokens, %e : !ids, !table
  %wi = peer.param "gru.input.weight" normal(0.2) : !gru           %bi = peer.param "gru.input.bias" zeros : !bias
  %wh = peer.param "gru.state.weight" normal(0.2) : !gru           %bh = peer.param "gru.state.bias" zeros : !bias
  %x1 = peer.call "blocks.0" @dense_block(%x0) : (!act) -> !act    %s  = peer.param "gru.start" zeros : tensor<32xf32>
  %l  = peer.slice %x0 along 1 from 0 size 32 : !act               %s0 = peer.broadcast %s like %l along [0] : tensor<32xf32>, !state
  %x2, %s1 = peer.call "blocks.1" @routed_block(%x1, %s0, %wi, %bi, %wh, %bh) : (!act, !state, !gru, !bias, !gru, !bias) -> (!act, !state)
  %x3, %s2 = peer.call "blocks.2" @routed_block(%x2, %s1, %wi, %bi, %wh, %bh) : (!act, !state, !gru, !bias, !gru, !bias) -> (!act, !state)
  %g  = peer.param "final_norm.weight" ones : !vec                 %n  = peer.rms_norm %x3, %g : !act, !vec
  %h  = peer.param "head.weight" normal(0.02) : !head              %y  = peer.linear %n, %h : !act, !head  return %y : !logits
}

func.func @loss(%tokens: !ids {peer.name = "tokens"}, %targets: !ids {peer.name = "targets"}) -> (tensor<f32> {peer.name = "loss"}) {
  %y  = peer.call "" @logits(%tokens) : (!ids) -> !logits
  %l  = peer.cross_entropy %y, %targets : !logits, !ids  %m  = peer.mean %l : tensor<?xf32>  return %m : tensor<f32>
}
peer.train @train_step of @loss {optimizer = #peer.adamw<learning_rate = 2.0e-3, weight_decay = 0.01, clip_norm = 1.0>}
peer.decode @decode prefill @prefill of @logits
