// RUN: %peer-pass %s -split-input-file -verify-diagnostics

// One case per constraint of peer.gate, peer.mix and peer.usage, named after it.

func.func @gate_c1_rank(%v: tensor<?x4xf32>) {
  // expected-error @+1 {{'peer.gate' op C1: expected val to be T x H x K f32, got tensor<?x4xf32>}}
  %r = peer.gate %v softmax : tensor<?x4xf32>
  return
}

// -----

func.func @gate_c1_type(%v: tensor<?x8x4xi32>) {
  // expected-error @+1 {{'peer.gate' op C1: expected val to be T x H x K f32, got tensor<?x8x4xi32>}}
  %r = peer.gate %v softmax : tensor<?x8x4xi32>
  return
}

// -----

func.func @gate_c1_static(%v: tensor<?x8x?xf32>) {
  // expected-error @+1 {{'peer.gate' op C1: expected val to be T x H x K f32 with static K}}
  %r = peer.gate %v softmax : tensor<?x8x?xf32>
  return
}

// -----

func.func @gate_c2_kind(%v: tensor<?x8x4xf32>) {
  // expected-error @+1 {{'peer.gate' op C2: a probability is one among all experts, of which a gate knows the selected; use peer.probability with the logits, or softmax, sigmoid, relu or one}}
  %r = peer.gate %v probability : tensor<?x8x4xf32>
  return
}

// -----

func.func @gate_unknown_kind(%v: tensor<?x8x4xf32>) {
  // expected-error @+1 {{unknown keyword 'hardmax'; known are softmax, sigmoid, relu and one}}
  %r = peer.gate %v hardmax : tensor<?x8x4xf32>
  return
}

// -----

func.func @gate_no_kind(%v: tensor<?x8x4xf32>) {
  // expected-error @+1 {{expected a gate; known are softmax, sigmoid, relu and one}}
  %r = peer.gate %v : tensor<?x8x4xf32>
  return
}

// -----

func.func @mix_c1_x(%x: tensor<32xf32>, %i: tensor<?x8x4xi32>, %w: tensor<?x8x4xf32>, %p: tensor<64x2x32xf32>) {
  // expected-error @+1 {{'peer.mix' op C1: expected x to be T x D f32, got tensor<32xf32>}}
  %r = peer.mix %x, %i, %w, %p gelu : tensor<32xf32>, tensor<?x8x4xi32>, tensor<?x8x4xf32>, tensor<64x2x32xf32>
  return
}

// -----

func.func @mix_c1_idx_rank(%x: tensor<?x32xf32>, %i: tensor<?x4xi32>, %w: tensor<?x8x4xf32>, %p: tensor<64x2x32xf32>) {
  // expected-error @+1 {{'peer.mix' op C1: expected idx to be T x H x K i32, got tensor<?x4xi32>}}
  %r = peer.mix %x, %i, %w, %p gelu : tensor<?x32xf32>, tensor<?x4xi32>, tensor<?x8x4xf32>, tensor<64x2x32xf32>
  return
}

// -----

func.func @mix_c1_idx_type(%x: tensor<?x32xf32>, %i: tensor<?x8x4xi64>, %w: tensor<?x8x4xf32>,
                           %p: tensor<64x2x32xf32>) {
  // expected-error @+1 {{'peer.mix' op C1: expected idx to be T x H x K i32, got tensor<?x8x4xi64>}}
  %r = peer.mix %x, %i, %w, %p gelu : tensor<?x32xf32>, tensor<?x8x4xi64>, tensor<?x8x4xf32>, tensor<64x2x32xf32>
  return
}

// -----

func.func @mix_c1_weights(%x: tensor<?x32xf32>, %i: tensor<?x8x4xi32>, %w: tensor<?x8x4xbf16>,
                          %p: tensor<64x2x32xf32>) {
  // expected-error @+1 {{'peer.mix' op C1: expected weights to be T x H x K f32, got tensor<?x8x4xbf16>}}
  %r = peer.mix %x, %i, %w, %p gelu : tensor<?x32xf32>, tensor<?x8x4xi32>, tensor<?x8x4xbf16>, tensor<64x2x32xf32>
  return
}

// -----

func.func @mix_c1_pool(%x: tensor<?x32xf32>, %i: tensor<?x8x4xi32>, %w: tensor<?x8x4xf32>, %p: tensor<64x32xf32>) {
  // expected-error @+1 {{'peer.mix' op C1: expected pool to be N x F x D f32 or bf16, got tensor<64x32xf32>}}
  %r = peer.mix %x, %i, %w, %p gelu : tensor<?x32xf32>, tensor<?x8x4xi32>, tensor<?x8x4xf32>, tensor<64x32xf32>
  return
}

