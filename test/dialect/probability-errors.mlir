// RUN: %peer-pass %s -split-input-file -verify-diagnostics

// One case per constraint of peer.probability, named after it.

func.func @probability_c1_type(%v: tensor<?x8x4xi32>, %s: tensor<?x8x1x64xf32>) {
  // expected-error @+1 {{'peer.probability' op C1: expected val to be T x H x K f32, got tensor<?x8x4xi32>}}
  %r = peer.probability %v, %s : tensor<?x8x4xi32>, tensor<?x8x1x64xf32>
  return
}

// -----

func.func @probability_c2_heads(%v: tensor<?x8x4xf32>, %s: tensor<?x4x1x64xf32>) {
  // expected-error @+1 {{'peer.probability' op C2: expected logits to be T x H x P x n f32 with H = 8}}
  %r = peer.probability %v, %s : tensor<?x8x4xf32>, tensor<?x4x1x64xf32>
  return
}

// -----

func.func @probability_c2_halves(%v: tensor<?x8x4xf32>, %s: tensor<?x8x3x64xf32>) {
  // expected-error @+1 {{'peer.probability' op C2: expected logits of 1 or 2 halves of at least 1 key, got 3 of 64}}
  %r = peer.probability %v, %s : tensor<?x8x4xf32>, tensor<?x8x3x64xf32>
  return
}
