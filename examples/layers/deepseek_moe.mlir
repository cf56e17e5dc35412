// A DeepSeekMoE layer (arXiv 2401.06066): a shared expert of 64 hidden units that every token has, beside 16 fine ones of 32, of which a token
// takes the 4 likeliest, weighted by their probabilities among all 16 as they are. SwiGLU experts. No balance loss.
func.func @layer(%x: tensor<?x64xf32> {peer.name = "x"}) -> (tensor<?x64xf32> {peer.name = "y"}) {
  %wr  = peer.param "router.weight" normal(0.2) : tensor<64x16xf32>
  %l   = peer.linear %x, %wr : tensor<?x64xf32>, tensor<64x16xf32>
  // One head, one half: the logits of a token are a row.
  %s   = peer.reshape %l to tensor<?x1x1x16xf32> : tensor<?x16xf32>
  %idx, %val = peer.select %s topk<4> : tensor<?x1x1x16xf32>
  %w   = peer.probability %val, %s : tensor<?x1x4xf32>, tensor<?x1x1x16xf32>
  // 512 rows are 16 experts of 32 hidden units, each of three vectors g, u and v: w * silu(g . x) * (u . x) * v.
  %pool = peer.param "experts" normal(0.1) group("experts") : tensor<512x3x64xf32>
  %routed = peer.mix %x, %idx, %w, %pool silu {rows_per_expert = 32}
      : tensor<?x64xf32>, tensor<?x1x4xi32>, tensor<?x1x4xf32>, tensor<512x3x64xf32>
  // What all tokens have is three matrices.
  %wg  = peer.param "shared.gate.weight" normal(0.1) : tensor<64x64xf32>
  %wu  = peer.param "shared.up.weight" normal(0.1) : tensor<64x64xf32>
  %wd  = peer.param "shared.down.weight" normal(0.1) : tensor<64x64xf32>
  %g   = peer.linear %x, %wg : tensor<?x64xf32>, tensor<64x64xf32>
  %u   = peer.linear %x, %wu : tensor<?x64xf32>, tensor<64x64xf32>
  %a   = peer.activation %g silu : tensor<?x64xf32>
  %h   = arith.mulf %a, %u : tensor<?x64xf32>
  %shared = peer.linear %h, %wd : tensor<?x64xf32>, tensor<64x64xf32>
  %y   = arith.addf %shared, %routed : tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}
peer.gradient @layer_grad of @layer
