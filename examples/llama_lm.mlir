// A byte-level language model as LLaMA and its successors are built, the trunk being that of tiny_dense_lm.mlir: two heads of queries share one of keys
// and values (arXiv 2305.13245), queries and keys are normed head by head before they turn (arXiv 2010.04245), a SwiGLU layer (arXiv 2002.05202), the
// embedding is the head, and what a block adds is dropped by chance while training (arXiv 1207.0580). The first block sees a window of 32 tokens.

!act = tensor<?x128xf32>  !kv = tensor<?x64xf32>  !head = tensor<?x32xf32>  !hid = tensor<?x344xf32>  !ids = tensor<?xi32>  !logits = tensor<?x256xf32>
!vec = tensor<128xf32>  !mat = tensor<128x128xf32>  !kvmat = tensor<128x64xf32>  !up = tensor<128x344xf32>  !down = tensor<344x128xf32>
!table = tensor<256x128xf32>

// Queries and keys of a block, normed and turned: rows of the norm are heads.
func.func private @projections(%n: !act) -> (!act, !kv, !kv) {
  %wq = peer.param "query.weight" normal(0.05) : !mat             %q0 = peer.linear %n, %wq : !act, !mat
  %wk = peer.param "key.weight" normal(0.05) : !kvmat             %k0 = peer.linear %n, %wk : !act, !kvmat
  %wv = peer.param "value.weight" normal(0.05) : !kvmat           %v  = peer.linear %n, %wv : !act, !kvmat
  %gq = peer.param "query_norm.weight" ones : tensor<32xf32>      %gk = peer.param "key_norm.weight" ones : tensor<32xf32>
  %q1 = peer.reshape %q0 to !head : !act                          %q2 = peer.rms_norm %q1, %gq : !head, tensor<32xf32>
  %k1 = peer.reshape %k0 to !head : !kv                           %k2 = peer.rms_norm %k1, %gk : !head, tensor<32xf32>
  %q3 = peer.reshape %q2 to !act : !head                          %k3 = peer.reshape %k2 to !kv : !head
  %q  = peer.rotary %q3 heads 4 context 128 : !act                %k  = peer.rotary %k3 heads 2 context 128 : !kv
  return %q, %k, %v : !act, !kv, !kv
}

// The rest of a block, from what attention gives on.
func.func private @rest(%x0: !act, %a: !act) -> !act {
  %wo = peer.param "attention.output.weight" normal(0.02) : !mat  %o  = peer.linear %a, %wo : !act, !mat
  %od = peer.dropout %o {rate = 0.1 : f32} : !act                 %x  = arith.addf %x0, %od : !act
  %g  = peer.param "ffw_norm.weight" ones : !vec                  %n  = peer.rms_norm %x, %g : !act, !vec
  %wg = peer.param "ffw.gate.weight" normal(0.05) : !up           %g0 = peer.linear %n, %wg : !act, !up
  %wu = peer.param "ffw.up.weight" normal(0.05) : !up             %u  = peer.linear %n, %wu : !act, !up
  %s  = peer.activation %g0 silu : !hid                           %h  = arith.mulf %s, %u : !hid
  %wd = peer.param "ffw.down.weight" normal(0.02) : !down         %f  = peer.linear %h, %wd : !hid, !down
  %fd = peer.dropout %f {rate = 0.1 : f32} : !act                 %y  = arith.addf %x, %fd : !act
  return %y : !act
}

func.func private @window_block(%x: !act) -> !act {
  %g  = peer.param "attention_norm.weight" ones : !vec            %n  = peer.rms_norm %x, %g : !act, !vec
  %q, %k, %v = peer.call "attention" @projections(%n) : (!act) -> (!act, !kv, !kv)
  %a  = peer.attention %q, %k, %v heads 4 context 128 window 32 : !act, !kv, !kv
  %y  = peer.call "" @rest(%x, %a) : (!act, !act) -> !act         return %y : !act
}

func.func private @block(%x: !act) -> !act {
  %g  = peer.param "attention_norm.weight" ones : !vec            %n  = peer.rms_norm %x, %g : !act, !vec
  %q, %k, %v = peer.call "attention" @projections(%n) : (!act) -> (!act, !kv, !kv)
  %a  = peer.attention %q, %k, %v heads 4 context 128 : !act, !kv, !kv
  %y  = peer.call "" @rest(%x, %a) : (!act, !act) -> !act         return %y : !act
}

func.func @logits(%tokens: !ids {peer.name = "tokens"}) -> (!logits {peer.name = "logits"}) {
  %e  = peer.param "token_embedding.weight" normal(0.05) : !table  %x0 = peer.embedding %tokens, %e : !ids, !table
  %x1 = peer.call "blocks.0" @window_block(%x0) : (!act) -> !act   %x3 = peer.repeat "blocks" 2 from 1 @block(%x1) : !act
  %g  = peer.param "final_norm.weight" ones : !vec                 %n  = peer.rms_norm %x3, %g : !act, !vec
  // One parameter, two uses: its gradient is the sum of both.
  %y  = peer.linear %n, %e {transpose_weight} : !act, !table       return %y : !logits
}

func.func @loss(%tokens: !ids {peer.name = "tokens"}, %targets: !ids {peer.name = "targets"}) -> (tensor<f32> {peer.name = "loss"}) {
  %y  = peer.call "" @logits(%tokens) : (!ids) -> !logits
  %l  = peer.cross_entropy %y, %targets : !logits, !ids  %m  = peer.mean %l : tensor<?xf32>
  return %m : tensor<f32>
}

peer.train @train_step of @loss {optimizer = #peer.adamw<learning_rate = 2.0e-3, weight_decay = 0.01, clip_norm = 1.0>}
peer.decode @decode prefill @prefill of @logits
