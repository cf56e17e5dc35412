// RUN: %peer-pass %s -split-input-file -verify-diagnostics

// One case per constraint of rotary positions and attention, named after it.

func.func @rotary_c1_x(%x: tensor<?x?xf32>) {
  // expected-error @+1 {{'peer.rotary' op C1: expected x to be T x D f32 with static D}}
  %r = peer.rotary %x heads 4 context 16 : tensor<?x?xf32>
  return
}

// -----

func.func @rotary_c2_heads(%x: tensor<?x32xf32>) {
  // expected-error @+1 {{'peer.rotary' op C2: expected heads to divide the width 32, got 3}}
  %r = peer.rotary %x heads 3 context 16 : tensor<?x32xf32>
  return
}

// -----

func.func @rotary_c2_no_heads(%x: tensor<?x32xf32>) {
  // expected-error @+1 {{'peer.rotary' op C2: expected heads to divide the width 32, got 0}}
  %r = peer.rotary %x heads 0 context 16 : tensor<?x32xf32>
  return
}

// -----

func.func @rotary_c2_no_width(%x: tensor<?x0xf32>) {
  // expected-error @+1 {{'peer.rotary' op C2: expected heads to divide the width 0, got 4}}
  %r = peer.rotary %x heads 4 context 16 : tensor<?x0xf32>
  return
}

// -----

func.func @rotary_c2_odd(%x: tensor<?x32xf32>) {
  // expected-error @+1 {{'peer.rotary' op C2: expected an even width per head, got 1}}
  %r = peer.rotary %x heads 32 context 16 : tensor<?x32xf32>
  return
}

// -----

func.func @rotary_c3_context(%x: tensor<?x32xf32>) {
  // expected-error @+1 {{'peer.rotary' op C3: expected a context of at least 1, got 0}}
  %r = peer.rotary %x heads 4 context 0 : tensor<?x32xf32>
  return
}

// -----

func.func @rotary_c3_tokens(%x: tensor<24x32xf32>) {
  // expected-error @+1 {{'peer.rotary' op C3: expected T to be a multiple of the context 16, got 24}}
  %r = peer.rotary %x heads 4 context 16 : tensor<24x32xf32>
  return
}

// -----

func.func @rotary_at_c1_position(%x: tensor<?x32xf32>, %p: tensor<1xi32>) {
  // expected-error @+1 {{'peer.rotary_at' op C1: expected position to be of rank 0 i32}}
  %r = peer.rotary_at %x, %p heads 4 : tensor<?x32xf32>, tensor<1xi32>
  return
}

// -----

func.func @rotary_at_c2_odd(%x: tensor<?x32xf32>, %p: tensor<i32>) {
  // expected-error @+1 {{'peer.rotary_at' op C2: expected an even width per head, got 1}}
  %r = peer.rotary_at %x, %p heads 32 : tensor<?x32xf32>, tensor<i32>
  return
}

// -----

func.func @attention_c1_shape(%q: tensor<?x32xf32>, %k: tensor<?x16xf32>, %v: tensor<?x32xf32>) {
  // expected-error @+1 {{'peer.attention' op C1: expected value to be T x E f32 with E = 16}}
  %r = peer.attention %q, %k, %v heads 4 context 16 : tensor<?x32xf32>, tensor<?x16xf32>, tensor<?x32xf32>
  return
}

// -----

func.func @attention_c1_tokens(%q: tensor<16x32xf32>, %k: tensor<16x32xf32>, %v: tensor<32x32xf32>) {
  // expected-error @+1 {{'peer.attention' op C1: expected value to be T x E f32 with T = 16}}
  %r = peer.attention %q, %k, %v heads 4 context 16 : tensor<16x32xf32>, tensor<16x32xf32>, tensor<32x32xf32>
  return
}

// -----

func.func @attention_c1_type(%q: tensor<?x32xbf16>, %k: tensor<?x32xbf16>, %v: tensor<?x32xbf16>) {
  // expected-error @+1 {{'peer.attention' op C1: expected query to be T x D f32}}
  %r = peer.attention %q, %k, %v heads 4 context 16 : tensor<?x32xbf16>, tensor<?x32xbf16>, tensor<?x32xbf16>
  return
}

// -----

func.func @attention_c2_heads(%q: tensor<?x32xf32>, %k: tensor<?x32xf32>, %v: tensor<?x32xf32>) {
  // expected-error @+1 {{'peer.attention' op C2: expected heads to divide the width 32, got 5}}
  %r = peer.attention %q, %k, %v heads 5 context 16 : tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x32xf32>
  return
}

// -----

