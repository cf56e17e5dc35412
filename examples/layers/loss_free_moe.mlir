// A routed layer that is balanced without a loss (arXiv 2408.15664): 16 experts of 32 hidden units, of which a token takes the 4 whose score and
// bias are largest, weighted by the sigmoids of the scores alone. The bias is moved by training, not by a gradient.
func.func @layer(%x: tensor<?x64xf32> {peer.name = "x"}) -> (tensor<?x64xf32> {peer.name = "y"}) {
  %wr  = peer.param "router.weight" normal(0.2) : tensor<64x16xf32>
  %l   = peer.linear %x, %wr : tensor<?x64xf32>, tensor<64x16xf32>
  %s   = peer.reshape %l to tensor<?x1x1x16xf32> : tensor<?x16xf32>
  %b   = peer.param "router.bias" uniform(-0.5, 0.5) buffer : tensor<1x16xf32>
  %sb  = peer.balance_bias %s, %b : tensor<?x1x1x16xf32>, tensor<1x16xf32>
  %idx, %biased = peer.select %sb topk<4> : tensor<?x1x1x16xf32>
  %val = peer.gather %s, %idx : tensor<?x1x1x16xf32>, tensor<?x1x4xi32>
  %w   = peer.gate %val sigmoid : tensor<?x1x4xf32>
  %pool = peer.param "experts" normal(0.1) group("experts") : tensor<512x2x64xf32>
  %y   = peer.mix %x, %idx, %w, %pool relu {rows_per_expert = 32}
      : tensor<?x64xf32>, tensor<?x1x4xi32>, tensor<?x1x4xf32>, tensor<512x2x64xf32>
  return %y : tensor<?x64xf32>
}
peer.gradient @layer_grad of @layer
