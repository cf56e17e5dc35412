// Expert choice (Zhou et al., arXiv 2202.09368): each of 16 experts of 32 hidden units takes the 2 T / 16 tokens that want it most, by their
// softmax over experts, which also is the weight. A token has 2 experts on average, or none. For training and scoring alone: what
// a token gets depends on the others.
func.func @layer(%x: tensor<?x64xf32> {peer.name = "x"}) -> (tensor<?x64xf32> {peer.name = "y"}) {
  %wr  = peer.param "router.weight" normal(0.2) : tensor<64x16xf32>
  %l   = peer.linear %x, %wr : tensor<?x64xf32>, tensor<64x16xf32>
  // One head, one half: the logits of a token are a row.
  %s   = peer.reshape %l to tensor<?x1x1x16xf32> : tensor<?x16xf32>
  %p   = peer.softmax %s : tensor<?x1x1x16xf32>
  // Slot e of a token is expert e, or empty.
  %idx, %chosen = peer.select %p expert_choice<2.0> : tensor<?x1x1x16xf32>
  %val = peer.gather %s, %idx : tensor<?x1x1x16xf32>, tensor<?x1x16xi32>
  %w   = peer.probability %val, %s : tensor<?x1x16xf32>, tensor<?x1x1x16xf32>
  // 512 rows are 16 experts of 32 hidden units; row 0 of a unit is its input vector u, row 1 its output vector v: w * relu(u . x) * v.
  %pool = peer.param "experts" normal(0.1) group("experts") : tensor<512x2x64xf32>
  %y   = peer.mix %x, %idx, %w, %pool relu {rows_per_expert = 32}
      : tensor<?x64xf32>, tensor<?x1x16xi32>, tensor<?x1x16xf32>, tensor<512x2x64xf32>
  return %y : tensor<?x64xf32>
}
peer.gradient @layer_grad of @layer
