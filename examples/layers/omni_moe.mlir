// An OmniMoE layer (arXiv 2602.05711): of 256 experts of one hidden unit, the cells of a grid of 16 rows and 16 columns, a token takes the 8 whose
// sum of a row's and a column's logit is largest, weighted by the softmax over the whole grid as it is; beside them a dense SwiGLU of 64
// hidden units that every token has. The paper names no first values.
func.func @layer(%x: tensor<?x64xf32> {peer.name = "x"}) -> (tensor<?x64xf32> {peer.name = "y"}) {
  // The first 16 logits are the rows', the others the columns': one head, two halves.
  %wr  = peer.param "router.weight" normal(0.2) : tensor<64x32xf32>
  %l   = peer.linear %x, %wr : tensor<?x64xf32>, tensor<64x32xf32>
  %s   = peer.reshape %l to tensor<?x1x2x16xf32> : tensor<?x32xf32>
  %idx, %val = peer.select %s product_topk<8> : tensor<?x1x2x16xf32>
  %w   = peer.probability %val, %s : tensor<?x1x8xf32>, tensor<?x1x2x16xf32>
  // Row i * 16 + j of the pool is the expert in row i and column j of the grid: w * silu(u . x) * v.
  %pool = peer.param "experts" normal(0.3) group("experts") : tensor<256x2x64xf32>
  %routed = peer.mix %x, %idx, %w, %pool silu : tensor<?x64xf32>, tensor<?x1x8xi32>, tensor<?x1x8xf32>, tensor<256x2x64xf32>
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