// -----

func.func @mix_c2_vectors(%x: tensor<?x32xf32>, %i: tensor<?x8x4xi32>, %w: tensor<?x8x4xf32>, %p: tensor<64x4x32xf32>) {
  // expected-error @+1 {{'peer.mix' op C2: expected F = 1, 2 or 3 vectors per pool row, got 4}}
  %r = peer.mix %x, %i, %w, %p gelu : tensor<?x32xf32>, tensor<?x8x4xi32>, tensor<?x8x4xf32>, tensor<64x4x32xf32>
  return
}

// -----

func.func @mix_c2_no_vectors(%x: tensor<?x32xf32>, %i: tensor<?x8x4xi32>, %w: tensor<?x8x4xf32>,
                             %p: tensor<64x0x32xf32>) {
  // expected-error @+1 {{'peer.mix' op C2: expected F = 1, 2 or 3 vectors per pool row, got 0}}
  %r = peer.mix %x, %i, %w, %p gelu : tensor<?x32xf32>, tensor<?x8x4xi32>, tensor<?x8x4xf32>, tensor<64x0x32xf32>
  return
}

// -----

func.func @mix_c2_no_activation(%x: tensor<?x32xf32>, %i: tensor<?x8x4xi32>, %w: tensor<?x8x4xf32>, %p: tensor<64x3x32xf32>) {
  // expected-error @+1 {{'peer.mix' op C2: expected an activation (gelu, silu, relu, sigmoid or tanh), as the rows of this pool are 3 vectors; only those of one vector need none}}
  %r = peer.mix %x, %i, %w, %p : tensor<?x32xf32>, tensor<?x8x4xi32>, tensor<?x8x4xf32>, tensor<64x3x32xf32>
  return
}

// -----

func.func @mix_c3_rows(%x: tensor<?x32xf32>, %i: tensor<?x8x4xi32>, %w: tensor<?x8x4xf32>, %p: tensor<64x2x32xf32>) {
  // expected-error @+1 {{'peer.mix' op C3: expected rows_per_expert to be at least 1 and to divide the pool's 64 rows, got 3}}
  %r = peer.mix %x, %i, %w, %p gelu {rows_per_expert = 3}
     : tensor<?x32xf32>, tensor<?x8x4xi32>, tensor<?x8x4xf32>, tensor<64x2x32xf32>
  return
}

// -----

func.func @mix_c3_no_rows(%x: tensor<?x32xf32>, %i: tensor<?x8x4xi32>, %w: tensor<?x8x4xf32>, %p: tensor<64x2x32xf32>) {
  // expected-error @+1 {{'peer.mix' op C3: expected rows_per_expert to be at least 1 and to divide the pool's 64 rows, got 0}}
  %r = peer.mix %x, %i, %w, %p gelu {rows_per_expert = 0}
     : tensor<?x32xf32>, tensor<?x8x4xi32>, tensor<?x8x4xf32>, tensor<64x2x32xf32>
  return
}

// -----

func.func @mix_c4_width(%x: tensor<?x32xf32>, %i: tensor<?x8x4xi32>, %w: tensor<?x8x4xf32>, %p: tensor<64x2x16xf32>) {
  // expected-error @+1 {{'peer.mix' op C4: expected pool to be N x F x D f32 or bf16 with D = 32, got tensor<64x2x16xf32>}}
  %r = peer.mix %x, %i, %w, %p gelu : tensor<?x32xf32>, tensor<?x8x4xi32>, tensor<?x8x4xf32>, tensor<64x2x16xf32>
  return
}

// -----

func.func @mix_c4_heads(%x: tensor<?x32xf32>, %i: tensor<?x8x4xi32>, %w: tensor<?x4x4xf32>, %p: tensor<64x2x32xf32>) {
  // expected-error @+1 {{'peer.mix' op C4: expected weights to be T x H x K f32 with H = 8, got tensor<?x4x4xf32>}}
  %r = peer.mix %x, %i, %w, %p gelu : tensor<?x32xf32>, tensor<?x8x4xi32>, tensor<?x4x4xf32>, tensor<64x2x32xf32>
  return
}

// -----

func.func @mix_c4_selections(%x: tensor<?x32xf32>, %i: tensor<?x8x4xi32>, %w: tensor<?x8x3xf32>,
                             %p: tensor<64x2x32xf32>) {
  // expected-error @+1 {{'peer.mix' op C4: expected weights to be T x H x K f32 with K = 4, got tensor<?x8x3xf32>}}
  %r = peer.mix %x, %i, %w, %p gelu : tensor<?x32xf32>, tensor<?x8x4xi32>, tensor<?x8x3xf32>, tensor<64x2x32xf32>
  return
}

