// RUN: %peer-pass %s -split-input-file -verify-diagnostics

// One case per constraint of peer.score, named after it.

func.func @score_c1_query_rank(%q: tensor<?x8x16xf32>, %k: tensor<8x2x64x16xf32>) {
  // expected-error @+1 {{'peer.score' op C1: expected query to be T x H x P x d f32 or bf16, got tensor<?x8x16xf32>}}
  %r = peer.score %q, %k : tensor<?x8x16xf32>, tensor<8x2x64x16xf32>
  return
}

// -----

func.func @score_c1_keys_rank(%q: tensor<?x8x2x16xf32>, %k: tensor<8x64x16xf32>) {
  // expected-error @+1 {{'peer.score' op C1: expected keys to be G x P x n x d f32 or bf16, got tensor<8x64x16xf32>}}
  %r = peer.score %q, %k : tensor<?x8x2x16xf32>, tensor<8x64x16xf32>
  return
}

// -----

func.func @score_c2_halves(%q: tensor<?x8x3x16xf32>, %k: tensor<8x3x64x16xf32>) {
  // expected-error @+1 {{'peer.score' op C2: expected 1 or 2 halves, got 3}}
  %r = peer.score %q, %k : tensor<?x8x3x16xf32>, tensor<8x3x64x16xf32>
  return
}

// -----

func.func @score_c2_unequal_halves(%q: tensor<?x8x2x16xf32>, %k: tensor<8x1x64x16xf32>) {
  // expected-error @+1 {{'peer.score' op C2: expected keys to have P = 2 halves like the query, got 1}}
  %r = peer.score %q, %k : tensor<?x8x2x16xf32>, tensor<8x1x64x16xf32>
  return
}

// -----

func.func @score_c3_dynamic_heads(%q: tensor<?x?x2x16xf32>, %k: tensor<8x2x64x16xf32>) {
  // expected-error @+1 {{'peer.score' op C3: expected query to be T x H x P x d f32 or bf16 with static H}}
  %r = peer.score %q, %k : tensor<?x?x2x16xf32>, tensor<8x2x64x16xf32>
  return
}

// -----

func.func @score_c3_dynamic_halves(%q: tensor<?x8x2x16xf32>, %k: tensor<8x?x64x16xf32>) {
  // expected-error @+1 {{'peer.score' op C3: expected keys to be G x P x n x d f32 or bf16 with static P}}
  %r = peer.score %q, %k : tensor<?x8x2x16xf32>, tensor<8x?x64x16xf32>
  return
}

// -----

func.func @score_c3_dynamic_keys(%q: tensor<?x8x2x16xf32>, %k: tensor<8x2x?x16xf32>) {
  // expected-error @+1 {{'peer.score' op C3: expected keys to be G x P x n x d f32 or bf16 with static n}}
  %r = peer.score %q, %k : tensor<?x8x2x16xf32>, tensor<8x2x?x16xf32>
  return
}

// -----

func.func @score_c3_width(%q: tensor<?x8x2x16xf32>, %k: tensor<8x2x64x8xf32>) {
  // expected-error @+1 {{'peer.score' op C3: expected keys to be G x P x n x d f32 or bf16 with d = 16, got tensor<8x2x64x8xf32>}}
  %r = peer.score %q, %k : tensor<?x8x2x16xf32>, tensor<8x2x64x8xf32>
  return
}

// -----

func.func @score_c3_no_width(%q: tensor<?x8x2x0xf32>, %k: tensor<8x2x64x0xf32>) {
  // expected-error @+1 {{'peer.score' op C3: expected d and n of at least 1}}
  %r = peer.score %q, %k : tensor<?x8x2x0xf32>, tensor<8x2x64x0xf32>
  return
}

// -----

func.func @score_c3_no_keys(%q: tensor<?x8x2x16xf32>, %k: tensor<8x2x0x16xf32>) {
  // expected-error @+1 {{'peer.score' op C3: expected d and n of at least 1}}
  %r = peer.score %q, %k : tensor<?x8x2x16xf32>, tensor<8x2x0x16xf32>
  return
}

// -----

func.func @score_c4_heads(%q: tensor<?x8x2x16xf32>, %k: tensor<4x2x64x16xf32>) {
  // expected-error @+1 {{'peer.score' op C4: expected keys for 8 heads or for 1 shared by all, got 4}}
  %r = peer.score %q, %k : tensor<?x8x2x16xf32>, tensor<4x2x64x16xf32>
  return
}

// -----

func.func @score_c5_query(%q: tensor<?x8x2x16xf64>, %k: tensor<8x2x64x16xf32>) {
  // expected-error @+1 {{'peer.score' op C5: expected query to be T x H x P x d f32 or bf16, got tensor<?x8x2x16xf64>}}
  %r = peer.score %q, %k : tensor<?x8x2x16xf64>, tensor<8x2x64x16xf32>
  return
}

// -----

func.func @score_c5_keys(%q: tensor<?x8x2x16xf32>, %k: tensor<8x2x64x16xf16>) {
  // expected-error @+1 {{'peer.score' op C5: expected keys to be G x P x n x d f32 or bf16, got tensor<8x2x64x16xf16>}}
  %r = peer.score %q, %k : tensor<?x8x2x16xf32>, tensor<8x2x64x16xf16>
  return
}

// -----

// Logits are f32; a destination of another type is C0, the constraint that all graph ops share.
func.func @score_c5_logits(%q: tensor<?x8x2x16xf32>, %k: tensor<8x2x64x16xf32>, %o: tensor<?x8x2x64xbf16>) {
  // expected-error @+1 {{'peer.score' op C0: expected a destination for tensor<?x8x2x64xf32>, got tensor<?x8x2x64xbf16>}}
  %r = peer.score %q, %k outs(%o : tensor<?x8x2x64xbf16>) : tensor<?x8x2x16xf32>, tensor<8x2x64x16xf32>
  return
}
