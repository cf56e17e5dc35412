// RUN: %peer-pass %s -split-input-file -verify-diagnostics

// One case per constraint of convolutions and scans, named after it.

func.func @conv_c1_width(%x: tensor<?x8xf32>, %w: tensor<4x7xf32>) {
  // expected-error @+1 {{'peer.causal_conv' op C1: expected weight to be K x D f32 with D = 8, got tensor<4x7xf32>}}
  %r = peer.causal_conv %x, %w context 16 : tensor<?x8xf32>, tensor<4x7xf32>
  return
}

// -----

func.func @conv_c1_no_tap(%x: tensor<?x8xf32>, %w: tensor<0x8xf32>) {
  // expected-error @+1 {{'peer.causal_conv' op C1: expected a weight of at least 1 row}}
  %r = peer.causal_conv %x, %w context 16 : tensor<?x8xf32>, tensor<0x8xf32>
  return
}

// -----

func.func @conv_c3(%x: tensor<24x8xf32>, %w: tensor<4x8xf32>) {
  // expected-error @+1 {{'peer.causal_conv' op C3: expected T to be a multiple of the context 16, got 24}}
  %r = peer.causal_conv %x, %w context 16 : tensor<24x8xf32>, tensor<4x8xf32>
  return
}

// -----

func.func @conv_grad_c3(%x: tensor<?x8xf32>, %w: tensor<4x8xf32>) {
  // expected-error @+1 {{'peer.causal_conv_grad' op C3: expected a context of at least 1, got 0}}
  %r:2 = peer.causal_conv_grad %x, %w, %x {context_length = 0 : i64} : tensor<?x8xf32>, tensor<4x8xf32>, tensor<?x8xf32>
  return
}

// -----

func.func @cached_conv_c1(%x: tensor<?x8xf32>, %w: tensor<4x8xf32>, %cache: tensor<3x8xf32>, %p: tensor<i32>) {
  // expected-error @+1 {{'peer.cached_causal_conv' op C1: expected cache to be K x D f32 with K = 4, got tensor<3x8xf32>}}
  %r:2 = peer.cached_causal_conv %x, %w, %cache, %p : tensor<?x8xf32>, tensor<4x8xf32>, tensor<3x8xf32>, tensor<i32>
  return
}

// -----

func.func @scan_c1_states(%x: tensor<?x8xf32>, %a: tensor<4x8xf32>, %b: tensor<?x3xf32>) {
  // expected-error @+1 {{'peer.selective_scan' op C1: expected b to be}}
  %r = peer.selective_scan %x, %x, %a, %b, %b context 16 : tensor<?x8xf32>, tensor<?x8xf32>, tensor<4x8xf32>, tensor<?x3xf32>, tensor<?x3xf32>
  return
}

// -----

func.func @scan_c1_none(%x: tensor<?x8xf32>, %a: tensor<0x8xf32>, %b: tensor<?x0xf32>) {
  // expected-error @+1 {{'peer.selective_scan' op C1: expected at least 1 channel and 1 state}}
  %r = peer.selective_scan %x, %x, %a, %b, %b context 16 : tensor<?x8xf32>, tensor<?x8xf32>, tensor<0x8xf32>, tensor<?x0xf32>, tensor<?x0xf32>
  return
}

// -----

func.func @scan_c3(%x: tensor<?x8xf32>, %a: tensor<4x8xf32>, %b: tensor<?x4xf32>) {
  // expected-error @+1 {{'peer.selective_scan' op C3: expected a context of at least 1, got 0}}
  %r = peer.selective_scan %x, %x, %a, %b, %b context 0 : tensor<?x8xf32>, tensor<?x8xf32>, tensor<4x8xf32>, tensor<?x4xf32>, tensor<?x4xf32>
  return
}

// -----

func.func @scan_grad_c2(%x: tensor<?x8xf32>, %a: tensor<4x8xf32>, %b: tensor<?x4xf32>) {
  // expected-error @+1 {{'peer.selective_scan_grad' op C2: expected channels to divide the width 8, got 3}}
  %r:5 = peer.selective_scan_grad %x, %x, %a, %b, %b, %x {context_length = 16 : i64, channels = 3 : i64} : tensor<?x8xf32>, tensor<?x8xf32>, tensor<4x8xf32>, tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x8xf32>
  return
}

// -----

func.func @cached_scan_c1(%x: tensor<?x8xf32>, %a: tensor<4x8xf32>, %b: tensor<?x4xf32>, %s: tensor<8x4xf32>, %p: tensor<i32>) {
  // expected-error @+1 {{'peer.cached_selective_scan' op C1: expected state to be N x D f32 with N = 4, got tensor<8x4xf32>}}
  %r:2 = peer.cached_selective_scan %x, %x, %a, %b, %b, %s, %p : tensor<?x8xf32>, tensor<?x8xf32>, tensor<4x8xf32>, tensor<?x4xf32>, tensor<?x4xf32>, tensor<8x4xf32>, tensor<i32>
  return
}
