// XMoE's dense mode (arXiv 2403.18926): a feed-forward layer of 256 hidden units, cut into 8 blocks of 32. A token takes the likeliest until those
// it has hold the share `threshold` of the probability; weights are the probabilities as they are. Trained with a threshold of 1, which
// takes all 8, it runs with a lower one: the same artifact, fewer blocks.
func.func @layer(%x: tensor<?x64xf32> {peer.name = "x"}, %t: tensor<f32> {peer.name = "threshold"}) -> (tensor<?x64xf32> {peer.name = "y"}) {
  %wr  = peer.param "router.weight" normal(0.2) : tensor<64x8xf32>
  %l   = peer.linear %x, %wr : tensor<?x64xf32>, tensor<64x8xf32>
  // One head, one half: the logits of a token are a row.
  %s   = peer.reshape %l to tensor<?x1x1x8xf32> : tensor<?x8xf32>
  %idx, %val = peer.select %s, %t top_p<max = 8> : tensor<?x1x1x8xf32>, tensor<f32>
  %w   = peer.probability %val, %s : tensor<?x1x8xf32>, tensor<?x1x1x8xf32>
  // 256 rows are 8 blocks of 32 hidden units; row 0 of a unit is its input vector u, row 1 its output vector v: w * relu(u . x) * v.
  %pool = peer.param "experts" normal(0.1) group("experts") : tensor<256x2x64xf32>
  %y   = peer.mix %x, %idx, %w, %pool relu {rows_per_expert = 32}
      : tensor<?x64xf32>, tensor<?x1x8xi32>, tensor<?x1x8xf32>, tensor<256x2x64xf32>
  return %y : tensor<?x64xf32>
}
// A threshold has no gradient.
peer.gradient @layer_grad of @layer wrt [0]
