// RUN: %peer-pass %s -split-input-file -verify-diagnostics

// One case per constraint of peer.route, named after it.

func.func @route_c1_query_rank(%q: tensor<?x8x16xf32>, %k: tensor<8x2x64x16xf32>) {
  // expected-error @+1 {{'peer.route' op C1: expected query to be T x H x P x d f32 or bf16, got tensor<?x8x16xf32>}}
  %r:2 = peer.route %q, %k product_topk<4> gate softmax : tensor<?x8x16xf32>, tensor<8x2x64x16xf32>
  return
}

// -----

func.func @route_c1_keys_rank(%q: tensor<?x8x2x16xf32>, %k: tensor<8x64x16xf32>) {
  // expected-error @+1 {{'peer.route' op C1: expected keys to be G x P x n x d f32 or bf16, got tensor<8x64x16xf32>}}
  %r:2 = peer.route %q, %k product_topk<4> gate softmax : tensor<?x8x2x16xf32>, tensor<8x64x16xf32>
  return
}

// -----

func.func @route_c2_halves(%q: tensor<?x8x3x16xf32>, %k: tensor<8x3x64x16xf32>) {
  // expected-error @+1 {{'peer.route' op C2: expected 1 or 2 halves, got 3}}
  %r:2 = peer.route %q, %k product_topk<4> gate softmax : tensor<?x8x3x16xf32>, tensor<8x3x64x16xf32>
  return
}

// -----

func.func @route_c2_unequal_halves(%q: tensor<?x8x2x16xf32>, %k: tensor<8x1x64x16xf32>) {
  // expected-error @+1 {{'peer.route' op C2: expected keys to have P = 2 halves like the query, got 1}}
  %r:2 = peer.route %q, %k product_topk<4> gate softmax : tensor<?x8x2x16xf32>, tensor<8x1x64x16xf32>
  return
}

// -----

func.func @route_c3_dynamic_heads(%q: tensor<?x?x2x16xf32>, %k: tensor<8x2x64x16xf32>) {
  // expected-error @+1 {{'peer.route' op C3: expected query to be T x H x P x d f32 or bf16 with static H}}
  %r:2 = peer.route %q, %k product_topk<4> gate softmax : tensor<?x?x2x16xf32>, tensor<8x2x64x16xf32>
  return
}

// -----

func.func @route_c3_width(%q: tensor<?x8x2x16xf32>, %k: tensor<8x2x64x32xf32>) {
  // expected-error @+1 {{'peer.route' op C3: }}
  %r:2 = peer.route %q, %k product_topk<4> gate softmax : tensor<?x8x2x16xf32>, tensor<8x2x64x32xf32>
  return
}

// -----

func.func @route_c3_no_keys(%q: tensor<?x8x2x16xf32>, %k: tensor<8x2x0x16xf32>) {
  // expected-error @+1 {{'peer.route' op C3: expected d and n of at least 1}}
  %r:2 = peer.route %q, %k product_topk<4> gate softmax : tensor<?x8x2x16xf32>, tensor<8x2x0x16xf32>
  return
}

// -----

func.func @route_c4_heads(%q: tensor<?x8x2x16xf32>, %k: tensor<4x2x64x16xf32>) {
  // expected-error @+1 {{'peer.route' op C4: expected keys for 8 heads or for 1 shared by all, got 4}}
  %r:2 = peer.route %q, %k product_topk<4> gate softmax : tensor<?x8x2x16xf32>, tensor<4x2x64x16xf32>
  return
}

// -----

func.func @route_c5_query(%q: tensor<?x8x2x16xf64>, %k: tensor<8x2x64x16xf32>) {
  // expected-error @+1 {{'peer.route' op C5: expected query to be T x H x P x d f32 or bf16, got tensor<?x8x2x16xf64>}}
  %r:2 = peer.route %q, %k product_topk<4> gate softmax : tensor<?x8x2x16xf64>, tensor<8x2x64x16xf32>
  return
}

// -----

func.func @route_c5_keys(%q: tensor<?x8x2x16xf32>, %k: tensor<8x2x64x16xi8>) {
  // expected-error @+1 {{'peer.route' op C5: expected keys to be G x P x n x d f32 or bf16, got tensor<8x2x64x16xi8>}}
  %r:2 = peer.route %q, %k product_topk<4> gate softmax : tensor<?x8x2x16xf32>, tensor<8x2x64x16xi8>
  return
}

// -----

func.func @route_c6_topk(%q: tensor<?x8x2x16xf32>, %k: tensor<8x2x64x16xf32>) {
  // expected-error @+1 {{'peer.route' op C6: policy topk wants 1 half, got 2}}
  %r:2 = peer.route %q, %k topk<4> gate softmax : tensor<?x8x2x16xf32>, tensor<8x2x64x16xf32>
  return
}

// -----

func.func @route_c6_all(%q: tensor<?x8x2x16xf32>, %k: tensor<8x2x64x16xf32>) {
  // expected-error @+1 {{'peer.route' op C6: policy all wants 1 half, got 2}}
  %r:2 = peer.route %q, %k all gate softmax : tensor<?x8x2x16xf32>, tensor<8x2x64x16xf32>
  return
}

// -----

