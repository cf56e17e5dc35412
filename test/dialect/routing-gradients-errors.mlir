// RUN: %peer-pass %s -split-input-file -verify-diagnostics

// One case per constraint of the gradients of score, select, gate and mix, named after it.

func.func @select_grad_c1_idx(%i: tensor<?x8x4xf32>, %d: tensor<?x8x4xf32>) {
  // expected-error @+1 {{'peer.select_grad' op C1: expected idx to be T x H x K i32}}
  %r = peer.select_grad %i, %d topk<4> n 64 : tensor<?x8x4xf32>, tensor<?x8x4xf32>
  return
}

// -----

func.func @select_grad_c1_dval(%i: tensor<?x8x4xi32>, %d: tensor<?x8x3xf32>) {
  // expected-error @+1 {{'peer.select_grad' op C1: expected dval to be T x H x K f32 with K = 4}}
  %r = peer.select_grad %i, %d topk<4> n 64 : tensor<?x8x4xi32>, tensor<?x8x3xf32>
  return
}

// -----

func.func @select_grad_c2_policy(%i: tensor<?x8x4xi32>, %d: tensor<?x8x4xf32>) {
  // expected-error @+1 {{'peer.select_grad' op C2: expected p between 0 and 1, got 2}}
  %r = peer.select_grad %i, %d top_p<2, max = 4> n 64 : tensor<?x8x4xi32>, tensor<?x8x4xf32>
  return
}

// -----

func.func @select_grad_c3_n(%i: tensor<?x8x4xi32>, %d: tensor<?x8x4xf32>) {
  // expected-error @+1 {{'peer.select_grad' op C3: expected n of at least 1, got 0}}
  %r = peer.select_grad %i, %d topk<4> n 0 : tensor<?x8x4xi32>, tensor<?x8x4xf32>
  return
}

// -----

func.func @score_query_grad_c1_rank(%d: tensor<?x8x64xf32>, %k: tensor<8x2x64x16xf32>) {
  // expected-error @+1 {{'peer.score_query_grad' op C1: expected dlogits to be T x H x P x n f32}}
  %r = peer.score_query_grad %d, %k : tensor<?x8x64xf32>, tensor<8x2x64x16xf32>
  return
}

// -----

func.func @score_query_grad_c1_keys(%d: tensor<?x8x2x64xf32>, %k: tensor<8x2x32x16xf32>) {
  // expected-error @+1 {{'peer.score_query_grad' op C1: expected keys to be G x P x n x d f32 or bf16 with n = 64}}
  %r = peer.score_query_grad %d, %k : tensor<?x8x2x64xf32>, tensor<8x2x32x16xf32>
  return
}

// -----

func.func @score_query_grad_c1_heads(%d: tensor<?x8x2x64xf32>, %k: tensor<4x2x64x16xf32>) {
  // expected-error @+1 {{'peer.score_query_grad' op C1: expected keys for 8 heads or for 1 shared by all, got 4}}
  %r = peer.score_query_grad %d, %k : tensor<?x8x2x64xf32>, tensor<4x2x64x16xf32>
  return
}

// -----

func.func @score_key_grad_c1_type(%d: tensor<?x8x2x64xbf16>, %q: tensor<?x8x2x16xf32>) {
  // expected-error @+1 {{'peer.score_key_grad' op C1: expected dlogits to be T x H x P x n f32}}
  %r = peer.score_key_grad %d, %q : tensor<?x8x2x64xbf16>, tensor<?x8x2x16xf32>
  return
}

// -----

func.func @score_key_grad_c1_query(%d: tensor<?x8x2x64xf32>, %q: tensor<?x8x1x16xf32>) {
  // expected-error @+1 {{'peer.score_key_grad' op C1: expected query to be T x H x P x d f32 or bf16 with P = 2}}
  %r = peer.score_key_grad %d, %q : tensor<?x8x2x64xf32>, tensor<?x8x1x16xf32>
  return
}

// -----

func.func @route_query_grad_c1_dval(%i: tensor<?x8x4xi32>, %d: tensor<?x8x4xf64>, %k: tensor<8x2x64x16xf32>) {
  // expected-error @+1 {{'peer.route_query_grad' op C1: expected dval to be T x H x K f32}}
  %r = peer.route_query_grad %i, %d, %k product_topk<4> : tensor<?x8x4xi32>, tensor<?x8x4xf64>, tensor<8x2x64x16xf32>
  return
}

// -----

func.func @route_query_grad_c1_heads(%i: tensor<?x8x4xi32>, %d: tensor<?x8x4xf32>, %k: tensor<2x2x64x16xf32>) {
  // expected-error @+1 {{'peer.route_query_grad' op C1: expected keys for 8 heads or for 1 shared by all, got 2}}
  %r = peer.route_query_grad %i, %d, %k product_topk<4> : tensor<?x8x4xi32>, tensor<?x8x4xf32>, tensor<2x2x64x16xf32>
  return
}

// -----

func.func @route_query_grad_c2_policy(%i: tensor<?x8x4xi32>, %d: tensor<?x8x4xf32>, %k: tensor<8x2x64x16xf32>) {
  // expected-error @+1 {{'peer.route_query_grad' op C2: expected a policy that selects some of the keys, got all}}
  %r = peer.route_query_grad %i, %d, %k all : tensor<?x8x4xi32>, tensor<?x8x4xf32>, tensor<8x2x64x16xf32>
  return
}

