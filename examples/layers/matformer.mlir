// MatFormer's feed-forward layer (arXiv 2310.07707): 128 hidden units, of which the first 64, 32 and 16 are layers of their own, so that one training
// makes four sizes. A row of the table is a unit: its input vector u, then its output vector v. y_m = sum of gelu(u . x) * v over the first m rows.
func.func @layer(%x: tensor<?x64xf32> {peer.name = "x"})
    -> (tensor<?x64xf32> {peer.name = "y"}, tensor<?x64xf32> {peer.name = "y64"}, tensor<?x64xf32> {peer.name = "y32"}, tensor<?x64xf32> {peer.name = "y16"}) {
  %rows = peer.param "rows" normal(0.1) : tensor<128x2x64xf32>
  %u0 = peer.slice %rows along 1 from 0 size 1 : tensor<128x2x64xf32>
  %v0 = peer.slice %rows along 1 from 1 size 1 : tensor<128x2x64xf32>
  %u = peer.reshape %u0 to tensor<128x64xf32> : tensor<128x1x64xf32>
  %v = peer.reshape %v0 to tensor<128x64xf32> : tensor<128x1x64xf32>
  %a = peer.linear %x, %u {transpose_weight} : tensor<?x64xf32>, tensor<128x64xf32>
  %h = peer.activation %a gelu : tensor<?x128xf32>
  %y = peer.linear %h, %v : tensor<?x128xf32>, tensor<128x64xf32>
  %h64 = peer.slice %h along 1 from 0 size 64 : tensor<?x128xf32>
  %v64 = peer.slice %v along 0 from 0 size 64 : tensor<128x64xf32>
  %y64 = peer.linear %h64, %v64 : tensor<?x64xf32>, tensor<64x64xf32>
  %h32 = peer.slice %h along 1 from 0 size 32 : tensor<?x128xf32>
  %v32 = peer.slice %v along 0 from 0 size 32 : tensor<128x64xf32>
  %y32 = peer.linear %h32, %v32 : tensor<?x32xf32>, tensor<32x64xf32>
  %h16 = peer.slice %h along 1 from 0 size 16 : tensor<?x128xf32>
  %v16 = peer.slice %v along 0 from 0 size 16 : tensor<128x64xf32>
  %y16 = peer.linear %h16, %v16 : tensor<?x16xf32>, tensor<16x64xf32>
  return %y, %y64, %y32, %y16 : tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x64xf32>
}
peer.gradient @layer_grad of @layer
