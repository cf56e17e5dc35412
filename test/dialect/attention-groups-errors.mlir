// RUN: %peer-pass %s -split-input-file -verify-diagnostics

// One case per constraint of grouped queries and windows, named after it.

func.func @attention_c2_key_width(%q: tensor<?x32xf32>, %k: tensor<?x20xf32>) {
  // expected-error @+1 {{'peer.attention' op C2: expected key and value to have a number of heads of width 8 that divides the query's 4, got a width of 20}}
  %r = peer.attention %q, %k, %k heads 4 context 16 : tensor<?x32xf32>, tensor<?x20xf32>, tensor<?x20xf32>
  return
}

// -----

func.func @attention_c2_key_heads(%q: tensor<?x32xf32>, %k: tensor<?x24xf32>) {
  // expected-error @+1 {{'peer.attention' op C2: expected key and value to have a number of heads of width 8 that divides the query's 4, got a width of 24}}
  %r = peer.attention %q, %k, %k heads 4 context 16 : tensor<?x32xf32>, tensor<?x24xf32>, tensor<?x24xf32>
  return
}

// -----

func.func @attention_c2_more_key_heads(%q: tensor<?x32xf32>, %k: tensor<?x64xf32>) {
  // expected-error @+1 {{'peer.attention' op C2: expected key and value to have a number of heads of width 8 that divides the query's 4, got a width of 64}}
  %r = peer.attention %q, %k, %k heads 4 context 16 : tensor<?x32xf32>, tensor<?x64xf32>, tensor<?x64xf32>
  return
}

// -----

func.func @attention_c4_none(%q: tensor<?x32xf32>) {
  // expected-error @+1 {{'peer.attention' op C4: expected a window of at least 1 and at most the context 16, got 0}}
  %r = peer.attention %q, %q, %q heads 4 context 16 window 0 : tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x32xf32>
  return
}

// -----

func.func @attention_c4_wide(%q: tensor<?x32xf32>) {
  // expected-error @+1 {{'peer.attention' op C4: expected a window of at least 1 and at most the context 16, got 17}}
  %r = peer.attention %q, %q, %q heads 4 context 16 window 17 : tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x32xf32>
  return
}

// -----

func.func @attention_grad_c2_key_heads(%q: tensor<?x32xf32>, %k: tensor<?x24xf32>) {
  // expected-error @+1 {{'peer.attention_grad' op C2: expected key and value to have a number of heads of width 8 that divides the query's 4, got a width of 24}}
  %r:3 = peer.attention_grad %q, %k, %k, %q {heads = 4 : i64, context_length = 16 : i64}
     : tensor<?x32xf32>, tensor<?x24xf32>, tensor<?x24xf32>, tensor<?x32xf32>
  return
}

// -----

func.func @attention_grad_c4(%q: tensor<?x32xf32>) {
  // expected-error @+1 {{'peer.attention_grad' op C4: expected a window of at least 1 and at most the context 16, got -3}}
  %r:3 = peer.attention_grad %q, %q, %q, %q {heads = 4 : i64, context_length = 16 : i64, window = -3 : i64}
     : tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x32xf32>
  return
}

// -----

func.func @cached_attention_c1_cache_width(%q: tensor<?x32xf32>, %k: tensor<?x16xf32>, %c: tensor<16x32xf32>, %p: tensor<i32>) {
  // expected-error @+1 {{'peer.cached_attention' op C1: expected key_cache to be C x E f32 with E = 16}}
  %r:3 = peer.cached_attention %q, %k, %k, %c, %c, %p {heads = 4 : i64}
     : tensor<?x32xf32>, tensor<?x16xf32>, tensor<?x16xf32>, tensor<16x32xf32>, tensor<16x32xf32>, tensor<i32>
  return
}

// -----

func.func @cached_attention_c2_key_heads(%q: tensor<?x32xf32>, %k: tensor<?x24xf32>, %c: tensor<16x24xf32>, %p: tensor<i32>) {
  // expected-error @+1 {{'peer.cached_attention' op C2: expected key and value to have a number of heads of width 8 that divides the query's 4, got a width of 24}}
  %r:3 = peer.cached_attention %q, %k, %k, %c, %c, %p {heads = 4 : i64}
     : tensor<?x32xf32>, tensor<?x24xf32>, tensor<?x24xf32>, tensor<16x24xf32>, tensor<16x24xf32>, tensor<i32>
  return
}

// -----

func.func @cached_attention_c3(%q: tensor<?x32xf32>, %c: tensor<16x32xf32>, %p: tensor<i32>) {
  // expected-error @+1 {{'peer.cached_attention' op C3: expected a window of at least 1 and at most the caches' 16, got 17}}
  %r:3 = peer.cached_attention %q, %q, %q, %c, %c, %p {heads = 4 : i64, window = 17 : i64}
     : tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x32xf32>, tensor<16x32xf32>, tensor<16x32xf32>, tensor<i32>
  return
}
