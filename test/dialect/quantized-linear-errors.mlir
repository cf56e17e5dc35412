// RUN: %peer-pass %s -split-input-file -verify-diagnostics

// One case per constraint of peer.quantized_linear, named after it.

func.func @quantized_linear_c1_x(%x: tensor<32xf32>, %w: tensor<64x32xi8>, %s: tensor<64xf32>) {
  // expected-error @+1 {{'peer.quantized_linear' op C1: expected x to be T x I f32, got tensor<32xf32>}}
  %r = peer.quantized_linear %x, %w, %s : tensor<32xf32>, tensor<64x32xi8>, tensor<64xf32>
  return
}

// -----

func.func @quantized_linear_c1_width(%x: tensor<?x32xf32>, %w: tensor<64x24xi8>, %s: tensor<64xf32>) {
  // expected-error @+1 {{'peer.quantized_linear' op C1: expected weight to be O x I i8 or f8E4M3FN with I = 32, got tensor<64x24xi8>}}
  %r = peer.quantized_linear %x, %w, %s : tensor<?x32xf32>, tensor<64x24xi8>, tensor<64xf32>
  return
}

// -----

func.func @quantized_linear_c1_scales(%x: tensor<?x32xf32>, %w: tensor<64x32xi8>, %s: tensor<32xf32>) {
  // expected-error @+1 {{'peer.quantized_linear' op C1: expected scales to be O f32 with O = 64, got tensor<32xf32>}}
  %r = peer.quantized_linear %x, %w, %s : tensor<?x32xf32>, tensor<64x32xi8>, tensor<32xf32>
  return
}

// -----

func.func @quantized_linear_c1_dynamic(%x: tensor<?x?xf32>, %w: tensor<64x32xi8>, %s: tensor<64xf32>) {
  // expected-error @+1 {{'peer.quantized_linear' op C1: expected x to be T x I f32 with static I, got tensor<?x?xf32>}}
  %r = peer.quantized_linear %x, %w, %s : tensor<?x?xf32>, tensor<64x32xi8>, tensor<64xf32>
  return
}

// -----

func.func @quantized_linear_c2_weight(%x: tensor<?x32xf32>, %w: tensor<64x32xf32>, %s: tensor<64xf32>) {
  // expected-error @+1 {{'peer.quantized_linear' op C2: expected weight to be O x I i8 or f8E4M3FN, got tensor<64x32xf32>}}
  %r = peer.quantized_linear %x, %w, %s : tensor<?x32xf32>, tensor<64x32xf32>, tensor<64xf32>
  return
}

// -----

func.func @quantized_linear_c2_scales(%x: tensor<?x32xf32>, %w: tensor<64x32xi8>, %s: tensor<64xbf16>) {
  // expected-error @+1 {{'peer.quantized_linear' op C2: expected scales to be O f32, got tensor<64xbf16>}}
  %r = peer.quantized_linear %x, %w, %s : tensor<?x32xf32>, tensor<64x32xi8>, tensor<64xbf16>
  return
}

// -----

func.func @quantized_linear_c3(%x: tensor<?x32xf32>, %w: tensor<64x32xi8>, %s: tensor<64xf32>, %b: tensor<32xf32>) {
  // expected-error @+1 {{'peer.quantized_linear' op C3: expected the bias to be O f32 with O = 64, got tensor<32xf32>}}
  %r = peer.quantized_linear %x, %w, %s, %b : tensor<?x32xf32>, tensor<64x32xi8>, tensor<64xf32>, tensor<32xf32>
  return
}

// -----

func.func @quantized_linear_c4_bytes(%x: tensor<?x48xf32>, %w: tensor<64x24xi8>, %s: tensor<64xf32>) {
  // expected-error @+1 {{'peer.quantized_linear' op C4: expected two elements a byte of vectors whose width is a multiple of 32, got 48}}
  %r = peer.quantized_linear %x, %w, %s : tensor<?x48xf32>, tensor<64x24xi8>, tensor<64xf32>
  return
}

// -----

func.func @quantized_linear_c4_groups(%x: tensor<?x96xf32>, %w: tensor<64x96xi8>, %s: tensor<64x2xf32>) {
  // expected-error @+1 {{'peer.quantized_linear' op C4: expected scales of groups whose sizes are multiples of 32, got 2 groups of the 96 elements}}
  %r = peer.quantized_linear %x, %w, %s : tensor<?x96xf32>, tensor<64x96xi8>, tensor<64x2xf32>
  return
}

// -----

func.func @quantized_linear_c1_fp8_width(%x: tensor<?x64xf32>, %w: tensor<64x32xf8E4M3FN>, %s: tensor<64xf32>) {
  // expected-error @+1 {{'peer.quantized_linear' op C1: expected weight to be O x I i8 or f8E4M3FN with I = 64, got tensor<64x32xf8E4M3FN>}}
  %r = peer.quantized_linear %x, %w, %s : tensor<?x64xf32>, tensor<64x32xf8E4M3FN>, tensor<64xf32>
  return
}

// -----

func.func @quantized_linear_c2_fp8_kind(%x: tensor<?x64xf32>, %w: tensor<64x64xf8E5M2>, %s: tensor<64xf32>) {
  // expected-error @+1 {{'peer.quantized_linear' op C2: expected weight to be O x I i8 or f8E4M3FN, got tensor<64x64xf8E5M2>}}
  %r = peer.quantized_linear %x, %w, %s : tensor<?x64xf32>, tensor<64x64xf8E5M2>, tensor<64xf32>
  return
}
