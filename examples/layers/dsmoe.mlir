// A DSMoE layer (arXiv 2502.12455): a SwiGLU layer of 256 hidden units, cut into 8 blocks of 32. A token has the blocks whose gate, a sigmoid, is above
// 0.5, and what they give is scaled by 8 / (blocks it has); without any it gets 0. Gates are 0 or 1 in the forward direction, and in the gradient
// sigmoids (straight-through), where blocks are counted, too.
func.func @layer(%x: tensor<?x64xf32> {peer.name = "x"}) -> (tensor<?x64xf32> {peer.name = "y"}) {
  %wr  = peer.param "router.weight" normal(0.2) : tensor<64x8xf32>
  %l   = peer.linear %x, %wr : tensor<?x64xf32>, tensor<64x8xf32>
  // One head, one half: the logits of a token are a row.
  %s   = peer.reshape %l to tensor<?x1x1x8xf32> : tensor<?x8xf32>
  %idx, %val = peer.select %s all : tensor<?x1x1x8xf32>
  %w   = peer.straight_through %val : tensor<?x1x8xf32>
  // 256 rows are 8 blocks of 32 hidden units, each of three vectors g, u and v: w * silu(g . x) * (u . x) * v.
  %pool = peer.param "experts" normal(0.1) group("experts") : tensor<256x3x64xf32>
  %o   = peer.mix %x, %idx, %w, %pool silu {rows_per_expert = 32}
      : tensor<?x64xf32>, tensor<?x1x8xi32>, tensor<?x1x8xf32>, tensor<256x3x64xf32>
  // Divided by the share of blocks that are on; there is none between 0 and 1/8.
  %on  = peer.reduce mean %w along [1, 2] : tensor<?x1x8xf32>
  %c   = arith.constant dense<0.0625> : tensor<f32>
  %low = peer.broadcast %c like %on along [0] : tensor<f32>, tensor<?xf32>
  %m   = arith.maximumf %on, %low : tensor<?xf32>
  %d   = peer.broadcast %m like %o along [1] : tensor<?xf32>, tensor<?x64xf32>
  %y   = arith.divf %o, %d : tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}
peer.gradient @layer_grad of @layer
