// The experts of DSMoE (arXiv 2502.12455): of 16 blocks of 32 hidden units a token takes those whose gate, a sigmoid, is above 0.5.
// There may be none. Left out: the straight-through gradient of blocks that were not taken, and the factor of blocks by blocks taken.
func.func @layer(%x: tensor<?x64xf32> {peer.name = "x"}) -> (tensor<?x64xf32> {peer.name = "y"}) {
  %wr  = peer.param "router.weight" normal(0.2) : tensor<64x16xf32>
  %l   = peer.linear %x, %wr : tensor<?x64xf32>, tensor<64x16xf32>
  // One head, one half: the logits of a token are a row.
  %s   = peer.reshape %l to tensor<?x1x1x16xf32> : tensor<?x16xf32>
  %idx, %val = peer.select %s threshold<0.5, of = sigmoid, max = 16> : tensor<?x1x1x16xf32>
  %w   = peer.gate %val sigmoid : tensor<?x1x16xf32>
  // 512 rows are 16 experts of 32 hidden units, each of three vectors g, u and v: w * silu(g . x) * (u . x) * v.
  %pool = peer.param "experts" normal(0.1) group("experts") : tensor<512x3x64xf32>
  %y   = peer.mix %x, %idx, %w, %pool silu {rows_per_expert = 32}
      : tensor<?x64xf32>, tensor<?x1x16xi32>, tensor<?x1x16xf32>, tensor<512x3x64xf32>
  return %y : tensor<?x64xf32>
}
peer.gradient @layer_grad of @layer
