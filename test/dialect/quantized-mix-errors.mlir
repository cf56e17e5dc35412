// RUN: %peer-pass %s -split-input-file -verify-diagnostics

// One case per constraint of peer.quantized_mix, named after it.

func.func @quantized_mix_c1_x(
    %x: tensor<32xf32>, %i: tensor<?x8x4xi32>, %w: tensor<?x8x4xf32>, %p: tensor<64x2x32xi8>, %s: tensor<64x2xf32>) {
  // expected-error @+1 {{'peer.quantized_mix' op C1: expected x to be T x D f32, got tensor<32xf32>}}
  %r = peer.quantized_mix %x, %i, %w, %p, %s gelu
     : tensor<32xf32>, tensor<?x8x4xi32>, tensor<?x8x4xf32>, tensor<64x2x32xi8>, tensor<64x2xf32>
  return
}

// -----

func.func @quantized_mix_c1_idx_rank(
    %x: tensor<?x32xf32>, %i: tensor<?x4xi32>, %w: tensor<?x8x4xf32>, %p: tensor<64x2x32xi8>, %s: tensor<64x2xf32>) {
  // expected-error @+1 {{'peer.quantized_mix' op C1: expected idx to be T x H x K i32, got tensor<?x4xi32>}}
  %r = peer.quantized_mix %x, %i, %w, %p, %s gelu
     : tensor<?x32xf32>, tensor<?x4xi32>, tensor<?x8x4xf32>, tensor<64x2x32xi8>, tensor<64x2xf32>
  return
}

// -----

func.func @quantized_mix_c1_idx_type(
    %x: tensor<?x32xf32>, %i: tensor<?x8x4xi64>, %w: tensor<?x8x4xf32>, %p: tensor<64x2x32xi8>, %s: tensor<64x2xf32>) {
  // expected-error @+1 {{'peer.quantized_mix' op C1: expected idx to be T x H x K i32, got tensor<?x8x4xi64>}}
  %r = peer.quantized_mix %x, %i, %w, %p, %s gelu
     : tensor<?x32xf32>, tensor<?x8x4xi64>, tensor<?x8x4xf32>, tensor<64x2x32xi8>, tensor<64x2xf32>
  return
}

// -----

func.func @quantized_mix_c1_weights(
    %x: tensor<?x32xf32>, %i: tensor<?x8x4xi32>, %w: tensor<?x8x4xbf16>, %p: tensor<64x2x32xi8>, %s: tensor<64x2xf32>) {
  // expected-error @+1 {{'peer.quantized_mix' op C1: expected weights to be T x H x K f32, got tensor<?x8x4xbf16>}}
  %r = peer.quantized_mix %x, %i, %w, %p, %s gelu
     : tensor<?x32xf32>, tensor<?x8x4xi32>, tensor<?x8x4xbf16>, tensor<64x2x32xi8>, tensor<64x2xf32>
  return
}

// -----

func.func @quantized_mix_c1_pool(
    %x: tensor<?x32xf32>, %i: tensor<?x8x4xi32>, %w: tensor<?x8x4xf32>, %p: tensor<64x32xi8>, %s: tensor<64x2xf32>) {
  // expected-error @+1 {{'peer.quantized_mix' op C1: expected pool to be N x F x D i8 or f8E4M3FN, got tensor<64x32xi8>}}
  %r = peer.quantized_mix %x, %i, %w, %p, %s gelu
     : tensor<?x32xf32>, tensor<?x8x4xi32>, tensor<?x8x4xf32>, tensor<64x32xi8>, tensor<64x2xf32>
  return
}

// -----

func.func @quantized_mix_c1_scales(
    %x: tensor<?x32xf32>, %i: tensor<?x8x4xi32>, %w: tensor<?x8x4xf32>, %p: tensor<64x2x32xi8>, %s: tensor<64xf32>) {
  // expected-error @+1 {{'peer.quantized_mix' op C1: expected scales to be N x F f32, got tensor<64xf32>}}
  %r = peer.quantized_mix %x, %i, %w, %p, %s gelu
     : tensor<?x32xf32>, tensor<?x8x4xi32>, tensor<?x8x4xf32>, tensor<64x2x32xi8>, tensor<64xf32>
  return
}

// -----

func.func @quantized_mix_c2_vectors(
    %x: tensor<?x32xf32>, %i: tensor<?x8x4xi32>, %w: tensor<?x8x4xf32>, %p: tensor<64x4x32xi8>, %s: tensor<64x4xf32>) {
  // expected-error @+1 {{'peer.quantized_mix' op C2: expected F = 1, 2 or 3 vectors per pool row, got 4}}
  %r = peer.quantized_mix %x, %i, %w, %p, %s gelu
     : tensor<?x32xf32>, tensor<?x8x4xi32>, tensor<?x8x4xf32>, tensor<64x4x32xi8>, tensor<64x4xf32>
  return
}

