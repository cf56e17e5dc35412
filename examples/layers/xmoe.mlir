// An XMoE layer (arXiv 2403.18926): 16 experts of 32 hidden units. A token takes the likeliest until those it has hold 0.9 of the
// probability; weights are the probabilities as they are. No capacity, no balance loss.
func.func @layer(%x: tensor<?x64xf32> {peer.name = "x"}) -> (tensor<?x64xf32> {peer.name = "y"}) {
  %wr  = peer.param "router.weight" normal(0.2) : tensor<64x16xf32>
  %l   = peer.linear %x, %wr : tensor<?x64xf32>, tensor<64x16xf32>
  // One head, one half: the logits of a token are a row.
  %s   = peer.reshape %l to tensor<?x1x1x16xf32> : tensor<?x16xf32>
  %idx, %val = peer.select %s top_p<0.9, max = 16> : tensor<?x1x1x16xf32>
  %w   = peer.probability %val, %s : tensor<?x1x16xf32>, tensor<?x1x1x16xf32>
  // 512 rows are 16 experts of 32 hidden units; row 0 of a unit is its input vector u, row 1 its output vector v: w * relu(u . x) * v.
  %pool = peer.param "experts" normal(0.1) group("experts") : tensor<512x2x64xf32>
  %y   = peer.mix %x, %idx, %w, %pool relu {rows_per_expert = 32}
      : tensor<?x64xf32>, tensor<?x1x16xi32>, tensor<?x1x16xf32>, tensor<512x2x64xf32>
  return %y : tensor<?x64xf32>
}
peer.gradient @layer_grad of @layer
