!keys = tensor<4294967296x4294967296x4x4xf32>  !pool = tensor<16x4294967296x8xf32>
func.func @layer(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %q = peer.reshape %x to tensor<?x4294967296x4294967296x4xf32> : tensor<?x8xf32>
  %c = peer.param "keys" normal(0.1) : !keys
  %s = peer.score %q, %c : tensor<?x4294967296x4294967296x4xf32>, !keys
  %i, %v = peer.select %s product_topk<4294967296> : tensor<?x4294967296x4294967296x4xf32>
  %w = peer.gate %v softmax : tensor<?x4294967296x4294967296xf32>
  %p = peer.param "experts" normal(0.1) : !pool
  %y = peer.mix %x, %i, %w, %p gelu : tensor<?x8xf32>, tensor<?x4294967296x4294967296xi32>, tensor<?x4294967296x4294967296xf32>, !pool
  return %y : tensor<?x8xf32>
}
