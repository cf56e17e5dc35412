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
// expected-error @+1 {{wants tokens as the one input of @logits, but it also takes 'bias'; what is the same for all tokens can be a parameter marked 'buffer'}}
peer.decode @decode prefill @prefill of @logits

// -----

// Two tokens become one row: there is no such row for one token.
func.func @logits(%tokens: tensor<?xi32>) -> tensor<?x16xf32> {
  %t = peer.param "table" normal(0.02) : tensor<50x8xf32>
  %e = peer.embedding %tokens, %t : tensor<?xi32>, tensor<50x8xf32>
  // expected-error @+1 {{op 'peer.reshape' joins rows of several tokens, so @logits cannot be decoded one token at a time}}
  %y = peer.reshape %e to tensor<?x16xf32> : tensor<?x8xf32>
  return %y : tensor<?x16xf32>
}
// expected-note @+1 {{decoding was asked for here}}
peer.decode @decode prefill @prefill of @logits

// -----

// Positions begin again at other tokens than sequences do.
func.func @logits(%tokens: tensor<?xi32>) -> tensor<?x8xf32> {
  %t = peer.param "table" normal(0.02) : tensor<50x8xf32>
  %e = peer.embedding %tokens, %t : tensor<?xi32>, tensor<50x8xf32>
  // expected-note @+1 {{the context of 2 is here}}
  %q = peer.rotary %e heads 1 context 2 : tensor<?x8xf32>
  // expected-error @+1 {{op 'peer.attention' has a context of 4 beside another of 2, so @logits cannot be decoded one token at a time}}
  %y = peer.attention %q, %q, %e heads 1 context 4 : tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
// expected-note @+1 {{decoding was asked for here}}
peer.decode @decode prefill @prefill of @logits

// -----

func.func @logits(%tokens: tensor<?xi32>) -> tensor<?x8xf32> {
  %t = peer.param "table" normal(0.02) : tensor<50x8xf32>
  %e = peer.embedding %tokens, %t : tensor<?xi32>, tensor<50x8xf32>
  // expected-note @+1 {{the context of 8 is here}}
  %a = peer.attention %e, %e, %e heads 1 context 8 : tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>
  // expected-error @+1 {{op 'peer.attention' has a context of 4 beside another of 8}}
  %y = peer.attention %a, %a, %a heads 1 context 4 : tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
// expected-note @+1 {{decoding was asked for here}}
peer.decode @decode prefill @prefill of @logits

// -----

// Two rows per token: row 2t + 1 is not at position t + 1.
func.func @logits(%tokens: tensor<?xi32>) -> tensor<?x8xf32> {
  %t = peer.param "table" normal(0.02) : tensor<50x8xf32>
  %e = peer.embedding %tokens, %t : tensor<?xi32>, tensor<50x8xf32>
  %r = peer.reshape %e to tensor<?x4xf32> : tensor<?x8xf32>
  // expected-error @+1 {{op 'peer.rotary' takes rows for positions, but its operand has 2 rows per token}}
  %q = peer.rotary %r heads 1 context 4 : tensor<?x4xf32>
  %y = peer.reshape %q to tensor<?x8xf32> : tensor<?x4xf32>
  return %y : tensor<?x8xf32>
}
// expected-note @+1 {{decoding was asked for here}}
peer.decode @decode prefill @prefill of @logits

// -----

func.func @logits(%tokens: tensor<?xi32>) -> tensor<?x8xf32> {
  %t = peer.param "table" normal(0.02) : tensor<50x8xf32>
  %e = peer.embedding %tokens, %t : tensor<?xi32>, tensor<50x8xf32>
  // expected-error @+1 {{op 'peer.rotary' turns positions back, so @logits cannot be decoded one token at a time}}
  %y = peer.rotary %e heads 1 context 4 {inverse} : tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
// expected-note @+1 {{decoding was asked for here}}
peer.decode @decode prefill @prefill of @logits

// -----

// A table of positions is added row by row: which row a decoded token takes its type does not say.
func.func @logits(%tokens: tensor<4xi32>) -> tensor<4x8xf32> {
  %t = peer.param "table" normal(0.02) : tensor<50x8xf32>
  %p = peer.param "positions" normal(0.02) : tensor<4x8xf32>
  %e = peer.embedding %tokens, %t : tensor<4xi32>, tensor<50x8xf32>
  // expected-error @+1 {{op 'arith.addf' works on a value that is not computed from tokens as if it had a row for each}}
  %y = arith.addf %e, %p : tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}
// expected-note @+1 {{decoding was asked for here}}
peer.decode @decode prefill @prefill of @logits

// -----

// The same through an op of this dialect, which takes a row of idx for each of x.
func.func @logits(%tokens: tensor<4xi32>) -> tensor<4x8xf32> {
  %t = peer.param "table" normal(0.02) : tensor<50x8xf32>
  %p = peer.param "pool" normal(0.02) : tensor<4x2x8xf32>
  %i = arith.constant dense<[[[0]], [[1]], [[2]], [[3]]]> : tensor<4x1x1xi32>
  %w = arith.constant dense<1.0> : tensor<4x1x1xf32>
  %e = peer.embedding %tokens, %t : tensor<4xi32>, tensor<50x8xf32>
  // expected-error @+1 {{op 'peer.mix' works on a value that is not computed from tokens as if it had a row for each}}
  %y = peer.mix %e, %i, %w, %p gelu : tensor<4x8xf32>, tensor<4x1x1xi32>, tensor<4x1x1xf32>, tensor<4x2x8xf32>
  return %y : tensor<4x8xf32>
}
// expected-note @+1 {{decoding was asked for here}}
peer.decode @decode prefill @prefill of @logits

// -----

// Tokens along the second dimension are summed over as the inner one of a product.
func.func @logits(%tokens: tensor<?xi32>) -> tensor<3x8xf32> {
  %t = peer.param "table" normal(0.02) : tensor<50x8xf32>
  %w = peer.param "w" normal(0.02) : tensor<3x8xf32>
  %e = peer.embedding %tokens, %t : tensor<?xi32>, tensor<50x8xf32>
  %s = peer.linear %w, %e {transpose_weight} : tensor<3x8xf32>, tensor<?x8xf32>
  // expected-error @+1 {{op 'peer.linear' may mix tokens}}
  %y = peer.linear %s, %e : tensor<3x?xf32>, tensor<?x8xf32>
  return %y : tensor<3x8xf32>
}
// expected-note @+1 {{decoding was asked for here}}
peer.decode @decode prefill @prefill of @logits

// -----

func.func @logits(%tokens: tensor<?xi32>) -> tensor<3x?xf32> {
  %t = peer.param "table" normal(0.02) : tensor<50x8xf32>
  %w = peer.param "w" normal(0.02) : tensor<3x8xf32>
  %e = peer.embedding %tokens, %t : tensor<?xi32>, tensor<50x8xf32>
  // expected-error @+1 {{op 'peer.linear' returns tokens along dimension 1, so @logits cannot be decoded one token at a time}}
  %y = peer.linear %w, %e {transpose_weight} : tensor<3x8xf32>, tensor<?x8xf32>
  return %y : tensor<3x?xf32>
}
// expected-note @+1 {{decoding was asked for here}}
peer.decode @decode prefill @prefill of @logits

// -----

// What a token keeps depends on the others.
func.func @logits(%tokens: tensor<?xi32>) -> tensor<?x1x2xf32> {
  %t = peer.param "table" normal(0.02) : tensor<50x8xf32>
  %e = peer.embedding %tokens, %t : tensor<?xi32>, tensor<50x8xf32>
  %s = peer.reshape %e to tensor<?x1x1x8xf32> : tensor<?x8xf32>
  %i, %v = peer.select %s topk<2> : tensor<?x1x1x8xf32>
  // expected-error @+1 {{op 'peer.capacity' drops what is selected beyond a capacity that all tokens share, so @logits cannot be decoded one token at a time}}
  %j, %w = peer.capacity %i, %v experts 8 factor 1.0 by token : tensor<?x1x2xi32>, tensor<?x1x2xf32>
  return %w : tensor<?x1x2xf32>
}
// expected-note @+1 {{decoding was asked for here}}
peer.decode @decode prefill @prefill of @logits

// -----

func.func @logits(%tokens: tensor<?xi32>) -> tensor<?x1x8xf32> {
  %t = peer.param "table" normal(0.02) : tensor<50x8xf32>
  %e = peer.embedding %tokens, %t : tensor<?xi32>, tensor<50x8xf32>
  %s = peer.reshape %e to tensor<?x1x1x8xf32> : tensor<?x8xf32>
  // expected-error @+1 {{op 'peer.select' lets experts choose among all tokens, so @logits cannot be decoded one token at a time}}
  %i, %v = peer.select %s expert_choice<2.0> : tensor<?x1x1x8xf32>
  return %v : tensor<?x1x8xf32>
}
// expected-note @+1 {{decoding was asked for here}}
peer.decode @decode prefill @prefill of @logits
