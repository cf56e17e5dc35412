// The layer of examples/peer_layer.mlir at width 1024.
func.func @layer(%x: tensor<?x1024xf32> {peer.name = "x"}) -> (tensor<?x1024xf32> {peer.name = "y"}) {
  %wq   = peer.param "query.weight" normal(0.02) : tensor<1024x2048xf32>
  %q    = peer.linear %x, %wq : tensor<?x1024xf32>, tensor<1024x2048xf32>
  %qh   = peer.reshape %q to tensor<?x8x2x128xf32> : tensor<?x2048xf32>
  %keys = peer.param "keys" normal(0.02) : tensor<8x2x1024x128xf32>
  %s    = peer.score %qh, %keys : tensor<?x8x2x128xf32>, tensor<8x2x1024x128xf32>
  %idx, %val = peer.select %s product_topk<16> : tensor<?x8x2x1024xf32>
  %w    = peer.gate %val softmax : tensor<?x8x16xf32>
  %pool = peer.param "experts" normal(0.02) group("experts") : tensor<1048576x2x1024xf32>
  %y    = peer.mix %x, %idx, %w, %pool gelu
      : tensor<?x1024xf32>, tensor<?x8x16xi32>, tensor<?x8x16xf32>, tensor<1048576x2x1024xf32>
  return %y : tensor<?x1024xf32>
}