func.func @attention_c3_context(%q: tensor<?x32xf32>, %k: tensor<?x32xf32>, %v: tensor<?x32xf32>) {
  // expected-error @+1 {{'peer.attention' op C3: expected a context of at least 1, got -1}}
  %r = peer.attention %q, %k, %v heads 4 context -1 : tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x32xf32>
  return
}

// -----

func.func @attention_c3_tokens(%q: tensor<24x32xf32>, %k: tensor<24x32xf32>, %v: tensor<24x32xf32>) {
  // expected-error @+1 {{'peer.attention' op C3: expected T to be a multiple of the context 16, got 24}}
  %r = peer.attention %q, %k, %v heads 4 context 16 : tensor<24x32xf32>, tensor<24x32xf32>, tensor<24x32xf32>
  return
}

// -----

func.func @attention_grad_c1_dy(%q: tensor<?x32xf32>, %k: tensor<?x32xf32>, %v: tensor<?x32xf32>, %dy: tensor<?xf32>) {
  // expected-error @+1 {{'peer.attention_grad' op C1: expected dy to be T x D f32}}
  %r:3 = peer.attention_grad %q, %k, %v, %dy {heads = 4 : i64, context_length = 16 : i64}
     : tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x32xf32>, tensor<?xf32>
  return
}

// -----

func.func @attention_grad_c2_heads(%q: tensor<?x32xf32>, %k: tensor<?x32xf32>, %v: tensor<?x32xf32>,
                                   %dy: tensor<?x32xf32>) {
  // expected-error @+1 {{'peer.attention_grad' op C2: expected heads to divide the width 32, got 64}}
  %r:3 = peer.attention_grad %q, %k, %v, %dy {heads = 64 : i64, context_length = 16 : i64}
     : tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x32xf32>
  return
}

// -----

func.func @attention_grad_c3_context(%q: tensor<?x32xf32>, %k: tensor<?x32xf32>, %v: tensor<?x32xf32>,
                                     %dy: tensor<?x32xf32>) {
  // expected-error @+1 {{'peer.attention_grad' op C3: expected a context of at least 1, got 0}}
  %r:3 = peer.attention_grad %q, %k, %v, %dy {heads = 4 : i64, context_length = 0 : i64}
     : tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x32xf32>
  return
}

// -----

func.func @cached_attention_c1_cache(%q: tensor<?x32xf32>, %k: tensor<?x32xf32>, %v: tensor<?x32xf32>,
                                     %kc: tensor<16x32xf32>, %vc: tensor<?x32xf32>, %p: tensor<i32>) {
  // expected-error @+1 {{'peer.cached_attention' op C1: expected value_cache to be C x E f32 with static C}}
  %r:3 = peer.cached_attention %q, %k, %v, %kc, %vc, %p {heads = 4 : i64}
     : tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x32xf32>, tensor<16x32xf32>, tensor<?x32xf32>, tensor<i32>
  return
}

// -----

func.func @cached_attention_c1_no_rows(%q: tensor<?x32xf32>, %k: tensor<?x32xf32>, %v: tensor<?x32xf32>,
                                       %kc: tensor<0x32xf32>, %vc: tensor<0x32xf32>, %p: tensor<i32>) {
  // expected-error @+1 {{'peer.cached_attention' op C1: expected caches of at least 1 row}}
  %r:3 = peer.cached_attention %q, %k, %v, %kc, %vc, %p {heads = 4 : i64}
     : tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x32xf32>, tensor<0x32xf32>, tensor<0x32xf32>, tensor<i32>
  return
}

// -----

func.func @cached_attention_c1_position(%q: tensor<?x32xf32>, %k: tensor<?x32xf32>, %v: tensor<?x32xf32>,
                                        %kc: tensor<16x32xf32>, %vc: tensor<16x32xf32>, %p: tensor<i64>) {
  // expected-error @+1 {{'peer.cached_attention' op C1: expected position to be of rank 0 i32}}
  %r:3 = peer.cached_attention %q, %k, %v, %kc, %vc, %p {heads = 4 : i64}
     : tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x32xf32>, tensor<16x32xf32>, tensor<16x32xf32>, tensor<i64>
  return
}

// -----

func.func @cached_attention_c2_heads(%q: tensor<?x32xf32>, %k: tensor<?x32xf32>, %v: tensor<?x32xf32>,
                                     %kc: tensor<16x32xf32>, %vc: tensor<16x32xf32>, %p: tensor<i32>) {
  // expected-error @+1 {{'peer.cached_attention' op C2: expected heads to divide the width 32, got 3}}
  %r:3 = peer.cached_attention %q, %k, %v, %kc, %vc, %p {heads = 3 : i64}
     : tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x32xf32>, tensor<16x32xf32>, tensor<16x32xf32>, tensor<i32>
  return
}
