// RUN: %peer-pass %s -split-input-file -verify-diagnostics

// Attributes that would make numbers infinite or NaN: an epsilon that is 0 in f32 divides zeros by zero.

func.func @rms_norm_c2_zero(%x: tensor<?x8xf32>, %w: tensor<8xf32>) {
  // expected-error @+1 {{'peer.rms_norm' op C2: expected an epsilon that is a normal f32 above 0 (1.2e-38 or more), got 0}}
  %r = peer.rms_norm %x, %w {epsilon = 0.0 : f32} : tensor<?x8xf32>, tensor<8xf32>
  return
}

// -----

// What f32 cannot hold is 0 there; GPUs may flush what it holds as a subnormal number.
func.func @rms_norm_c2_too_small(%x: tensor<?x8xf32>, %w: tensor<8xf32>) {
  // expected-error @+1 {{'peer.rms_norm' op C2: expected an epsilon that is a normal f32 above 0 (1.2e-38 or more), got 0}}
  %r = peer.rms_norm %x, %w {epsilon = 1.0e-50 : f32} : tensor<?x8xf32>, tensor<8xf32>
  return
}

// -----

func.func @rms_norm_grad_c2(%x: tensor<?x8xf32>, %w: tensor<8xf32>) {
  // expected-error @+1 {{'peer.rms_norm_grad' op C2: expected an epsilon that is a normal f32 above 0}}
  %r:2 = peer.rms_norm_grad %x, %w, %x {epsilon = 1.0e-40 : f32} : tensor<?x8xf32>, tensor<8xf32>, tensor<?x8xf32>
  return
}

// -----

func.func @layer_norm_c2(%x: tensor<?x8xf32>, %w: tensor<8xf32>) {
  // expected-error @+1 {{'peer.layer_norm' op C2: expected an epsilon that is a normal f32 above 0 (1.2e-38 or more), got -1}}
  %r = peer.layer_norm %x, %w, %w {epsilon = -1.0 : f32} : tensor<?x8xf32>, tensor<8xf32>, tensor<8xf32>
  return
}

// -----

func.func @layer_norm_grad_c2(%x: tensor<?x8xf32>, %w: tensor<8xf32>) {
  // expected-error @+1 {{'peer.layer_norm_grad' op C2: expected an epsilon that is a normal f32 above 0 (1.2e-38 or more), got NaN}}
  %r:3 = peer.layer_norm_grad %x, %w, %x {epsilon = 0x7FC00000 : f32} : tensor<?x8xf32>, tensor<8xf32>, tensor<?x8xf32>
  return
}

// -----

func.func @batch_norm_c2(%x: tensor<?x8xf32>, %w: tensor<8xf32>) {
  // expected-error @+1 {{'peer.batch_norm' op C2: expected an epsilon that is a normal f32 above 0 (1.2e-38 or more), got +Inf}}
  %r = peer.batch_norm %x, %w, %w, %w, %w {epsilon = 0x7F800000 : f32}
     : tensor<?x8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>
  return
}

// -----

func.func @batch_norm_c3_momentum(%x: tensor<?x8xf32>, %w: tensor<8xf32>) {
  // expected-error @+1 {{'peer.batch_norm' op C3: expected a momentum in [0, 1], got 1.5}}
  %r = peer.batch_norm %x, %w, %w, %w, %w {momentum = 1.5 : f32}
     : tensor<?x8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>
  return
}

// -----

func.func @batch_norm_weight_grad_c2(%x: tensor<?x8xf32>, %w: tensor<8xf32>) {
  // expected-error @+1 {{'peer.batch_norm_weight_grad' op C2: expected an epsilon that is a normal f32 above 0}}
  %r:2 = peer.batch_norm_weight_grad %x, %w, %w, %x {epsilon = 0.0 : f32}
     : tensor<?x8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<?x8xf32>
  return
}

// -----

func.func @batch_norm_grad_c2(%x: tensor<?x8xf32>, %w: tensor<8xf32>) {
  // expected-error @+1 {{'peer.batch_norm_grad' op C2: expected an epsilon that is a normal f32 above 0}}
  %r = peer.batch_norm_grad %x, %w, %w, %w, %x, %w, %w {epsilon = 0.0 : f32}
     : tensor<?x8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<?x8xf32>, tensor<8xf32>, tensor<8xf32>
  return
}

// -----

func.func @rotary_c4_base(%x: tensor<?x8xf32>) {
  // expected-error @+1 {{'peer.rotary' op C4: expected a finite base of at least 1, got 0}}
  %r = peer.rotary %x heads 1 context 4 {base = 0.0 : f32} : tensor<?x8xf32>
  return
}

// -----

func.func @rotary_at_c3_base(%x: tensor<?x8xf32>, %p: tensor<i32>) {
  // expected-error @+1 {{'peer.rotary_at' op C3: expected a finite base of at least 1, got -5}}
  %r = peer.rotary_at %x, %p heads 1 {base = -5.0 : f32} : tensor<?x8xf32>, tensor<i32>
  return
}
