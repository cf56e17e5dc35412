// A byte-level language model of state-space blocks alone (Mamba, arXiv 2312.00752): five of width 128, which have about as many parameters as
// the three blocks of tiny_dense_lm.mlir. Inner width 256, 16 states for each channel, 4 taps, steps through 8 numbers: the paper's 2 * width, N, and
// width / 16. First steps lie between 0.001 and 0.1, as there, and states first decay by 1 to 16 (S4D-Real).

!act = tensor<?x128xf32>  !in = tensor<?x256xf32>  !both = tensor<?x512xf32>  !ids = tensor<?xi32>  !logits = tensor<?x256xf32>  !vec = tensor<128xf32>
!wide = tensor<256xf32>  !up = tensor<128x512xf32>  !down = tensor<256x128xf32>  !conv = tensor<4x256xf32>  !a = tensor<16x256xf32>  !n = tensor<?x16xf32>
!pick = tensor<256x40xf32>  !picked = tensor<?x40xf32>  !low = tensor<?x8xf32>  !step = tensor<8x256xf32>  !table = tensor<256x128xf32>  !head = tensor<128x256xf32>

func.func private @mamba(%x0: !act) -> !act {
  %g  = peer.param "norm.weight" ones : !vec                     %n  = peer.rms_norm %x0, %g : !act, !vec
  %wi = peer.param "in_proj.weight" normal(0.05) : !up           %i  = peer.linear %n, %wi : !act, !up
  %x1 = peer.slice %i along 1 from 0 size 256 : !both            %z  = peer.slice %i along 1 from 256 size 256 : !both
  %wc = peer.param "conv.weight" normal(0.3) : !conv             %x2 = peer.causal_conv %x1, %wc context 128 : !in, !conv
  %bc = peer.param "conv.bias" zeros : !wide                     %b0 = peer.broadcast %bc like %x2 along [0] : !wide, !in
  %x3 = arith.addf %x2, %b0 : !in                                %x  = peer.activation %x3 silu : !in
  // What makes the recurrence selective: step, input and output of each token are made of it.
  %wp = peer.param "x_proj.weight" normal(0.05) : !pick          %p  = peer.linear %x, %wp : !in, !pick
  %l  = peer.slice %p along 1 from 0 size 8 : !picked            %b  = peer.slice %p along 1 from 8 size 16 : !picked
  %c  = peer.slice %p along 1 from 24 size 16 : !picked          %wd = peer.param "dt_proj.weight" normal(0.2) : !step
  %bd = peer.param "dt_proj.bias" uniform(-6.9, -2.25) : !wide   %s  = peer.linear %l, %wd, %bd : !low, !step, !wide
  // softplus(s) = relu(s) + log(1 + exp(-|s|)).
  %s1 = math.absf %s : !in  %s2 = arith.negf %s1 : !in           %s3 = math.exp %s2 : !in  %s4 = math.log1p %s3 : !in
  %r  = peer.activation %s relu : !in                            %dt = arith.addf %r, %s4 : !in
  // a = -exp(A_log), which begins with the logarithms of 1 to 16.
  %la = arith.constant dense<[0.0, 0.6931472, 1.0986123, 1.3862944, 1.6094379, 1.7917595, 1.9459101, 2.0794415, 2.1972246, 2.3025851, 2.3978953,
                              2.4849066, 2.5649494, 2.6390573, 2.7080502, 2.7725887]> : tensor<16xf32>
  %a0 = peer.param "A_log" zeros : !a                            %a1 = peer.broadcast %la like %a0 along [1] : tensor<16xf32>, !a
  %a2 = arith.addf %a0, %a1 : !a  %a3 = math.exp %a2 : !a        %a  = arith.negf %a3 : !a
  %y0 = peer.selective_scan %x, %dt, %a, %b, %c context 128 : !in, !in, !a, !n, !n
  %d  = peer.param "D" ones : !wide                              %d1 = peer.broadcast %d like %x along [0] : !wide, !in
  %d2 = arith.mulf %d1, %x : !in  %y1 = arith.addf %y0, %d2 : !in
  %zg = peer.activation %z silu : !in                            %y2 = arith.mulf %y1, %zg : !in
  %wo = peer.param "out_proj.weight" normal(0.02) : !down        %o  = peer.linear %y2, %wo : !in, !down
  %y  = arith.addf %x0, %o : !act                                return %y : !act
}

func.func @logits(%tokens: !ids {peer.name = "tokens"}) -> (!logits {peer.name = "logits"}) {
  %e  = peer.param "token_embedding.weight" normal(0.05) : !table  %x0 = peer.embedding %tokens, %e : !ids, !table
  %x5 = peer.repeat "blocks" 5 @mamba(%x0) : !act                  %g  = peer.param "final_norm.weight" ones : !vec
  %n  = peer.rms_norm %x5, %g : !act, !vec                         %wh = peer.param "head.weight" normal(0.02) : !head
  %y  = peer.linear %n, %wh : !act, !head                          return %y : !logits
}
func.func @loss(%tokens: !ids {peer.name = "tokens"}, %targets: !ids {peer.name = "targets"}) -> (tensor<f32> {peer.name = "loss"}) {
  %y = peer.call "" @logits(%tokens) : (!ids) -> !logits
  %l = peer.cross_entropy %y, %targets : !logits, !ids  %m = peer.mean %l : tensor<?xf32>  return %m : tensor<f32>
}

peer.train @train_step of @loss {optimizer = #peer.adamw<learning_rate = 2.0e-3, weight_decay = 0.01, clip_norm = 1.0>}
peer.decode @decode prefill @prefill of @logits