// -----

func.func @mix_c4_tokens(%x: tensor<3x32xf32>, %i: tensor<4x8x4xi32>, %w: tensor<?x8x4xf32>, %p: tensor<64x2x32xf32>) {
  // expected-error @+1 {{'peer.mix' op C4: expected idx to be T x H x K i32 with T = 3, got tensor<4x8x4xi32>}}
  %r = peer.mix %x, %i, %w, %p gelu : tensor<3x32xf32>, tensor<4x8x4xi32>, tensor<?x8x4xf32>, tensor<64x2x32xf32>
  return
}

// -----

func.func @mix_c4_dynamic(%x: tensor<?x32xf32>, %i: tensor<?x8x4xi32>, %w: tensor<?x8x4xf32>, %p: tensor<?x2x32xf32>) {
  // expected-error @+1 {{'peer.mix' op C4: expected pool to be N x F x D f32 or bf16 with static N, got tensor<?x2x32xf32>}}
  %r = peer.mix %x, %i, %w, %p gelu : tensor<?x32xf32>, tensor<?x8x4xi32>, tensor<?x8x4xf32>, tensor<?x2x32xf32>
  return
}

// -----

func.func @mix_c5_x(%x: tensor<?x32xbf16>, %i: tensor<?x8x4xi32>, %w: tensor<?x8x4xf32>, %p: tensor<64x2x32xf32>) {
  // expected-error @+1 {{'peer.mix' op C5: expected x to be T x D f32, got tensor<?x32xbf16>}}
  %r = peer.mix %x, %i, %w, %p gelu : tensor<?x32xbf16>, tensor<?x8x4xi32>, tensor<?x8x4xf32>, tensor<64x2x32xf32>
  return
}

// -----

func.func @mix_c5_pool(%x: tensor<?x32xf32>, %i: tensor<?x8x4xi32>, %w: tensor<?x8x4xf32>, %p: tensor<64x2x32xf16>) {
  // expected-error @+1 {{'peer.mix' op C5: expected pool to be N x F x D f32 or bf16, got tensor<64x2x32xf16>}}
  %r = peer.mix %x, %i, %w, %p gelu : tensor<?x32xf32>, tensor<?x8x4xi32>, tensor<?x8x4xf32>, tensor<64x2x32xf16>
  return
}

// -----

func.func @mix_unknown_activation(%x: tensor<?x32xf32>, %i: tensor<?x8x4xi32>, %w: tensor<?x8x4xf32>,
                                  %p: tensor<64x2x32xf32>) {
  // expected-error @+1 {{unknown keyword 'swish'; known are gelu, silu, relu, sigmoid and tanh}}
  %r = peer.mix %x, %i, %w, %p swish : tensor<?x32xf32>, tensor<?x8x4xi32>, tensor<?x8x4xf32>, tensor<64x2x32xf32>
  return
}

// -----

func.func @mix_rows_without_braces(%x: tensor<?x32xf32>, %i: tensor<?x8x4xi32>, %w: tensor<?x8x4xf32>, %p: tensor<64x2x32xf32>) {
  // expected-error @+1 {{expected '{rows_per_expert = ROWS}', in braces}}
  %r = peer.mix %x, %i, %w, %p gelu rows_per_expert = 2 : tensor<?x32xf32>, tensor<?x8x4xi32>, tensor<?x8x4xf32>, tensor<64x2x32xf32>
  return
}

// -----

func.func @usage_c1_idx(%i: tensor<?x8x4xf32>, %w: tensor<?x8x4xf32>, %m: tensor<64xf32>) {
  // expected-error @+1 {{'peer.usage' op C1: expected idx to be T x H x K i32}}
  %r = peer.usage %i, %w, %m : tensor<?x8x4xf32>, tensor<?x8x4xf32>, tensor<64xf32>
  return
}

// -----

func.func @usage_c1_weights(%i: tensor<?x8x4xi32>, %w: tensor<?x8x5xf32>, %m: tensor<64xf32>) {
  // expected-error @+1 {{'peer.usage' op C1: expected weights to be T x H x K f32 with K = 4}}
  %r = peer.usage %i, %w, %m : tensor<?x8x4xi32>, tensor<?x8x5xf32>, tensor<64xf32>
  return
}

// -----

func.func @usage_c1_mass(%i: tensor<?x8x4xi32>, %w: tensor<?x8x4xf32>, %m: tensor<?xf32>) {
  // expected-error @+1 {{'peer.usage' op C1: expected mass to be N f32 or f64 with static N}}
  %r = peer.usage %i, %w, %m : tensor<?x8x4xi32>, tensor<?x8x4xf32>, tensor<?xf32>
  return
}
