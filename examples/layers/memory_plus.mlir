// A Memory+ layer (Meta, "Memory Layers at Scale", arXiv 2412.09764): y = sigmoid(g . x) * W2 (m * silu(W1 x)), where m is a product-key memory's
// sum of values, weighted by the softmax of their scores. 2 heads take 4 of 256 values each. Halves of queries are normed one by one; where the
// paper norms the keys, too, they learn their length. In a model several layers have the same values (memory_plus_lm).

!act = tensor<?x64xf32>  !mat = tensor<64x64xf32>  !half = tensor<?x16xf32>  !keys = tensor<2x2x16x16xf32>  !values = tensor<256x1x64xf32>

func.func @layer(%x: !act {peer.name = "x"}) -> (!act {peer.name = "y"}) {
  %wq = peer.param "query.weight" normal(0.2) : !mat
  %q0 = peer.linear %x, %wq : !act, !mat
  %q1 = peer.reshape %q0 to !half : !act
  %gq = peer.param "query_norm.weight" uniform(0.5, 1.5) : tensor<16xf32>
  %q2 = peer.rms_norm %q1, %gq {epsilon = 1.0e-6 : f32} : !half, tensor<16xf32>
  %q = peer.reshape %q2 to tensor<?x2x2x16xf32> : !half
  %keys = peer.param "keys" normal(0.3) : !keys
  %s = peer.score %q, %keys : tensor<?x2x2x16xf32>, !keys
  %idx, %val = peer.select %s product_topk<4> : tensor<?x2x2x16xf32>
  %w = peer.gate %val softmax : tensor<?x2x4xf32>
  %values = peer.param "values" normal(0.5) group("values") : !values
  %m = peer.mix %x, %idx, %w, %values : !act, tensor<?x2x4xi32>, tensor<?x2x4xf32>, !values
  %w1 = peer.param "swilu.weight" normal(0.2) : !mat
  %a0 = peer.linear %x, %w1 : !act, !mat
  %a = peer.activation %a0 silu : !act
  %h = arith.mulf %m, %a : !act
  %w2 = peer.param "output.weight" normal(0.2) : !mat
  %p = peer.linear %h, %w2 : !act, !mat
  // A gate of one head and one selection is a sigmoid per token.
  %wg = peer.param "gate.weight" normal(0.2) : tensor<64x1xf32>
  %z0 = peer.linear %x, %wg : !act, tensor<64x1xf32>
  %z1 = peer.reshape %z0 to tensor<?x1x1xf32> : tensor<?x1xf32>
  %z2 = peer.gate %z1 sigmoid : tensor<?x1x1xf32>
  %z3 = peer.reshape %z2 to tensor<?xf32> : tensor<?x1x1xf32>
  %b = peer.broadcast %z3 like %x along [1] : tensor<?xf32>, !act
  %y = arith.mulf %b, %p : !act
  return %y : !act
}
peer.gradient @layer_grad of @layer
