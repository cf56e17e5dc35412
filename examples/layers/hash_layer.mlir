// A hash layer (Roller et al., arXiv 2106.04426): a token's number says which of 16 experts of 32 hidden units it has. There is no router.
func.func @layer(%x: tensor<?x64xf32> {peer.name = "x"}, %tokens: tensor<?xi32> {peer.name = "tokens"}) -> (tensor<?x64xf32> {peer.name = "y"}) {
  %idx, %w = peer.hash %tokens experts 16 : tensor<?xi32>
  // 512 rows are 16 experts of 32 hidden units; row 0 of a unit is its input vector u, row 1 its output vector v: relu(u . x) * v.
  %pool = peer.param "experts" normal(0.1) group("experts") : tensor<512x2x64xf32>
  %y   = peer.mix %x, %idx, %w, %pool relu {rows_per_expert = 32}
      : tensor<?x64xf32>, tensor<?x1x1xi32>, tensor<?x1x1xf32>, tensor<512x2x64xf32>
  return %y : tensor<?x64xf32>
}
peer.gradient @layer_grad of @layer