func.func @route_c6_product(%q: tensor<?x8x1x16xf32>, %k: tensor<8x1x64x16xf32>) {
  // expected-error @+1 {{'peer.route' op C6: policy product_topk wants 2 halves, got 1}}
  %r:2 = peer.route %q, %k product_topk<4> gate softmax : tensor<?x8x1x16xf32>, tensor<8x1x64x16xf32>
  return
}

// -----

func.func @route_c7_zero(%q: tensor<?x8x1x16xf32>, %k: tensor<8x1x64x16xf32>) {
  // expected-error @+1 {{'peer.route' op C7: expected 1 <= k <= n = 64, got k = 0}}
  %r:2 = peer.route %q, %k topk<0> gate softmax : tensor<?x8x1x16xf32>, tensor<8x1x64x16xf32>
  return
}

// -----

func.func @route_c7_above_n(%q: tensor<?x8x2x16xf32>, %k: tensor<8x2x64x16xf32>) {
  // expected-error @+1 {{'peer.route' op C7: expected 1 <= k <= n = 64, got k = 65}}
  %r:2 = peer.route %q, %k product_topk<65> gate softmax : tensor<?x8x2x16xf32>, tensor<8x2x64x16xf32>
  return
}

// -----

func.func @route_c8_policy(%q: tensor<?x8x1x16xf32>, %k: tensor<8x1x64x16xf32>) {
  // expected-error @+1 {{'peer.route' op C8: expected p between 0 and 1, got -0.5}}
  %r:2 = peer.route %q, %k top_p<-0.5, max = 4> gate softmax : tensor<?x8x1x16xf32>, tensor<8x1x64x16xf32>
  return
}

// -----

func.func @route_c9_ids(%q: tensor<?x8x2x16xf32>, %k: tensor<8x2x46341x16xf32>) {
  // expected-error @+1 {{'peer.route' op C9: expected expert ids to fit in i32, got n = 46341}}
  %r:2 = peer.route %q, %k product_topk<4> gate softmax : tensor<?x8x2x16xf32>, tensor<8x2x46341x16xf32>
  return
}

// -----

func.func @route_c10_gate(%q: tensor<?x8x2x16xf32>, %k: tensor<8x2x64x16xf32>) {
  // expected-error @+1 {{'peer.route' op C10: a probability is one among all experts, of which a gate knows the selected; use peer.probability with the logits, or softmax, sigmoid, relu or one}}
  %r:2 = peer.route %q, %k product_topk<4> gate probability : tensor<?x8x2x16xf32>, tensor<8x2x64x16xf32>
  return
}

// -----

func.func @route_c11_nothing(%q: tensor<?x8x2x16xf32>, %k: tensor<8x2x64x16xf32>) {
  // expected-error @+1 {{'peer.route' op C11: expected a gate, keep_val or both}}
  %r = peer.route %q, %k product_topk<4> : tensor<?x8x2x16xf32>, tensor<8x2x64x16xf32>
  return
}

// -----

func.func @route_c13_rows(%q: tensor<?x8x2x16xf32>, %k: tensor<8x2x64x16xf32>, %p: tensor<8x2x64xi8>) {
  // expected-error @+1 {{'peer.route' op C13: expected packed keys to be G x P x B i8 with B = 7232, got tensor<8x2x64xi8>}}
  %r:2 = peer.route %q, %k packed(%p : tensor<8x2x64xi8>) product_topk<4> gate softmax : tensor<?x8x2x16xf32>, tensor<8x2x64x16xf32>
  return
}

// -----

func.func @route_c13_heads(%q: tensor<?x8x2x16xf32>, %k: tensor<1x2x64x16xf32>, %p: tensor<8x2x7232xi8>) {
  // expected-error @+1 {{'peer.route' op C13: }}
  %r:2 = peer.route %q, %k packed(%p : tensor<8x2x7232xi8>) product_topk<4> gate softmax : tensor<?x8x2x16xf32>, tensor<1x2x64x16xf32>
  return
}

// -----

func.func @pack_keys_c1_bf16(%k: tensor<8x2x64x16xbf16>) {
  // expected-error @+1 {{'peer.pack_keys' op C1: expected keys to be G x P x n x d f32, got tensor<8x2x64x16xbf16>}}
  %p = peer.pack_keys %k : tensor<8x2x64x16xbf16>
  return
}

// -----

func.func @pack_keys_c1_no_keys(%k: tensor<8x2x0x16xf32>) {
  // expected-error @+1 {{'peer.pack_keys' op C1: expected d and n of at least 1}}
  %p = peer.pack_keys %k : tensor<8x2x0x16xf32>
  return
}

// -----

func.func @route_unknown_gate(%q: tensor<?x8x2x16xf32>, %k: tensor<8x2x64x16xf32>) {
  // expected-error @+1 {{unknown keyword 'hard'; known are softmax, sigmoid, relu and one}}
  %r:2 = peer.route %q, %k product_topk<4> gate hard : tensor<?x8x2x16xf32>, tensor<8x2x64x16xf32>
  return
}

// -----

func.func @route_c0_outs(%q: memref<?x8x2x16xf32>, %k: memref<8x2x64x16xf32>, %i: memref<?x8x4xi32>) {
  // expected-error @+1 {{'peer.route' op C0: expected 2 destinations, got 1}}
  peer.route %q, %k product_topk<4> gate softmax outs(%i : memref<?x8x4xi32>) : memref<?x8x2x16xf32>, memref<8x2x64x16xf32>
  return
}
