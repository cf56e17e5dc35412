// Tokens choose up to four neurons, or none; the table is updated row by row.
func.func @logits(%tokens: tensor<?xi32> {peer.name = "tokens"}) -> (tensor<?x256xf32> {peer.name = "logits"}) {
  %table = peer.param "embedding" normal(0.5) : tensor<256x16xf32>
  %a = peer.embedding %tokens, %table : tensor<?xi32>, tensor<256x16xf32>
  %keys = peer.param "router" normal(0.5) : tensor<1x1x64x16xf32>
  %q = peer.reshape %a to tensor<?x1x1x16xf32> : tensor<?x16xf32>
  %s = peer.score %q, %keys : tensor<?x1x1x16xf32>, tensor<1x1x64x16xf32>
  %i, %v = peer.select %s threshold<1.0, max = 4> : tensor<?x1x1x64xf32>
  %w = peer.gate %v softmax : tensor<?x1x4xf32>
  %pool = peer.param "neurons" normal(0.5) group("neurons") : tensor<64x2x16xf32>
  %y0 = peer.mix %a, %i, %w, %pool gelu : tensor<?x16xf32>, tensor<?x1x4xi32>, tensor<?x1x4xf32>, tensor<64x2x16xf32>
  %y = arith.addf %a, %y0 : tensor<?x16xf32>
  %h = peer.param "head" normal(0.5) : tensor<16x256xf32>
  %o = peer.linear %y, %h : tensor<?x16xf32>, tensor<16x256xf32>
  return %o : tensor<?x256xf32>
}
func.func @loss(%tokens: tensor<?xi32> {peer.name = "tokens"}, %targets: tensor<?xi32> {peer.name = "targets"}) -> (tensor<f32> {peer.name = "loss"}) {
  %y = peer.call "" @logits(%tokens) : (tensor<?xi32>) -> tensor<?x256xf32>
  %l = peer.cross_entropy %y, %targets : tensor<?x256xf32>, tensor<?xi32>
  %m = peer.mean %l : tensor<?xf32>
  return %m : tensor<f32>
}
peer.train @step of @loss {optimizer = #peer.adamw<learning_rate = 3.0e-3>, groups = {neurons = #peer.adamw<learning_rate = 1.0e-2, lazy = true>}}
