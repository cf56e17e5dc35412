// RUN: %peer-pass %s --peer-inline-modules --peer-derive-decode --split-input-file --verify-diagnostics

func.func @logits(%tokens: tensor<?xi32>) -> tensor<8x8xf32> {
  %t = peer.param "table" normal(0.02) : tensor<50x8xf32>
  %e = peer.embedding %tokens, %t : tensor<?xi32>, tensor<50x8xf32>
  // expected-error @+1 {{op 'peer.linear' may mix tokens, so @logits cannot be decoded one token at a time}}
  %y = peer.linear %e, %e {transpose_x} : tensor<?x8xf32>, tensor<?x8xf32>
  return %y : tensor<8x8xf32>
}
// expected-note @+1 {{decoding was asked for here}}
peer.decode @decode prefill @prefill of @logits

// -----

func.func @logits(%tokens: tensor<?xi32>) -> tensor<8xf32> {
  %t = peer.param "table" normal(0.02) : tensor<50x8xf32>
  %e = peer.embedding %tokens, %t : tensor<?xi32>, tensor<50x8xf32>
  // expected-error @+1 {{op 'peer.batch_stats' may mix tokens, so @logits cannot be decoded one token at a time}}
  %s:2 = peer.batch_stats %e : tensor<?x8xf32>
  return %s#0 : tensor<8xf32>
}
// expected-note @+1 {{decoding was asked for here}}
peer.decode @decode prefill @prefill of @logits

// -----

func.func @logits(%tokens: tensor<?xi32>, %bias: tensor<?x8xf32> {peer.name = "bias"}) -> tensor<?x8xf32> {
  %t = peer.param "table" normal(0.02) : tensor<50x8xf32>
  %e = peer.embedding %tokens, %t : tensor<?xi32>, tensor<50x8xf32>
  %y = arith.addf %e, %bias : tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
// expected-error @+1 {{wants tokens as the one input of @logits, but it also takes 'bias'}}
peer.decode @decode prefill @prefill of @logits

// -----

// Two tokens become one row: there is no such row for one token.
func.func @logits(%tokens: tensor<?xi32>) -> tensor<?x16xf32> {
  %t = peer.param "table" normal(0.02) : tensor<50x8xf32>
  %e = peer.embedding %tokens, %t : tensor<?xi32>, tensor<50x8xf32>
  // expected-error @+1 {{'peer.reshape' op joins rows of several tokens, so @logits cannot be decoded one token at a time}}
  %y = peer.reshape %e to tensor<?x16xf32> : tensor<?x8xf32>
  return %y : tensor<?x16xf32>
}
peer.decode @decode prefill @prefill of @logits
