// RUN: %peer-pass %s -split-input-file -verify-diagnostics

// One case per constraint of linear, reshape, embedding, activation and the losses, named after it.

func.func @linear_c1_rank(%x: tensor<?x4x8xf32>, %w: tensor<8x8xf32>) {
  // expected-error @+1 {{'peer.linear' op C1: expected x and weight of rank 2}}
  %r = peer.linear %x, %w : tensor<?x4x8xf32>, tensor<8x8xf32>
  return
}

// -----

func.func @linear_c1_inner(%x: tensor<?x32xf32>, %w: tensor<31x8xf32>) {
  // expected-error @+1 {{'peer.linear' op C1: expected equal inner dimensions, got 32 and 31}}
  %r = peer.linear %x, %w : tensor<?x32xf32>, tensor<31x8xf32>
  return
}

// -----

func.func @linear_c1_transposed(%x: tensor<?x32xf32>, %w: tensor<32x8xf32>) {
  // expected-error @+1 {{'peer.linear' op C1: expected equal inner dimensions, got 32 and 8}}
  %r = peer.linear %x, %w {transpose_weight} : tensor<?x32xf32>, tensor<32x8xf32>
  return
}

// -----

func.func @linear_c2_type(%x: tensor<?x32xf32>, %w: tensor<32x8xbf16>) {
  // expected-error @+1 {{'peer.linear' op C2: expected x and weight to be f32}}
  %r = peer.linear %x, %w : tensor<?x32xf32>, tensor<32x8xbf16>
  return
}

// -----

func.func @linear_c4_products(%x: tensor<?x32xf32>, %w: tensor<32x8xf32>) {
  // expected-error @+1 {{'peer.linear' op C4: expected products = bf16, or nothing for f32, got f16}}
  %r = peer.linear %x, %w {products = f16} : tensor<?x32xf32>, tensor<32x8xf32>
  return
}

// -----

func.func @reshape_c1_inner_dynamic(%x: tensor<4x?xf32>) {
  // expected-error @+1 {{'peer.reshape' op C1: expected both shapes static, or both dynamic in the first dimension alone}}
  %r = peer.reshape %x to tensor<?x4xf32> : tensor<4x?xf32>
  return
}

// -----

func.func @reshape_c1_one_dynamic(%x: tensor<?x32xf32>) {
  // expected-error @+1 {{'peer.reshape' op C1: expected both shapes static, or both dynamic in the first dimension alone}}
  %r = peer.reshape %x to tensor<64xf32> : tensor<?x32xf32>
  return
}

// -----

func.func @reshape_c1_rank_0(%x: tensor<1xf32>) {
  // expected-error @+1 {{'peer.reshape' op C1: expected both shapes static, or both dynamic in the first dimension alone}}
  %r = peer.reshape %x to tensor<f32> : tensor<1xf32>
  return
}

// -----

func.func @reshape_c2_type(%x: tensor<?x32xf32>) {
  // expected-error @+1 {{'peer.reshape' op C2: expected equal element types}}
  %r = peer.reshape %x to tensor<?x32xi32> : tensor<?x32xf32>
  return
}

// -----

func.func @reshape_c2_count(%x: tensor<4x8xf32>) {
  // expected-error @+1 {{'peer.reshape' op C2: expected as many elements on both sides}}
  %r = peer.reshape %x to tensor<31xf32> : tensor<4x8xf32>
  return
}

// -----

// The product is 8 more than a multiple of 2^64.
func.func @reshape_c2_overflow(%x: tensor<?x8xf32>) {
  // expected-error @+1 {{'peer.reshape' op C2: expected as many elements on both sides, got 8 and 9223372036854775807 per row}}
  %0 = peer.reshape %x to tensor<?x11x3353953467947191203x8xf32> : tensor<?x8xf32>
  return
}

// -----

func.func @reshape_c2_factor(%x: tensor<?x32xf32>) {
  // expected-error @+1 {{'peer.reshape' op C2: expected as many elements on both sides}}
  %r = peer.reshape %x to tensor<?x12xf32> : tensor<?x32xf32>
  return
}

// -----

