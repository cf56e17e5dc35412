// A Switch layer (arXiv 2101.03961): of 16 experts of 32 hidden units a token takes the likeliest, weighted by its probability
// among all 16. No capacity, no balance loss, no noise.
func.func @layer(%x: tensor<?x64xf32> {peer.name = "x"}) -> (tensor<?x64xf32> {peer.name = "y"}) {
  %wr  = peer.param "router.weight" normal(0.2) : tensor<64x16xf32>
  %l   = peer.linear %x, %wr : tensor<?x64xf32>, tensor<64x16xf32>
  // One head, one half: the logits of a token are a row.
  %s   = peer.reshape %l to tensor<?x1x1x16xf32> : tensor<?x16xf32>
  %idx, %val = peer.select %s topk<1> : tensor<?x1x1x16xf32>
  %w   = peer.probability %val, %s : tensor<?x1x1xf32>, tensor<?x1x1x16xf32>
  // 512 rows are 16 experts of 32 hidden units; row 0 of a unit is its input vector u, row 1 its output vector v: w * relu(u . x) * v.
  %pool = peer.param "experts" normal(0.1) group("experts") : tensor<512x2x64xf32>
  %y   = peer.mix %x, %idx, %w, %pool relu {rows_per_expert = 32}
      : tensor<?x64xf32>, tensor<?x1x1xi32>, tensor<?x1x1xf32>, tensor<512x2x64xf32>
  return %y : tensor<?x64xf32>
}
peer.gradient @layer_grad of @layer