// -----

func.func @quantized_mix_c3_rows(
    %x: tensor<?x32xf32>, %i: tensor<?x8x4xi32>, %w: tensor<?x8x4xf32>, %p: tensor<64x2x32xi8>, %s: tensor<64x2xf32>) {
  // expected-error @+1 {{'peer.quantized_mix' op C3: expected rows_per_expert to be at least 1 and to divide the pool's 64 rows, got 3}}
  %r = peer.quantized_mix %x, %i, %w, %p, %s gelu {rows_per_expert = 3}
     : tensor<?x32xf32>, tensor<?x8x4xi32>, tensor<?x8x4xf32>, tensor<64x2x32xi8>, tensor<64x2xf32>
  return
}

// -----

func.func @quantized_mix_c4_width(
    %x: tensor<?x32xf32>, %i: tensor<?x8x4xi32>, %w: tensor<?x8x4xf32>, %p: tensor<64x2x24xi8>, %s: tensor<64x2xf32>) {
  // expected-error @+1 {{'peer.quantized_mix' op C4: expected pool to be N x F x D i8 or f8E4M3FN with D = 32, got tensor<64x2x24xi8>}}
  %r = peer.quantized_mix %x, %i, %w, %p, %s gelu
     : tensor<?x32xf32>, tensor<?x8x4xi32>, tensor<?x8x4xf32>, tensor<64x2x24xi8>, tensor<64x2xf32>
  return
}

// -----

func.func @quantized_mix_c4_heads(
    %x: tensor<?x32xf32>, %i: tensor<?x8x4xi32>, %w: tensor<?x4x4xf32>, %p: tensor<64x2x32xi8>, %s: tensor<64x2xf32>) {
  // expected-error @+1 {{'peer.quantized_mix' op C4: expected weights to be T x H x K f32 with H = 8, got tensor<?x4x4xf32>}}
  %r = peer.quantized_mix %x, %i, %w, %p, %s gelu
     : tensor<?x32xf32>, tensor<?x8x4xi32>, tensor<?x4x4xf32>, tensor<64x2x32xi8>, tensor<64x2xf32>
  return
}

// -----

func.func @quantized_mix_c4_tokens(
    %x: tensor<3x32xf32>, %i: tensor<4x8x4xi32>, %w: tensor<?x8x4xf32>, %p: tensor<64x2x32xi8>, %s: tensor<64x2xf32>) {
  // expected-error @+1 {{'peer.quantized_mix' op C4: expected idx to be T x H x K i32 with T = 3, got tensor<4x8x4xi32>}}
  %r = peer.quantized_mix %x, %i, %w, %p, %s gelu
     : tensor<3x32xf32>, tensor<4x8x4xi32>, tensor<?x8x4xf32>, tensor<64x2x32xi8>, tensor<64x2xf32>
  return
}

// -----

func.func @quantized_mix_c4_scale_rows(
    %x: tensor<?x32xf32>, %i: tensor<?x8x4xi32>, %w: tensor<?x8x4xf32>, %p: tensor<64x2x32xi8>, %s: tensor<32x2xf32>) {
  // expected-error @+1 {{'peer.quantized_mix' op C4: expected scales to be N x F f32 with N = 64, got tensor<32x2xf32>}}
  %r = peer.quantized_mix %x, %i, %w, %p, %s gelu
     : tensor<?x32xf32>, tensor<?x8x4xi32>, tensor<?x8x4xf32>, tensor<64x2x32xi8>, tensor<32x2xf32>
  return
}

// -----

func.func @quantized_mix_c4_scale_vectors(
    %x: tensor<?x32xf32>, %i: tensor<?x8x4xi32>, %w: tensor<?x8x4xf32>, %p: tensor<64x2x32xi8>, %s: tensor<64x3xf32>) {
  // expected-error @+1 {{'peer.quantized_mix' op C4: expected scales to be N x F f32 with F = 2, got tensor<64x3xf32>}}
  %r = peer.quantized_mix %x, %i, %w, %p, %s gelu
     : tensor<?x32xf32>, tensor<?x8x4xi32>, tensor<?x8x4xf32>, tensor<64x2x32xi8>, tensor<64x3xf32>
  return
}

// -----

