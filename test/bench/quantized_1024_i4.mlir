// Two elements a byte, with a scale for each 32: a linear layer, and a mix whose experts are given, as in mix_1024_i8.mlir, of rows of 1 KiB.
func.func @linear(%x: tensor<?x1024xf32> {peer.name = "x"}) -> (tensor<?x4096xf32> {peer.name = "y"}) {
  %w = peer.param "up.weight" zeros : tensor<4096x512xi8>
  %s = peer.param "up.weight.scale" uniform(0.0001, 0.0003) : tensor<4096x32xf32>
  %y = peer.quantized_linear %x, %w, %s : tensor<?x1024xf32>, tensor<4096x512xi8>, tensor<4096x32xf32>
  return %y : tensor<?x4096xf32>
}
func.func @linear_i8(%x: tensor<?x1024xf32> {peer.name = "x"}) -> (tensor<?x4096xf32> {peer.name = "y"}) {
  %w = peer.param "gate.weight" zeros : tensor<4096x1024xi8>
  %s = peer.param "gate.weight.scale" uniform(0.0001, 0.0003) : tensor<4096xf32>
  %y = peer.quantized_linear %x, %w, %s : tensor<?x1024xf32>, tensor<4096x1024xi8>, tensor<4096xf32>
  return %y : tensor<?x4096xf32>
}
func.func @mix(%x: tensor<?x1024xf32> {peer.name = "x"}, %idx: tensor<?x8x16xi32> {peer.name = "idx"},
               %w: tensor<?x8x16xf32> {peer.name = "w"}) -> (tensor<?x1024xf32> {peer.name = "y"}) {
  %pool   = peer.param "experts" zeros : tensor<1048576x2x512xi8>
  %scales = peer.param "experts.scale" uniform(0.0001, 0.0003) : tensor<1048576x2x32xf32>
  %y      = peer.quantized_mix %x, %idx, %w, %pool, %scales gelu : tensor<?x1024xf32>, tensor<?x8x16xi32>,
      tensor<?x8x16xf32>, tensor<1048576x2x512xi8>, tensor<1048576x2x32xf32>
  return %y : tensor<?x1024xf32>
}
