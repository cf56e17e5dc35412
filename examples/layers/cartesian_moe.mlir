// A CartesianMoE layer (arXiv 2410.16077): two routed sub-layers in sequence, so that a token's path (i, j) is one of 8 * 8 experts
// "j after i". Each picks 2 of 8 SwiGLU experts of 32 hidden units, renormalised, and blends them with a shared expert by a learned
// softmax of two. The result includes both residuals. No capacity, no balance loss.

!act = tensor<?x64xf32>  !pool = tensor<256x3x64xf32>

func.func private @sublayer(%x: !act) -> !act {
  %g = peer.param "norm.weight" ones : tensor<64xf32>
  %n = peer.rms_norm %x, %g {epsilon = 1.0e-6 : f32} : !act, tensor<64xf32>
  // One head, one half: the logits of a token are a row.
  %wr = peer.param "router.weight" normal(0.2) : tensor<64x8xf32>
  %l = peer.linear %n, %wr : !act, tensor<64x8xf32>
  %s = peer.reshape %l to tensor<?x1x1x8xf32> : tensor<?x8xf32>
  %idx, %val = peer.select %s topk<2> : tensor<?x1x1x8xf32>
  %w = peer.gate %val softmax : tensor<?x1x2xf32>
  // 256 rows are 8 experts of 32 hidden units, each of three vectors g, u and v: w * silu(g . n) * (u . n) * v.
  %pool = peer.param "experts" normal(0.1) group("experts") : !pool
  %routed = peer.mix %n, %idx, %w, %pool silu {rows_per_expert = 32} : !act, tensor<?x1x2xi32>, tensor<?x1x2xf32>, !pool
  // The shared expert has the layout of one of them.
  %ps = peer.param "shared" normal(0.1) : tensor<32x3x64xf32>
  %gs = peer.slice %ps along 1 from 0 size 1 : tensor<32x3x64xf32>
  %us = peer.slice %ps along 1 from 1 size 1 : tensor<32x3x64xf32>
  %vs = peer.slice %ps along 1 from 2 size 1 : tensor<32x3x64xf32>
  %wg = peer.reshape %gs to tensor<32x64xf32> : tensor<32x1x64xf32>
  %wu = peer.reshape %us to tensor<32x64xf32> : tensor<32x1x64xf32>
  %wv = peer.reshape %vs to tensor<32x64xf32> : tensor<32x1x64xf32>
  %a = peer.linear %n, %wg {transpose_weight} : !act, tensor<32x64xf32>
  %u = peer.linear %n, %wu {transpose_weight} : !act, tensor<32x64xf32>
  %h0 = peer.activation %a silu : tensor<?x32xf32>
  %h = arith.mulf %h0, %u : tensor<?x32xf32>
  %shared = peer.linear %h, %wv : tensor<?x32xf32>, tensor<32x64xf32>
  // Column 0 of the blend is for the routed experts, column 1 for the shared one.
  %wb = peer.param "blend.weight" normal(0.2) : tensor<64x2xf32>
  %bb = peer.param "blend.bias" zeros : tensor<2xf32>
  %b = peer.linear %n, %wb, %bb : !act, tensor<64x2xf32>, tensor<2xf32>
  %c = peer.softmax %b : tensor<?x2xf32>
  %c1 = peer.slice %c along 1 from 0 size 1 : tensor<?x2xf32>
  %c2 = peer.slice %c along 1 from 1 size 1 : tensor<?x2xf32>
  %r1 = peer.reshape %c1 to tensor<?xf32> : tensor<?x1xf32>
  %r2 = peer.reshape %c2 to tensor<?xf32> : tensor<?x1xf32>
  %b1 = peer.broadcast %r1 like %x along [1] : tensor<?xf32>, !act
  %b2 = peer.broadcast %r2 like %x along [1] : tensor<?xf32>, !act
  %y1 = arith.mulf %b1, %routed : !act
  %y2 = arith.mulf %b2, %shared : !act
  %y0 = arith.addf %y1, %y2 : !act
  %y = arith.addf %x, %y0 : !act
  return %y : !act
}
func.func @layer(%x: !act {peer.name = "x"}) -> (!act {peer.name = "y"}) {
  %m = peer.call "a" @sublayer(%x) : (!act) -> !act
  %y = peer.call "b" @sublayer(%m) : (!act) -> !act
  return %y : !act
}
peer.gradient @layer_grad of @layer
