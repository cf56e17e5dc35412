// A byte-level language model with a CartesianMoE layer (arXiv 2410.16077) in the middle one of three blocks, the trunk being that of
// tiny_peer_lm.mlir: two routed sub-layers in sequence, so that the path (i, j) of a token is one of 64 experts "j after i". Each
// picks 2 of 8 SwiGLU experts and blends them with a shared one; a token uses about as many parameters as in the dense layer. Left
// out: the loss that balances experts.

!act = tensor<?x128xf32>  !hid = tensor<?x512xf32>  !ids = tensor<?xi32>  !logits = tensor<?x256xf32>  !vec = tensor<128xf32>
!mat = tensor<128x128xf32>  !up = tensor<128x512xf32>  !down = tensor<512x128xf32>  !table = tensor<256x128xf32>  !head = tensor<128x256xf32>
!pool = tensor<512x3x128xf32>  !router = tensor<1x1x8x128xf32>  !shid = tensor<?x64xf32>  !sup = tensor<128x64xf32>  !sdown = tensor<64x128xf32>
!two = tensor<128x2xf32>

func.func private @attention(%x: !act) -> !act {
  %g  = peer.param "attention_norm.weight" ones : !vec            %n  = peer.rms_norm %x, %g : !act, !vec
  %wq = peer.param "attention.query.weight" normal(0.05) : !mat   %q0 = peer.linear %n, %wq : !act, !mat
  %wk = peer.param "attention.key.weight" normal(0.05) : !mat     %k0 = peer.linear %n, %wk : !act, !mat
  %wv = peer.param "attention.value.weight" normal(0.05) : !mat   %v  = peer.linear %n, %wv : !act, !mat
  %q  = peer.rotary %q0 heads 4 context 128 : !act                %k  = peer.rotary %k0 heads 4 context 128 : !act
  %a  = peer.attention %q, %k, %v heads 4 context 128 : !act, !act, !act
  %wo = peer.param "attention.output.weight" normal(0.02) : !mat  %o  = peer.linear %a, %wo : !act, !mat
  %y  = arith.addf %x, %o : !act
  return %y : !act
}

func.func private @dense_block(%x0: !act) -> !act {
  %x  = peer.call "" @attention(%x0) : (!act) -> !act
  %g  = peer.param "ffw_norm.weight" ones : !vec           %n  = peer.rms_norm %x, %g : !act, !vec
  %w1 = peer.param "ffw.up.weight" normal(0.05) : !up      %h0 = peer.linear %n, %w1 : !act, !up
  %h  = peer.activation %h0 gelu : !hid
  %w2 = peer.param "ffw.down.weight" normal(0.02) : !down  %o  = peer.linear %h, %w2 : !hid, !down
  %y  = arith.addf %x, %o : !act
  return %y : !act
}

// x + c1 * routed(norm(x)) + c2 * shared(norm(x)); the weights c are a learned softmax of two.
func.func private @sublayer(%x: !act) -> !act {
  %g  = peer.param "norm.weight" ones : !vec               %n  = peer.rms_norm %x, %g : !act, !vec
  // A router is a score with one head and one half: the token is the query, each expert has a key.
  %q  = peer.reshape %n to tensor<?x1x1x128xf32> : !act
  %k  = peer.param "router" normal(0.05) : !router         %s  = peer.score %q, %k : tensor<?x1x1x128xf32>, !router
  %i, %v = peer.select %s topk<2> : tensor<?x1x1x8xf32>    %w  = peer.gate %v softmax : tensor<?x1x2xf32>
  // 512 rows are 8 experts of 64 hidden units, each of three vectors g, u and v: w * silu(g . n) * (u . n) * v.
  %p  = peer.param "experts" normal(0.05) group("experts") : !pool
  %r  = peer.mix %n, %i, %w, %p silu {rows_per_expert = 64} : !act, tensor<?x1x2xi32>, tensor<?x1x2xf32>, !pool
  %sg = peer.param "shared.gate.weight" normal(0.05) : !sup   %a0 = peer.linear %n, %sg : !act, !sup
  %su = peer.param "shared.up.weight" normal(0.05) : !sup     %u  = peer.linear %n, %su : !act, !sup
  %a  = peer.activation %a0 silu : !shid                      %h  = arith.mulf %a, %u : !shid
  %sd = peer.param "shared.down.weight" normal(0.05) : !sdown %d  = peer.linear %h, %sd : !shid, !sdown
  %wb = peer.param "blend.weight" normal(0.05) : !two         %bb = peer.param "blend.bias" zeros : tensor<2xf32>
  %l  = peer.linear %n, %wb, %bb : !act, !two, tensor<2xf32>  %c  = peer.softmax %l : tensor<?x2xf32>
  %c1 = peer.slice %c along 1 from 0 size 1 : tensor<?x2xf32> %v1 = peer.reshape %c1 to tensor<?xf32> : tensor<?x1xf32>
  %c2 = peer.slice %c along 1 from 1 size 1 : tensor<?x2xf32> %v2 = peer.reshape %c2 to tensor<?xf32> : tensor<?x1xf32>
  %b1 = peer.broadcast %v1 like %x along [1] : tensor<?xf32>, !act  %y1 = arith.mulf %b1, %r : !act
  %b2 = peer.broadcast %v2 like %x along [1] : tensor<?xf32>, !act  %y2 = arith.mulf %b2, %d : !act
  %o  = arith.addf %y1, %y2 : !act                         %y  = arith.addf %x, %o : !act
  return %y : !act
}

func.func @logits(%tokens: !ids {peer.name = "tokens"}) -> (!logits {peer.name = "logits"}) {
  %e  = peer.param "token_embedding.weight" normal(0.05) : !table  %x0 = peer.embedding %tokens, %e : !ids, !table
  %x1 = peer.call "blocks.0" @dense_block(%x0) : (!act) -> !act    %a  = peer.call "blocks.1" @attention(%x1) : (!act) -> !act
  %b  = peer.call "blocks.1.ffw.a" @sublayer(%a) : (!act) -> !act  %x2 = peer.call "blocks.1.ffw.b" @sublayer(%b) : (!act) -> !act
  %x3 = peer.call "blocks.2" @dense_block(%x2) : (!act) -> !act
  %g  = peer.param "final_norm.weight" ones : !vec                 %n  = peer.rms_norm %x3, %g : !act, !vec
  %wh = peer.param "head.weight" normal(0.02) : !head              %y  = peer.linear %n, %wh : !act, !head
  return %y : !logits
}

func.func @loss(%tokens: !ids {peer.name = "tokens"}, %targets: !ids {peer.name = "targets"}) -> (tensor<f32> {peer.name = "loss"}) {
  %y  = peer.call "" @logits(%tokens) : (!ids) -> !logits
  %l  = peer.cross_entropy %y, %targets : !logits, !ids  %m  = peer.mean %l : tensor<?xf32>
  return %m : tensor<f32>
}

peer.train @train_step of @loss {optimizer = #peer.adamw<learning_rate = 2.0e-3, weight_decay = 0.01, clip_norm = 1.0>}
peer.decode @decode prefill @prefill of @logits
