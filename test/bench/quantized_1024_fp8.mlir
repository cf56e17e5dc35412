// fp8 with a scale for each row: a linear layer, and a mix whose experts are given, as in mix_1024_i8.mlir.
func.func @linear(%x: tensor<?x1024xf32> {peer.name = "x"}) -> (tensor<?x4096xf32> {peer.name = "y"}) {
  %w = peer.param "up.weight" zeros : tensor<4096x1024xf8E4M3FN>
  %s = peer.param "up.weight.scale" uniform(0.0001, 0.0003) : tensor<4096xf32>
  %y = peer.quantized_linear %x, %w, %s : tensor<?x1024xf32>, tensor<4096x1024xf8E4M3FN>, tensor<4096xf32>
  return %y : tensor<?x4096xf32>
}
func.func @mix(%x: tensor<?x1024xf32> {peer.name = "x"}, %idx: tensor<?x8x16xi32> {peer.name = "idx"},
               %w: tensor<?x8x16xf32> {peer.name = "w"}) -> (tensor<?x1024xf32> {peer.name = "y"}) {
  %pool   = peer.param "experts" zeros : tensor<1048576x2x1024xf8E4M3FN>
  %scales = peer.param "experts.scale" uniform(0.0001, 0.0003) : tensor<1048576x2xf32>
  %y      = peer.quantized_mix %x, %idx, %w, %pool, %scales gelu : tensor<?x1024xf32>, tensor<?x8x16xi32>,
      tensor<?x8x16xf32>, tensor<1048576x2x1024xf8E4M3FN>, tensor<1048576x2xf32>
  return %y : tensor<?x1024xf32>
}
