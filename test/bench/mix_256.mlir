// peer.mix alone, its experts given: what is left is reading random rows.
func.func @mix(%x: tensor<?x256xf32> {peer.name = "x"}, %idx: tensor<?x8x16xi32> {peer.name = "idx"},
               %w: tensor<?x8x16xf32> {peer.name = "w"}) -> (tensor<?x256xf32> {peer.name = "y"}) {
  %pool = peer.param "experts" normal(0.02) : tensor<1048576x2x256xf32>
  %y    = peer.mix %x, %idx, %w, %pool gelu
      : tensor<?x256xf32>, tensor<?x8x16xi32>, tensor<?x8x16xf32>, tensor<1048576x2x256xf32>
  return %y : tensor<?x256xf32>
}