// -----

func.func @route_query_grad_c2_halves(%i: tensor<?x8x4xi32>, %d: tensor<?x8x4xf32>, %k: tensor<8x2x64x16xf32>) {
  // expected-error @+1 {{'peer.route_query_grad' op C2: policy topk wants P = 1, got 2}}
  %r = peer.route_query_grad %i, %d, %k topk<4> : tensor<?x8x4xi32>, tensor<?x8x4xf32>, tensor<8x2x64x16xf32>
  return
}

// -----

func.func @route_key_grad_c1_query(%i: tensor<?x8x4xi32>, %d: tensor<?x8x4xf32>, %q: tensor<?x4x2x16xf32>) {
  // expected-error @+1 {{'peer.route_key_grad' op C1: expected query to be T x H x P x d f32 or bf16 with H = 8}}
  %r = peer.route_key_grad %i, %d, %q product_topk<4> n 64 : tensor<?x8x4xi32>, tensor<?x8x4xf32>, tensor<?x4x2x16xf32>
  return
}

// -----

func.func @route_key_grad_c2_policy(%i: tensor<?x8x4xi32>, %d: tensor<?x8x4xf32>, %q: tensor<?x8x2x16xf32>) {
  // expected-error @+1 {{'peer.route_key_grad' op C2: expected a policy that selects some of the keys, got all}}
  %r = peer.route_key_grad %i, %d, %q all n 64 : tensor<?x8x4xi32>, tensor<?x8x4xf32>, tensor<?x8x2x16xf32>
  return
}

// -----

func.func @route_key_grad_c2_halves(%i: tensor<?x8x4xi32>, %d: tensor<?x8x4xf32>, %q: tensor<?x8x1x16xf32>) {
  // expected-error @+1 {{'peer.route_key_grad' op C2: policy product_topk wants P = 2, got 1}}
  %r = peer.route_key_grad %i, %d, %q product_topk<4> n 64 : tensor<?x8x4xi32>, tensor<?x8x4xf32>, tensor<?x8x1x16xf32>
  return
}

// -----

func.func @route_key_grad_c3_n(%i: tensor<?x8x4xi32>, %d: tensor<?x8x4xf32>, %q: tensor<?x8x2x16xf32>) {
  // expected-error @+1 {{'peer.route_key_grad' op C3: expected n of at least 1, got -1}}
  %r = peer.route_key_grad %i, %d, %q product_topk<4> n -1 : tensor<?x8x4xi32>, tensor<?x8x4xf32>, tensor<?x8x2x16xf32>
  return
}

// -----

func.func @route_key_grad_c2_numbers(%i: tensor<?x8x4xi32>, %d: tensor<?x8x4xf32>, %q: tensor<?x8x1x16xf32>) {
  // expected-error @+1 {{'peer.route_key_grad' op C2: expected a threshold of sigmoids of at least 0 and below 1, got 2}}
  %r = peer.route_key_grad %i, %d, %q threshold<2, of = sigmoid, max = 4> n 64 : tensor<?x8x4xi32>, tensor<?x8x4xf32>, tensor<?x8x1x16xf32>
  return
}

// -----

func.func @probability_grad_c1_weights(%s: tensor<?x8x1x64xf32>, %w: tensor<?x8x4xf32>, %d: tensor<?x8x3xf32>) {
  // expected-error @+1 {{'peer.probability_grad' op C1: expected dweights to be T x H x K f32 with K = 4}}
  %r = peer.probability_grad %s, %w, %d : tensor<?x8x1x64xf32>, tensor<?x8x4xf32>, tensor<?x8x3xf32>
  return
}

// -----

func.func @probability_grad_c2_keys(%s: tensor<?x8x1x0xf32>, %w: tensor<?x8x4xf32>) {
  // expected-error @+1 {{'peer.probability_grad' op C2: expected logits of 1 or 2 halves of at least 1 key, got 1 of 0}}
  %r = peer.probability_grad %s, %w, %w : tensor<?x8x1x0xf32>, tensor<?x8x4xf32>, tensor<?x8x4xf32>
  return
}

// -----

func.func @gate_grad_c1_shape(%v: tensor<?x8x4xf32>, %w: tensor<?x8x2xf32>, %d: tensor<?x8x4xf32>) {
  // expected-error @+1 {{'peer.gate_grad' op C1: expected weights to be T x H x K f32 with K = 4}}
  %r = peer.gate_grad %v, %w, %d softmax : tensor<?x8x4xf32>, tensor<?x8x2xf32>, tensor<?x8x4xf32>
  return
}

// -----

func.func @gate_grad_c2_kind(%v: tensor<?x8x4xf32>, %w: tensor<?x8x4xf32>, %d: tensor<?x8x4xf32>) {
  // expected-error @+1 {{'peer.gate_grad' op C2: a probability has a gradient of its own; use softmax, sigmoid, relu or one}}
  %r = peer.gate_grad %v, %w, %d probability : tensor<?x8x4xf32>, tensor<?x8x4xf32>, tensor<?x8x4xf32>
  return
}