func.func @reshape_c2_nothing(%x: tensor<?x32xf32>) {
  // expected-error @+1 {{'peer.reshape' op C2: expected as many elements on both sides}}
  %r = peer.reshape %x to tensor<?x0xf32> : tensor<?x32xf32>
  return
}

// -----

func.func @reshape_to_no_tensor(%x: tensor<?x32xf32>) {
  // expected-error @+1 {{attribute 'type' failed to satisfy constraint}}
  %r = peer.reshape %x to f32 : tensor<?x32xf32>
  return
}

// -----

func.func @embedding_c1_tokens(%t: tensor<?xf32>, %w: tensor<256x32xf32>) {
  // expected-error @+1 {{'peer.embedding' op C1: expected tokens to be T i32}}
  %r = peer.embedding %t, %w : tensor<?xf32>, tensor<256x32xf32>
  return
}

// -----

func.func @embedding_c1_table(%t: tensor<?xi32>, %w: tensor<?x32xf32>) {
  // expected-error @+1 {{'peer.embedding' op C1: expected table to be V x D f32 or bf16 with static V}}
  %r = peer.embedding %t, %w : tensor<?xi32>, tensor<?x32xf32>
  return
}

// -----

func.func @embedding_grad_c1_dy(%t: tensor<?xi32>, %dy: tensor<?x?xf32>) {
  // expected-error @+1 {{'peer.embedding_grad' op C1: expected dy to be T x D f32 with static D}}
  %r = peer.embedding_grad %t, %dy {rows = 256 : i64} : tensor<?xi32>, tensor<?x?xf32>
  return
}

// -----

func.func @embedding_grad_c2_rows(%t: tensor<?xi32>, %dy: tensor<?x32xf32>) {
  // expected-error @+1 {{'peer.embedding_grad' op C2: expected at least 1 row, got -5}}
  %r = peer.embedding_grad %t, %dy {rows = -5 : i64} : tensor<?xi32>, tensor<?x32xf32>
  return
}

// -----

func.func @activation_c1_x(%x: tensor<32xf32>) {
  // expected-error @+1 {{'peer.activation' op C1: expected x to be T x D f32, got tensor<32xf32>}}
  %r = peer.activation %x gelu : tensor<32xf32>
  return
}

// -----

func.func @activation_grad_c1_dy(%x: tensor<?x32xf32>, %dy: tensor<?x8xf32>) {
  // expected-error @+1 {{'peer.activation_grad' op C1: expected dy to be T x D f32 with D = 32}}
  %r = peer.activation_grad %x, %dy gelu : tensor<?x32xf32>, tensor<?x8xf32>
  return
}

// -----

func.func @cross_entropy_c1_logits(%l: tensor<?x?xf32>, %t: tensor<?xi32>) {
  // expected-error @+1 {{'peer.cross_entropy' op C1: expected logits to be T x V f32 with static V}}
  %r = peer.cross_entropy %l, %t : tensor<?x?xf32>, tensor<?xi32>
  return
}

// -----

func.func @cross_entropy_c1_targets(%l: tensor<4x32xf32>, %t: tensor<5xi32>) {
  // expected-error @+1 {{'peer.cross_entropy' op C1: expected targets to be T i32 with T = 4}}
  %r = peer.cross_entropy %l, %t : tensor<4x32xf32>, tensor<5xi32>
  return
}

// -----

func.func @cross_entropy_grad_c1_dloss(%l: tensor<?x32xf32>, %t: tensor<?xi32>, %d: tensor<?xi32>) {
  // expected-error @+1 {{'peer.cross_entropy_grad' op C1: expected dloss to be T f32}}
  %r = peer.cross_entropy_grad %l, %t, %d : tensor<?x32xf32>, tensor<?xi32>, tensor<?xi32>
  return
}

// -----

func.func @mean_c1_x(%x: tensor<?x32xf32>) {
  // expected-error @+1 {{'peer.mean' op C1: expected x to be T f32}}
  %r = peer.mean %x : tensor<?x32xf32>
  return
}

// -----

func.func @mean_grad_c1_dmean(%x: tensor<?xf32>, %d: tensor<?xf32>) {
  // expected-error @+1 {{'peer.mean_grad' op C1: expected dmean to be of rank 0 f32}}
  %r = peer.mean_grad %x, %d : tensor<?xf32>, tensor<?xf32>
  return
}
