// The least language model that drops by chance: before and behind a layer, of which one dropout has a row for each of two heads of a token.
!act = tensor<?x12xf32>  !ids = tensor<?xi32>
func.func @logits(%tokens: !ids {peer.name = "tokens"}) -> (tensor<?x256xf32> {peer.name = "logits"}) {
  %e  = peer.param "table" normal(0.5) : tensor<256x12xf32>  %x0 = peer.embedding %tokens, %e : !ids, tensor<256x12xf32>
  %x  = peer.dropout %x0 {rate = 0.2 : f32} : !act
  %a  = peer.attention %x, %x, %x heads 2 context 16 : !act, !act, !act
  %h  = peer.reshape %a to tensor<?x6xf32> : !act            %d  = peer.dropout %h {rate = 0.5 : f32} : tensor<?x6xf32>
  %y  = peer.reshape %d to !act : tensor<?x6xf32>            %z  = arith.addf %x, %y : !act
  %l  = peer.linear %z, %e {transpose_weight} : !act, tensor<256x12xf32>
  return %l : tensor<?x256xf32>
}
func.func @loss(%tokens: !ids {peer.name = "tokens"}, %targets: !ids {peer.name = "targets"}) -> (tensor<f32> {peer.name = "loss"}) {
  %y  = peer.call "" @logits(%tokens) : (!ids) -> tensor<?x256xf32>
  %l  = peer.cross_entropy %y, %targets : tensor<?x256xf32>, !ids  %m  = peer.mean %l : tensor<?xf32>
  return %m : tensor<f32>
}
peer.train @train_step of @loss {optimizer = #peer.sgd<learning_rate = 1.0>}
peer.decode @decode prefill @prefill of @logits
