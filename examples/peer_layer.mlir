// One PEER layer: 1,048,576 experts of one neuron each, 8 heads that pick 16 experts per token (arXiv 2407.04153).
// T, the token count, is dynamic (`?`); the model width D is 256.
func.func @layer(%x: tensor<?x256xf32> {peer.name = "x"}) -> (tensor<?x256xf32> {peer.name = "y"}) {
  // One query of 256 numbers per head. A parameter is declared where it is used: name, first values, shape.
  %wq   = peer.param "query.weight" normal(0.02) : tensor<256x2048xf32>
  %q    = peer.linear %x, %wq : tensor<?x256xf32>, tensor<256x2048xf32>
  // The flattened query is ordered head, half, component: the two halves are compared with different keys.
  %qh   = peer.reshape %q to tensor<?x8x2x128xf32> : tensor<?x2048xf32>

  // 1024 keys per half and head stand for 1024 * 1024 experts: expert (i, j) scores q1 . c_i + q2 . c'_j.
  %keys = peer.param "keys" normal(0.02) : tensor<8x2x1024x128xf32>
  %s    = peer.score %qh, %keys : tensor<?x8x2x128xf32>, tensor<8x2x1024x128xf32>
  %idx, %val = peer.select %s product_topk<16> : tensor<?x8x2x1024xf32>
  %w    = peer.gate %val softmax : tensor<?x8x16xf32>

  // Expert e is row e of the pool: u (what it looks for) and v (what it answers). y = sum of w * gelu(u . x) * v.
  // The group lets a training step treat the table apart from the dense weights.
  %pool = peer.param "experts" normal(0.02) group("experts") : tensor<1048576x2x256xf32>
  %y    = peer.mix %x, %idx, %w, %pool gelu
      : tensor<?x256xf32>, tensor<?x8x16xi32>, tensor<?x8x16xf32>, tensor<1048576x2x256xf32>
  return %y : tensor<?x256xf32>
}

// An entry (x, dy, parameters) -> (dx, grad.query.weight, grad.keys, grad.experts), built by the compiler.
peer.gradient @layer_grad of @layer
