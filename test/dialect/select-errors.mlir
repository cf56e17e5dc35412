// RUN: %peer-pass %s -split-input-file -verify-diagnostics

// One case per constraint of peer.select, named after it.

func.func @select_c1_rank(%s: tensor<?x8x64xf32>) {
  // expected-error @+1 {{'peer.select' op C1: expected logits to be T x H x P x n f32, got tensor<?x8x64xf32>}}
  %r:2 = peer.select %s topk<4> : tensor<?x8x64xf32>
  return
}

// -----

func.func @select_c1_type(%s: tensor<?x8x1x64xbf16>) {
  // expected-error @+1 {{'peer.select' op C1: expected logits to be T x H x P x n f32, got tensor<?x8x1x64xbf16>}}
  %r:2 = peer.select %s topk<4> : tensor<?x8x1x64xbf16>
  return
}

// -----

func.func @select_c1_dynamic_heads(%s: tensor<?x?x1x64xf32>) {
  // expected-error @+1 {{'peer.select' op C1: expected logits to be T x H x P x n f32 with static H}}
  %r:2 = peer.select %s topk<4> : tensor<?x?x1x64xf32>
  return
}

// -----

func.func @select_c1_dynamic_halves(%s: tensor<?x8x?x64xf32>) {
  // expected-error @+1 {{'peer.select' op C1: expected logits to be T x H x P x n f32 with static P}}
  %r:2 = peer.select %s topk<4> : tensor<?x8x?x64xf32>
  return
}

// -----

func.func @select_c1_dynamic_n(%s: tensor<?x8x1x?xf32>) {
  // expected-error @+1 {{'peer.select' op C1: expected logits to be T x H x P x n f32 with static n}}
  %r:2 = peer.select %s topk<4> : tensor<?x8x1x?xf32>
  return
}

// -----

func.func @select_c2_topk(%s: tensor<?x8x2x64xf32>) {
  // expected-error @+1 {{'peer.select' op C2: policy topk wants 1 half, got 2}}
  %r:2 = peer.select %s topk<4> : tensor<?x8x2x64xf32>
  return
}

// -----

func.func @select_c2_all(%s: tensor<?x8x2x64xf32>) {
  // expected-error @+1 {{'peer.select' op C2: policy all wants 1 half, got 2}}
  %r:2 = peer.select %s all : tensor<?x8x2x64xf32>
  return
}

// -----

func.func @select_c2_product(%s: tensor<?x8x1x64xf32>) {
  // expected-error @+1 {{'peer.select' op C2: policy product_topk wants 2 halves, got 1}}
  %r:2 = peer.select %s product_topk<4> : tensor<?x8x1x64xf32>
  return
}

// -----

func.func @select_c3_zero(%s: tensor<?x8x1x64xf32>) {
  // expected-error @+1 {{'peer.select' op C3: expected 1 <= k <= n = 64, got k = 0}}
  %r:2 = peer.select %s topk<0> : tensor<?x8x1x64xf32>
  return
}

// -----

func.func @select_c3_negative(%s: tensor<?x8x1x64xf32>) {
  // expected-error @+1 {{'peer.select' op C3: expected 1 <= k <= n = 64, got k = -1}}
  %r:2 = peer.select %s topk<-1> : tensor<?x8x1x64xf32>
  return
}

// -----

func.func @select_c3_not_given(%s: tensor<?x8x1x64xf32>) {
  // expected-error @+1 {{expected how many experts each head selects, as in 'topk<16>'}}
  %r:2 = peer.select %s topk : tensor<?x8x1x64xf32>
  return
}

// -----

func.func @select_c3_above_n(%s: tensor<?x8x2x64xf32>) {
  // expected-error @+1 {{'peer.select' op C3: expected 1 <= k <= n = 64, got k = 65}}
  %r:2 = peer.select %s product_topk<65> : tensor<?x8x2x64xf32>
  return
}

// -----

