// RMoE's layer (arXiv 2408.06793): the router reads the state of a GRU (arXiv 1406.1078) that is carried from layer to layer, the experts read x. `state` is that of
// the layer before, `next_state` is for the layer behind. With p = x P: z, r = sigmoid of p's and the state's parts, n = tanh(p's part + r * the state's part),
// next = (1 - z) n + z state. 2 of 8 SwiGLU experts of 32 hidden units, weighted by a softmax over the 2. In a model P and the router are the layer's own, the GRU
// is one for all layers.
!act = tensor<?x64xf32>  !state = tensor<?x16xf32>  !gates = tensor<?x48xf32>

func.func @layer(%x: !act {peer.name = "x"}, %state: !state {peer.name = "state"}) -> (!act {peer.name = "y"}, !state {peer.name = "next_state"}) {
  %wp = peer.param "projection.weight" normal(0.2) : tensor<64x16xf32>
  %p  = peer.linear %x, %wp : !act, tensor<64x16xf32>
  // Columns are those of z, r and n.
  %wi = peer.param "gru.input.weight" normal(0.3) : tensor<16x48xf32>
  %bi = peer.param "gru.input.bias" normal(0.1) : tensor<48xf32>
  %wh = peer.param "gru.state.weight" normal(0.3) : tensor<16x48xf32>
  %bh = peer.param "gru.state.bias" normal(0.1) : tensor<48xf32>
  %i  = peer.linear %p, %wi, %bi : !state, tensor<16x48xf32>, tensor<48xf32>
  %h  = peer.linear %state, %wh, %bh : !state, tensor<16x48xf32>, tensor<48xf32>
  %iz = peer.slice %i along 1 from 0 size 16 : !gates    %hz = peer.slice %h along 1 from 0 size 16 : !gates
  %ir = peer.slice %i along 1 from 16 size 16 : !gates   %hr = peer.slice %h along 1 from 16 size 16 : !gates
  %in = peer.slice %i along 1 from 32 size 16 : !gates   %hn = peer.slice %h along 1 from 32 size 16 : !gates
  %z0 = arith.addf %iz, %hz : !state                     %z  = peer.activation %z0 sigmoid : !state
  %r0 = arith.addf %ir, %hr : !state                     %r  = peer.activation %r0 sigmoid : !state
  %n0 = arith.mulf %r, %hn : !state                      %n1 = arith.addf %in, %n0 : !state
  %n  = peer.activation %n1 tanh : !state
  %d  = arith.subf %state, %n : !state                   %zd = arith.mulf %z, %d : !state
  %next = arith.addf %n, %zd : !state
  %wr = peer.param "router.weight" normal(0.5) : tensor<16x8xf32>
  %l  = peer.linear %next, %wr : !state, tensor<16x8xf32>
  %s  = peer.reshape %l to tensor<?x1x1x8xf32> : tensor<?x8xf32>
  %idx, %val = peer.select %s topk<2> : tensor<?x1x1x8xf32>
  %w  = peer.gate %val softmax : tensor<?x1x2xf32>
  %pool = peer.param "experts" normal(0.1) group("experts") : tensor<256x3x64xf32>
  %y  = peer.mix %x, %idx, %w, %pool silu {rows_per_expert = 32} : !act, tensor<?x1x2xi32>, tensor<?x1x2xf32>, tensor<256x3x64xf32>
  return %y, %next : !act, !state
}
peer.gradient @layer_grad of @layer
