// PESC's layer (arXiv 2401.02731): a feed-forward layer of 128 hidden units that is frozen, and 8 adapters of 64 hidden units on its output f: expert i is
// f + adapter_i(f). A router that reads x picks 2, weighted by the softmax over the 2, so that y = f + sum of w * adapter_i(f).
func.func @layer(%x: tensor<?x64xf32> {peer.name = "x"}) -> (tensor<?x64xf32> {peer.name = "y"}) {
  %up  = peer.param "ffw.up.weight" normal(0.2) frozen : tensor<64x128xf32>
  %h0  = peer.linear %x, %up : tensor<?x64xf32>, tensor<64x128xf32>
  %h   = peer.activation %h0 gelu : tensor<?x128xf32>
  %down = peer.param "ffw.down.weight" normal(0.2) frozen : tensor<128x64xf32>
  %f   = peer.linear %h, %down : tensor<?x128xf32>, tensor<128x64xf32>
  %wr  = peer.param "router.weight" normal(0.2) : tensor<64x8xf32>
  %l   = peer.linear %x, %wr : tensor<?x64xf32>, tensor<64x8xf32>
  // One head, one half: the logits of a token are a row.
  %s   = peer.reshape %l to tensor<?x1x1x8xf32> : tensor<?x8xf32>
  %idx, %val = peer.select %s topk<2> : tensor<?x1x1x8xf32>
  %w   = peer.gate %val softmax : tensor<?x1x2xf32>
  // 512 rows are 8 adapters of 64 hidden units; row 0 of a unit is its input vector u, row 1 its output vector v: w * gelu(u . f) * v.
  %pool = peer.param "experts" normal(0.1) group("experts") : tensor<512x2x64xf32>
  %a   = peer.mix %f, %idx, %w, %pool gelu {rows_per_expert = 64}
      : tensor<?x64xf32>, tensor<?x1x2xi32>, tensor<?x1x2xf32>, tensor<512x2x64xf32>
  %y   = arith.addf %f, %a : tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}
// Of what is frozen there is no gradient.
peer.gradient @layer_grad of @layer
