// The twin of mix_1024_i8.mlir in bf16: rows of 4 KiB.
func.func @mix(%x: tensor<?x1024xf32> {peer.name = "x"}, %idx: tensor<?x8x16xi32> {peer.name = "idx"},
               %w: tensor<?x8x16xf32> {peer.name = "w"}) -> (tensor<?x1024xf32> {peer.name = "y"}) {
  %pool = peer.param "experts" normal(0.02) : tensor<1048576x2x1024xbf16>
  %y    = peer.mix %x, %idx, %w, %pool gelu
      : tensor<?x1024xf32>, tensor<?x8x16xi32>, tensor<?x8x16xf32>, tensor<1048576x2x1024xbf16>
  return %y : tensor<?x1024xf32>
}
