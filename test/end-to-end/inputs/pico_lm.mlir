// The least language model with a batch norm and a pool that is updated by row: it compiles in no time, for a GPU too.
!act = tensor<?x8xf32>  !ids = tensor<?xi32>  !vec = tensor<8xf32>
func.func @loss(%tokens: !ids {peer.name = "tokens"}, %targets: !ids {peer.name = "targets"}) -> (tensor<f32> {peer.name = "loss"}) {
  %e  = peer.param "table" normal(0.5) : tensor<256x8xf32>  %x  = peer.embedding %tokens, %e : !ids, tensor<256x8xf32>
  %bw = peer.param "norm.weight" ones : !vec                %bb = peer.param "norm.bias" zeros : !vec
  %bm = peer.param "norm.running_mean" zeros buffer : !vec  %bv = peer.param "norm.running_var" ones buffer : !vec
  %n  = peer.batch_norm %x, %bw, %bb, %bm, %bv : !act, !vec, !vec, !vec, !vec
  %q  = peer.reshape %n to tensor<?x1x1x8xf32> : !act       %c  = peer.param "keys" normal(0.2) : tensor<1x1x16x8xf32>
  %s  = peer.score %q, %c : tensor<?x1x1x8xf32>, tensor<1x1x16x8xf32>
  %i, %v = peer.select %s topk<2> : tensor<?x1x1x16xf32>    %w  = peer.gate %v softmax : tensor<?x1x2xf32>
  %p  = peer.param "experts" normal(0.5) group("experts") : tensor<16x2x8xf32>
  %o  = peer.mix %x, %i, %w, %p gelu : !act, tensor<?x1x2xi32>, tensor<?x1x2xf32>, tensor<16x2x8xf32>
  %wh = peer.param "head" normal(0.2) : tensor<8x256xf32>   %y  = peer.linear %o, %wh : !act, tensor<8x256xf32>
  %l  = peer.cross_entropy %y, %targets : tensor<?x256xf32>, !ids  %m  = peer.mean %l : tensor<?xf32>
  return %m : tensor<f32>
}
peer.train @train_step of @loss {optimizer = #peer.adamw<learning_rate = 1.0e-2, clip_norm = 1.0>,
                                 groups = {experts = #peer.adamw<learning_rate = 3.0e-2, clip_norm = 1.0, lazy = true>}}
