// peer.select alone, on scores that lie in memory.
func.func @select(%s: tensor<?x8x2x1024xf32> {peer.name = "scores"})
    -> (tensor<?x8x16xi32> {peer.name = "idx"}, tensor<?x8x16xf32> {peer.name = "val"}) {
  %idx, %val = peer.select %s product_topk<16> : tensor<?x8x2x1024xf32>
  return %idx, %val : tensor<?x8x16xi32>, tensor<?x8x16xf32>
}
