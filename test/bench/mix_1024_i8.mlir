// peer.quantized_mix alone, its experts given: what is left is reading random rows of 2 KiB and their scales.
func.func @mix(%x: tensor<?x1024xf32> {peer.name = "x"}, %idx: tensor<?x8x16xi32> {peer.name = "idx"},
               %w: tensor<?x8x16xf32> {peer.name = "w"}) -> (tensor<?x1024xf32> {peer.name = "y"}) {
  %pool   = peer.param "experts" zeros : tensor<1048576x2x1024xi8>
  %scales = peer.param "experts.scale" uniform(0.0001, 0.0003) : tensor<1048576x2xf32>
  %y      = peer.quantized_mix %x, %idx, %w, %pool, %scales gelu : tensor<?x1024xf32>, tensor<?x8x16xi32>,
      tensor<?x8x16xf32>, tensor<1048576x2x1024xi8>, tensor<1048576x2xf32>
  return %y : tensor<?x1024xf32>
}