func.func @select_c2_top_p(%s: tensor<?x8x2x64xf32>) {
  // expected-error @+1 {{'peer.select' op C2: policy top_p wants 1 half, got 2}}
  %r:2 = peer.select %s top_p<0.5, max = 4> : tensor<?x8x2x64xf32>
  return
}

// -----

func.func @select_c3_top_p(%s: tensor<?x8x1x64xf32>) {
  // expected-error @+1 {{'peer.select' op C3: expected 1 <= max <= n = 64, got max = 65}}
  %r:2 = peer.select %s top_p<0.5, max = 65> : tensor<?x8x1x64xf32>
  return
}

// -----

func.func @select_c3_threshold(%s: tensor<?x8x1x64xf32>) {
  // expected-error @+1 {{'peer.select' op C3: expected 1 <= max <= n = 64, got max = 0}}
  %r:2 = peer.select %s threshold<0.5, max = 0> : tensor<?x8x1x64xf32>
  return
}

// -----

func.func @select_c4_top_p(%s: tensor<?x8x1x64xf32>) {
  // expected-error @+1 {{'peer.select' op C4: expected p between 0 and 1, got 4}}
  %r:2 = peer.select %s top_p<4, max = 4> : tensor<?x8x1x64xf32>
  return
}

// -----

func.func @select_c4_threshold(%s: tensor<?x8x1x64xf32>) {
  // expected-error @+1 {{'peer.select' op C4: expected a threshold of sigmoids of at least 0 and below 1, got 1}}
  %r:2 = peer.select %s threshold<1.0, of = sigmoid, max = 4> : tensor<?x8x1x64xf32>
  return
}

// -----

func.func @select_top_p_without_max(%s: tensor<?x8x1x64xf32>) {
  // expected-error @+1 {{expected how much probability is enough and the most experts of a head, as in 'top_p<0.9, max = 16>'}}
  %r:2 = peer.select %s top_p<0.9> : tensor<?x8x1x64xf32>
  return
}

// -----

func.func @select_threshold_of(%s: tensor<?x8x1x64xf32>) {
  // expected-error @+1 {{expected a threshold and the most experts of a head, as in 'threshold<0.5, max = 8>' or 'threshold<0.5, of = sigmoid, max = 8>'}}
  %r:2 = peer.select %s threshold<0.5, of = tanh, max = 8> : tensor<?x8x1x64xf32>
  return
}

// -----

func.func @select_c5_product(%s: tensor<?x8x2x46341xf32>) {
  // expected-error @+1 {{'peer.select' op C5: expected expert ids to fit in i32, got n = 46341}}
  %r:2 = peer.select %s product_topk<4> : tensor<?x8x2x46341xf32>
  return
}

// -----

func.func @select_c5_topk(%s: tensor<?x8x1x2147483648xf32>) {
  // expected-error @+1 {{'peer.select' op C5: expected expert ids to fit in i32, got n = 2147483648}}
  %r:2 = peer.select %s topk<4> : tensor<?x8x1x2147483648xf32>
  return
}

// -----

func.func @select_unknown_policy(%s: tensor<?x8x1x64xf32>) {
  // expected-error @+1 {{unknown policy 'best'; known are topk<k>, product_topk<k>, all, top_p<p, max = m>, threshold<t, max = m> and expert_choice<factor>}}
  %r:2 = peer.select %s best<4> : tensor<?x8x1x64xf32>
  return
}

// -----

func.func @select_no_policy(%s: tensor<?x8x1x64xf32>) {
  // expected-error @+1 {{expected a policy; known are topk<k>, product_topk<k>, all, top_p<p, max = m>, threshold<t, max = m> and expert_choice<factor>}}
  %r:2 = peer.select %s : tensor<?x8x1x64xf32>
  return
}

// -----

func.func @select_all_has_no_count(%s: tensor<?x8x1x64xf32>) {
  // expected-error @+1 {{expected ':'}}
  %r:2 = peer.select %s all<4> : tensor<?x8x1x64xf32>
  return
}