func.func @quantized_mix_c4_dynamic(
    %x: tensor<?x32xf32>, %i: tensor<?x8x4xi32>, %w: tensor<?x8x4xf32>, %p: tensor<?x2x32xi8>, %s: tensor<64x2xf32>) {
  // expected-error @+1 {{'peer.quantized_mix' op C4: expected pool to be N x F x D i8 or f8E4M3FN with static N, got tensor<?x2x32xi8>}}
  %r = peer.quantized_mix %x, %i, %w, %p, %s gelu
     : tensor<?x32xf32>, tensor<?x8x4xi32>, tensor<?x8x4xf32>, tensor<?x2x32xi8>, tensor<64x2xf32>
  return
}

// -----

func.func @quantized_mix_c5_x(
    %x: tensor<?x32xbf16>, %i: tensor<?x8x4xi32>, %w: tensor<?x8x4xf32>, %p: tensor<64x2x32xi8>, %s: tensor<64x2xf32>) {
  // expected-error @+1 {{'peer.quantized_mix' op C5: expected x to be T x D f32, got tensor<?x32xbf16>}}
  %r = peer.quantized_mix %x, %i, %w, %p, %s gelu
     : tensor<?x32xbf16>, tensor<?x8x4xi32>, tensor<?x8x4xf32>, tensor<64x2x32xi8>, tensor<64x2xf32>
  return
}

// -----

func.func @quantized_mix_c5_pool(
    %x: tensor<?x32xf32>, %i: tensor<?x8x4xi32>, %w: tensor<?x8x4xf32>, %p: tensor<64x2x32xbf16>, %s: tensor<64x2xf32>) {
  // expected-error @+1 {{'peer.quantized_mix' op C5: expected pool to be N x F x D i8 or f8E4M3FN, got tensor<64x2x32xbf16>}}
  %r = peer.quantized_mix %x, %i, %w, %p, %s gelu
     : tensor<?x32xf32>, tensor<?x8x4xi32>, tensor<?x8x4xf32>, tensor<64x2x32xbf16>, tensor<64x2xf32>
  return
}

// -----

func.func @quantized_mix_c5_pool_unsigned(
    %x: tensor<?x32xf32>, %i: tensor<?x8x4xi32>, %w: tensor<?x8x4xf32>, %p: tensor<64x2x32xui8>, %s: tensor<64x2xf32>) {
  // expected-error @+1 {{'peer.quantized_mix' op C5: expected pool to be N x F x D i8 or f8E4M3FN, got tensor<64x2x32xui8>}}
  %r = peer.quantized_mix %x, %i, %w, %p, %s gelu
     : tensor<?x32xf32>, tensor<?x8x4xi32>, tensor<?x8x4xf32>, tensor<64x2x32xui8>, tensor<64x2xf32>
  return
}

// -----

func.func @quantized_mix_c5_scales(
    %x: tensor<?x32xf32>, %i: tensor<?x8x4xi32>, %w: tensor<?x8x4xf32>, %p: tensor<64x2x32xi8>, %s: tensor<64x2xbf16>) {
  // expected-error @+1 {{'peer.quantized_mix' op C5: expected scales to be N x F f32, got tensor<64x2xbf16>}}
  %r = peer.quantized_mix %x, %i, %w, %p, %s gelu
     : tensor<?x32xf32>, tensor<?x8x4xi32>, tensor<?x8x4xf32>, tensor<64x2x32xi8>, tensor<64x2xbf16>
  return
}

// -----

func.func @quantized_mix_c6_bytes(
    %x: tensor<?x48xf32>, %i: tensor<?x8x4xi32>, %w: tensor<?x8x4xf32>, %p: tensor<64x2x24xi8>, %s: tensor<64x2xf32>) {
  // expected-error @+1 {{'peer.quantized_mix' op C6: expected two elements a byte of vectors whose width is a multiple of 32, got 48}}
  %r = peer.quantized_mix %x, %i, %w, %p, %s gelu
     : tensor<?x48xf32>, tensor<?x8x4xi32>, tensor<?x8x4xf32>, tensor<64x2x24xi8>, tensor<64x2xf32>
  return
}

// -----

func.func @quantized_mix_c6_groups(
    %x: tensor<?x96xf32>, %i: tensor<?x8x4xi32>, %w: tensor<?x8x4xf32>, %p: tensor<64x2x96xi8>, %s: tensor<64x2x2xf32>) {
  // expected-error @+1 {{'peer.quantized_mix' op C6: expected scales of groups whose sizes are multiples of 32, got 2 groups of the 96 elements}}
  %r = peer.quantized_mix %x, %i, %w, %p, %s gelu
     : tensor<?x96xf32>, tensor<?x8x4xi32>, tensor<?x8x4xf32>, tensor<64x2x96xi8>, tensor<64x2x2xf32>
  return
}
