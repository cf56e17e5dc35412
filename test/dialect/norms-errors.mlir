// RUN: %peer-pass %s -split-input-file -verify-diagnostics

// C1 of each norm and each gradient of one, for each operand that it binds.

func.func @rms_norm_c1_x(%x: tensor<?x32xbf16>, %w: tensor<32xf32>) {
  // expected-error @+1 {{'peer.rms_norm' op C1: expected x to be T x D f32}}
  %r = peer.rms_norm %x, %w : tensor<?x32xbf16>, tensor<32xf32>
  return
}

// -----

func.func @rms_norm_c1_weight(%x: tensor<?x32xf32>, %w: tensor<31xf32>) {
  // expected-error @+1 {{'peer.rms_norm' op C1: expected weight to be D f32 with D = 32, got tensor<31xf32>}}
  %r = peer.rms_norm %x, %w : tensor<?x32xf32>, tensor<31xf32>
  return
}

// -----

func.func @rms_norm_grad_c1_dy(%x: tensor<?x32xf32>, %w: tensor<32xf32>, %dy: tensor<32xf32>) {
  // expected-error @+1 {{'peer.rms_norm_grad' op C1: expected dy to be T x D f32}}
  %r:2 = peer.rms_norm_grad %x, %w, %dy {epsilon = 1.0 : f32} : tensor<?x32xf32>, tensor<32xf32>, tensor<32xf32>
  return
}

// -----

func.func @rms_norm_weight_grad_c1_rstd(%x: tensor<4x32xf32>, %r: tensor<5xf32>, %dy: tensor<?x32xf32>) {
  // expected-error @+1 {{'peer.rms_norm_weight_grad' op C1: expected rstd to be T f32 with T = 4}}
  %r = peer.rms_norm_weight_grad %x, %r, %dy : tensor<4x32xf32>, tensor<5xf32>, tensor<?x32xf32>
  return
}

// -----

func.func @layer_norm_c1_bias(%x: tensor<?x32xf32>, %w: tensor<32xf32>, %b: tensor<31xf32>) {
  // expected-error @+1 {{'peer.layer_norm' op C1: expected bias to be D f32 with D = 32}}
  %r = peer.layer_norm %x, %w, %b : tensor<?x32xf32>, tensor<32xf32>, tensor<31xf32>
  return
}

// -----

func.func @layer_norm_c1_dynamic(%x: tensor<?x?xf32>, %w: tensor<32xf32>, %b: tensor<32xf32>) {
  // expected-error @+1 {{'peer.layer_norm' op C1: expected x to be T x D f32 with static D}}
  %r = peer.layer_norm %x, %w, %b : tensor<?x?xf32>, tensor<32xf32>, tensor<32xf32>
  return
}

// -----

func.func @layer_norm_grad_c1_weight(%x: tensor<?x32xf32>, %w: tensor<31xf32>, %dy: tensor<?x32xf32>) {
  // expected-error @+1 {{'peer.layer_norm_grad' op C1: expected weight to be D f32 with D = 32}}
  %r:3 = peer.layer_norm_grad %x, %w, %dy {epsilon = 1.0 : f32} : tensor<?x32xf32>, tensor<31xf32>, tensor<?x32xf32>
  return
}

// -----

func.func @layer_norm_weight_grad_c1_mean(%x: tensor<?x32xf32>, %m: tensor<?x32xf32>, %r: tensor<?xf32>,
                                          %dy: tensor<?x32xf32>) {
  // expected-error @+1 {{'peer.layer_norm_weight_grad' op C1: expected mean to be T f32}}
  %r:2 = peer.layer_norm_weight_grad %x, %m, %r, %dy
     : tensor<?x32xf32>, tensor<?x32xf32>, tensor<?xf32>, tensor<?x32xf32>
  return
}

// -----

func.func @batch_norm_c1_x(%x: tensor<32xf32>, %w: tensor<32xf32>, %b: tensor<32xf32>, %m: tensor<32xf32>,
                           %v: tensor<32xf32>) {
  // expected-error @+1 {{'peer.batch_norm' op C1: expected x to be R x C f32}}
  %r = peer.batch_norm %x, %w, %b, %m, %v
     : tensor<32xf32>, tensor<32xf32>, tensor<32xf32>, tensor<32xf32>, tensor<32xf32>
  return
}

// -----

func.func @batch_norm_c1_variance(%x: tensor<?x32xf32>, %w: tensor<32xf32>, %b: tensor<32xf32>, %m: tensor<32xf32>,
                                  %v: tensor<31xf32>) {
  // expected-error @+1 {{'peer.batch_norm' op C1: expected variance to be C f32 with C = 32}}
  %r = peer.batch_norm %x, %w, %b, %m, %v
     : tensor<?x32xf32>, tensor<32xf32>, tensor<32xf32>, tensor<32xf32>, tensor<31xf32>
  return
}

// -----

func.func @batch_stats_c1_x(%x: tensor<?x8x4xf32>) {
  // expected-error @+1 {{'peer.batch_stats' op C1: expected x to be R x C f32}}
  %r:2 = peer.batch_stats %x : tensor<?x8x4xf32>
  return
}

// -----

func.func @batch_norm_weight_grad_c1_mean(%x: tensor<?x32xf32>, %m: tensor<31xf32>, %v: tensor<32xf32>,
                                          %dy: tensor<?x32xf32>) {
  // expected-error @+1 {{'peer.batch_norm_weight_grad' op C1: expected mean to be C f32 with C = 32}}
  %r:2 = peer.batch_norm_weight_grad %x, %m, %v, %dy {epsilon = 1.0 : f32}
     : tensor<?x32xf32>, tensor<31xf32>, tensor<32xf32>, tensor<?x32xf32>
  return
}

// -----

func.func @batch_norm_grad_c1_dweight(%x: tensor<?x32xf32>, %w: tensor<32xf32>, %m: tensor<32xf32>, %v: tensor<32xf32>,
                                      %dy: tensor<?x32xf32>, %dw: tensor<31xf32>, %db: tensor<32xf32>) {
  // expected-error @+1 {{'peer.batch_norm_grad' op C1: expected dweight to be C f32 with C = 32}}
  %r = peer.batch_norm_grad %x, %w, %m, %v, %dy, %dw, %db {epsilon = 1.0 : f32}
     : tensor<?x32xf32>, tensor<32xf32>, tensor<32xf32>, tensor<32xf32>, tensor<?x32xf32>, tensor<31xf32>, tensor<32xf32>
  return
}
