func.func @loss(%x: tensor<4294967296x8xf32>, %i: tensor<4294967296x1x2xi32>, %w: tensor<4294967296x1x2xf32>, %t: tensor<4294967296xi32>) -> tensor<f32> {
  %p = peer.param "pool" zeros : tensor<16x2x8xf32>
  %y = peer.mix %x, %i, %w, %p relu : tensor<4294967296x8xf32>, tensor<4294967296x1x2xi32>, tensor<4294967296x1x2xf32>, tensor<16x2x8xf32>
  %l = peer.cross_entropy %y, %t : tensor<4294967296x8xf32>, tensor<4294967296xi32>
  %m = peer.mean %l : tensor<4294967296xf32>
  return %m : tensor<f32>
}
peer.train @step of @loss {optimizer = #peer.sgd<lazy = true>}
