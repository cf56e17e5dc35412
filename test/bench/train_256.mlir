// A training step of the layer of examples/peer_layer.mlir. The loss takes y as the logits of 256 classes: little work beside the layer.
func.func private @layer(%x: tensor<?x256xf32>) -> tensor<?x256xf32> {
  %wq   = peer.param "query.weight" normal(0.02) : tensor<256x2048xf32>
  %q    = peer.linear %x, %wq : tensor<?x256xf32>, tensor<256x2048xf32>
  %qh   = peer.reshape %q to tensor<?x8x2x128xf32> : tensor<?x2048xf32>
  %keys = peer.param "keys" normal(0.02) : tensor<8x2x1024x128xf32>
  %s    = peer.score %qh, %keys : tensor<?x8x2x128xf32>, tensor<8x2x1024x128xf32>
  %idx, %val = peer.select %s product_topk<16> : tensor<?x8x2x1024xf32>
  %w    = peer.gate %val softmax : tensor<?x8x16xf32>
  %pool = peer.param "experts" normal(0.02) group("experts") : tensor<1048576x2x256xf32>
  %y    = peer.mix %x, %idx, %w, %pool gelu
      : tensor<?x256xf32>, tensor<?x8x16xi32>, tensor<?x8x16xf32>, tensor<1048576x2x256xf32>
  return %y : tensor<?x256xf32>
}

func.func @loss(%x: tensor<?x256xf32> {peer.name = "x"}, %targets: tensor<?xi32> {peer.name = "targets"})
    -> (tensor<f32> {peer.name = "loss"}) {
  %y = peer.call "" @layer(%x) : (tensor<?x256xf32>) -> tensor<?x256xf32>
  %l = peer.cross_entropy %y, %targets : tensor<?x256xf32>, tensor<?xi32>
  %m = peer.mean %l : tensor<?xf32>
  return %m : tensor<f32>
}

peer.train @train_step of @loss {
  optimizer = #peer.adamw<learning_rate = 1.0e-3, weight_decay = 0.0>,
  groups = {experts = #peer.adamw<learning_rate = 1.0e-3, weight_decay = 0.0, lazy = true>}}
