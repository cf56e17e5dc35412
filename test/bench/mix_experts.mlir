// peer.mix of experts that are matrices, 8 of 64 for each token, and its gradient: by expert or by token.
func.func @mix(%x: tensor<?x256xf32> {peer.name = "x"}, %idx: tensor<?x1x8xi32> {peer.name = "idx"},
               %w: tensor<?x1x8xf32> {peer.name = "w"}) -> (tensor<?x256xf32> {peer.name = "y"}) {
  %pool = peer.param "experts" normal(0.02) : tensor<24576x2x256xf32>
  %y    = peer.mix %x, %idx, %w, %pool gelu {rows_per_expert = 384 : i64}
      : tensor<?x256xf32>, tensor<?x1x8xi32>, tensor<?x1x8xf32>, tensor<24576x2x256xf32>
  return %y : tensor<?x256xf32>
}
peer.gradient @mix_grad of @mix
