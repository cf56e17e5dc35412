// A product-key memory (PKM, arXiv 1907.05242): each of 2 heads takes the 4 of 256 values whose pairs of keys score best, weighted by the
// softmax of their scores. The paper's batch norm of queries, which in training depends on all tokens, is in pkm_lm.

!act = tensor<?x64xf32>  !mat = tensor<64x64xf32>  !keys = tensor<2x2x16x16xf32>  !values = tensor<256x1x64xf32>

func.func @layer(%x: !act {peer.name = "x"}) -> (!act {peer.name = "y"}) {
  %wq = peer.param "query.weight" normal(0.2) : !mat
  %q0 = peer.linear %x, %wq : !act, !mat
  %q = peer.reshape %q0 to tensor<?x2x2x16xf32> : !act
  %keys = peer.param "keys" normal(0.3) : !keys
  %s = peer.score %q, %keys : tensor<?x2x2x16xf32>, !keys
  %idx, %val = peer.select %s product_topk<4> : tensor<?x2x2x16xf32>
  %w = peer.gate %val softmax : tensor<?x2x4xf32>
  %values = peer.param "values" normal(0.5) group("values") : !values
  %y = peer.mix %x, %idx, %w, %values : !act, tensor<?x2x4xi32>, tensor<?x2x4xf32>, !values
  return %y : !act
}
peer.gradient @layer_grad of @layer
