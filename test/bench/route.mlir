// The routing of a PEER layer alone, the f32 products of all of its scores, and those with the products of its queries.
func.func @route(%q: tensor<?x8x2x128xf32> {peer.name = "queries"})
    -> (tensor<?x8x16xi32> {peer.name = "idx"}, tensor<?x8x16xf32> {peer.name = "weights"}) {
  %keys = peer.param "keys" normal(0.02) : tensor<8x2x1024x128xf32>
  %s = peer.score %q, %keys : tensor<?x8x2x128xf32>, tensor<8x2x1024x128xf32>
  %idx, %val = peer.select %s product_topk<16> : tensor<?x8x2x1024xf32>
  %w = peer.gate %val softmax : tensor<?x8x16xf32>
  return %idx, %w : tensor<?x8x16xi32>, tensor<?x8x16xf32>
}
func.func @score(%q: tensor<?x8x2x128xf32> {peer.name = "queries"}) -> (tensor<?x8x2x1024xf32> {peer.name = "scores"}) {
  %keys = peer.param "keys" normal(0.02) : tensor<8x2x1024x128xf32>
  %s = peer.score %q, %keys : tensor<?x8x2x128xf32>, tensor<8x2x1024x128xf32>
  return %s : tensor<?x8x2x1024xf32>
}
func.func @products(%x: tensor<?x256xf32> {peer.name = "x"}) -> (tensor<?x8x2x1024xf32> {peer.name = "scores"}) {
  %wq = peer.param "query.weight" normal(0.02) : tensor<256x2048xf32>
  %q = peer.linear %x, %wq : tensor<?x256xf32>, tensor<256x2048xf32>
  %qh = peer.reshape %q to tensor<?x8x2x128xf32> : tensor<?x2048xf32>
  %keys = peer.param "keys" normal(0.02) : tensor<8x2x1024x128xf32>
  %s = peer.score %qh, %keys : tensor<?x8x2x128xf32>, tensor<8x2x1024x128xf32>
  return %s : tensor<?x8x2x1024xf32>
}
