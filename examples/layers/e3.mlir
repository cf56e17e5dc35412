// E3's layer (arXiv 2110.03360): an ensemble within a layer of experts. The 16 experts, and with them the router's columns, are divided into two groups; a batch is there
// twice, and each copy picks 2 experts within its own group, weighted by the softmax over all of the group. `y0` and `y1` are what becomes of the copies; a model goes
// on with each of them and takes the mean of what it predicts.
!act = tensor<?x64xf32>  !logits = tensor<?x8xf32>  !pool = tensor<256x2x64xf32>

func.func private @member(%x: !act, %l: !logits, %pool: !pool) -> !act {
  %s = peer.reshape %l to tensor<?x1x1x8xf32> : !logits
  %idx, %val = peer.select %s topk<2> : tensor<?x1x1x8xf32>
  %w = peer.probability %val, %s : tensor<?x1x2xf32>, tensor<?x1x1x8xf32>
  %y = peer.mix %x, %idx, %w, %pool gelu {rows_per_expert = 32} : !act, tensor<?x1x2xi32>, tensor<?x1x2xf32>, !pool
  return %y : !act
}
func.func @layer(%x0: !act {peer.name = "x0"}, %x1: !act {peer.name = "x1"}) -> (!act {peer.name = "y0"}, !act {peer.name = "y1"}) {
  %wr = peer.param "router.weight" normal(0.3) : tensor<64x16xf32>
  %pool = peer.param "experts" normal(0.1) group("experts") : tensor<512x2x64xf32>
  %w0 = peer.slice %wr along 1 from 0 size 8 : tensor<64x16xf32>
  %w1 = peer.slice %wr along 1 from 8 size 8 : tensor<64x16xf32>
  %p0 = peer.slice %pool along 0 from 0 size 256 : tensor<512x2x64xf32>
  %p1 = peer.slice %pool along 0 from 256 size 256 : tensor<512x2x64xf32>
  %l0 = peer.linear %x0, %w0 : !act, tensor<64x8xf32>
  %l1 = peer.linear %x1, %w1 : !act, tensor<64x8xf32>
  %y0 = peer.call "" @member(%x0, %l0, %p0) : (!act, !logits, !pool) -> !act
  %y1 = peer.call "" @member(%x1, %l1, %p1) : (!act, !logits, !pool) -> !act
  return %y0, %y1 : !act, !act
}
peer.gradient @layer_grad of @layer
