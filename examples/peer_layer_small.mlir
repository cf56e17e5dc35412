// One PEER layer: 4,096 experts of one neuron each, 4 heads that pick 8 experts per token (arXiv 2407.04153).
// The small twin of peer_layer.mlir, for tests.
// T, the token count, is dynamic (`?`); the model width D is 64.
func.func @layer(%x: tensor<?x64xf32> {peer.name = "x"}) -> (tensor<?x64xf32> {peer.name = "y"}) {
  // One query of 32 numbers per head. A parameter is declared where it is used: name, first values, shape.
  %wq   = peer.param "query.weight" normal(0.02) : tensor<64x128xf32>
  %q    = peer.linear %x, %wq : tensor<?x64xf32>, tensor<64x128xf32>
  // The flattened query is ordered head, half, component: the two halves are compared with different keys.
  %qh   = peer.reshape %q to tensor<?x4x2x16xf32> : tensor<?x128xf32>

  // 64 keys per half and head stand for 64 * 64 experts: expert (i, j) scores q1 . c_i + q2 . c'_j.
  %keys = peer.param "keys" normal(0.02) : tensor<4x2x64x16xf32>
  %s    = peer.score %qh, %keys : tensor<?x4x2x16xf32>, tensor<4x2x64x16xf32>
  %idx, %val = peer.select %s product_topk<8> : tensor<?x4x2x64xf32>
  %w    = peer.gate %val softmax : tensor<?x4x8xf32>

  // Expert e is row e of the pool: u (what it looks for) and v (what it answers). y = sum of w * gelu(u . x) * v.
  // The group lets a training step treat the table apart from the dense weights.
  %pool = peer.param "experts" normal(0.02) group("experts") : tensor<4096x2x64xf32>
  %y    = peer.mix %x, %idx, %w, %pool gelu
      : tensor<?x64xf32>, tensor<?x4x8xi32>, tensor<?x4x8xf32>, tensor<4096x2x64xf32>
  return %y : tensor<?x64xf32>
}

// An entry (x, dy, parameters) -> (dx, grad.query.weight, grad.keys, grad.experts), built by the compiler.
peer.gradient @layer_grad of @layer
