// RUN: %peer-pass %s -split-input-file -verify-diagnostics

// One case per constraint of the optimizer ops, named after it.

func.func @update_c0_form(%p: tensor<64x2x32xf32>, %g: memref<64x2x32xf32>, %lr: tensor<f32>, %step: tensor<f32>,
                          %scale: tensor<f32>) {
  // expected-error @+1 {{'peer.update' op C0: expected either tensors or buffers, got both}}
  %r = peer.update %p, %g, %lr, %step, %scale {optimizer = #peer.sgd}
     : tensor<64x2x32xf32>, memref<64x2x32xf32>, tensor<f32>, tensor<f32>, tensor<f32>
  return
}

// -----

func.func @update_c1_param(%p: tensor<?x2x32xf32>, %g: tensor<?x2x32xf32>, %lr: tensor<f32>, %step: tensor<f32>,
                           %scale: tensor<f32>) {
  // expected-error @+1 {{'peer.update' op C1: expected a static parameter of f32 or bf16}}
  %r = peer.update %p, %g, %lr, %step, %scale {optimizer = #peer.sgd}
     : tensor<?x2x32xf32>, tensor<?x2x32xf32>, tensor<f32>, tensor<f32>, tensor<f32>
  return
}

// -----

func.func @update_c1_param_type(%p: tensor<64xf64>, %g: tensor<64xf64>, %lr: tensor<f32>, %step: tensor<f32>,
                                %scale: tensor<f32>) {
  // expected-error @+1 {{'peer.update' op C1: expected a static parameter of f32 or bf16}}
  %r = peer.update %p, %g, %lr, %step, %scale {optimizer = #peer.sgd}
     : tensor<64xf64>, tensor<64xf64>, tensor<f32>, tensor<f32>, tensor<f32>
  return
}

// -----

func.func @update_c1_grad(%p: tensor<64x2x32xf32>, %g: tensor<64x1x32xf32>, %lr: tensor<f32>, %step: tensor<f32>,
                          %scale: tensor<f32>) {
  // expected-error @+1 {{'peer.update' op C1: expected the gradient to be f32 of the parameter's shape, got tensor<64x1x32xf32> beside tensor<64x2x32xf32>}}
  %r = peer.update %p, %g, %lr, %step, %scale {optimizer = #peer.sgd}
     : tensor<64x2x32xf32>, tensor<64x1x32xf32>, tensor<f32>, tensor<f32>, tensor<f32>
  return
}

// -----

func.func @update_c1_state(%p: tensor<64x2x32xf32>, %g: tensor<64x2x32xf32>, %lr: tensor<f32>, %step: tensor<f32>,
                           %scale: tensor<f32>, %m: tensor<64x2x32xf32>, %v: tensor<64x2x32xbf16>) {
  // expected-error @+1 {{'peer.update' op C1: expected state 'v' to be f32 of the parameter's shape, got tensor<64x2x32xbf16> beside}}
  %r:3 = peer.update %p, %g, %lr, %step, %scale, %m, %v {optimizer = #peer.adamw}
     : tensor<64x2x32xf32>, tensor<64x2x32xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<64x2x32xf32>, tensor<64x2x32xbf16>
  return
}

// -----

func.func @update_c1_narrow_state(%p: tensor<64x2x32xf32>, %g: tensor<64x2x32xf32>, %lr: tensor<f32>, %step: tensor<f32>,
                                  %scale: tensor<f32>, %m: tensor<64x2x32xf32>) {
  // expected-error @+1 {{'peer.update' op C1: expected state 'momentum' to be bf16 of the parameter's shape, got tensor<64x2x32xf32> beside tensor<64x2x32xf32>}}
  %r:2 = peer.update %p, %g, %lr, %step, %scale, %m {optimizer = #peer.sgd<momentum = 0.9, states = bf16>}
     : tensor<64x2x32xf32>, tensor<64x2x32xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<64x2x32xf32>
  return
}

// -----

func.func @update_c2_learning_rate(%p: tensor<64x2x32xf32>, %g: tensor<64x2x32xf32>, %lr: tensor<1xf32>,
                                   %step: tensor<f32>, %scale: tensor<f32>) {
  // expected-error @+1 {{'peer.update' op C2: expected learning_rate to be of rank 0 f32, got tensor<1xf32>}}
  %r = peer.update %p, %g, %lr, %step, %scale {optimizer = #peer.sgd}
     : tensor<64x2x32xf32>, tensor<64x2x32xf32>, tensor<1xf32>, tensor<f32>, tensor<f32>
  return
}

// -----

func.func @update_c2_step(%p: tensor<64x2x32xf32>, %g: tensor<64x2x32xf32>, %lr: tensor<f32>, %step: tensor<i32>,
                          %scale: tensor<f32>) {
  // expected-error @+1 {{'peer.update' op C2: expected step to be of rank 0 f32, got tensor<i32>}}
  %r = peer.update %p, %g, %lr, %step, %scale {optimizer = #peer.sgd}
     : tensor<64x2x32xf32>, tensor<64x2x32xf32>, tensor<f32>, tensor<i32>, tensor<f32>
  return
}

// -----

func.func @update_c2_scale(%p: tensor<64x2x32xf32>, %g: tensor<64x2x32xf32>, %lr: tensor<f32>, %step: tensor<f32>,
                           %scale: tensor<f64>) {
  // expected-error @+1 {{'peer.update' op C2: expected scale to be of rank 0 f32, got tensor<f64>}}
  %r = peer.update %p, %g, %lr, %step, %scale {optimizer = #peer.sgd}
     : tensor<64x2x32xf32>, tensor<64x2x32xf32>, tensor<f32>, tensor<f32>, tensor<f64>
  return
}

// -----

func.func @update_c3_adamw(%p: tensor<64x2x32xf32>, %g: tensor<64x2x32xf32>, %lr: tensor<f32>, %step: tensor<f32>,
                           %scale: tensor<f32>, %m: tensor<64x2x32xf32>) {
  // expected-error @+1 {{'peer.update' op C3: expected 2 states, got 1}}
  %r:2 = peer.update %p, %g, %lr, %step, %scale, %m {optimizer = #peer.adamw}
     : tensor<64x2x32xf32>, tensor<64x2x32xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<64x2x32xf32>
  return
}

// -----

func.func @update_c3_adamw_without_m(%p: tensor<64x2x32xf32>, %g: tensor<64x2x32xf32>, %lr: tensor<f32>, %step: tensor<f32>,
                                     %scale: tensor<f32>, %m: tensor<64x2x32xf32>, %v: tensor<64x2x32xf32>) {
  // expected-error @+1 {{'peer.update' op C3: expected 1 states, got 2}}
  %r:3 = peer.update %p, %g, %lr, %step, %scale, %m, %v {optimizer = #peer.adamw<beta1 = 0>}
     : tensor<64x2x32xf32>, tensor<64x2x32xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<64x2x32xf32>, tensor<64x2x32xf32>
  return
}

// -----

func.func @update_c3_sgd(%p: tensor<64x2x32xf32>, %g: tensor<64x2x32xf32>, %lr: tensor<f32>, %step: tensor<f32>,
                         %scale: tensor<f32>, %m: tensor<64x2x32xf32>) {
  // expected-error @+1 {{'peer.update' op C3: expected 0 states, got 1}}
  %r:2 = peer.update %p, %g, %lr, %step, %scale, %m {optimizer = #peer.sgd}
     : tensor<64x2x32xf32>, tensor<64x2x32xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<64x2x32xf32>
  return
}

// -----

func.func @update_c3_momentum(%p: tensor<64x2x32xf32>, %g: tensor<64x2x32xf32>, %lr: tensor<f32>, %step: tensor<f32>,
                              %scale: tensor<f32>) {
  // expected-error @+1 {{'peer.update' op C3: expected 1 states, got 0}}
  %r = peer.update %p, %g, %lr, %step, %scale {optimizer = #peer.sgd<momentum = 0.9>}
     : tensor<64x2x32xf32>, tensor<64x2x32xf32>, tensor<f32>, tensor<f32>, tensor<f32>
  return
}

// -----

func.func @update_optimizer(%p: tensor<64x2x32xf32>, %g: tensor<64x2x32xf32>, %lr: tensor<f32>, %step: tensor<f32>,
                            %scale: tensor<f32>) {
  // expected-error @+1 {{'peer.update' op requires attribute 'optimizer'}}
  %r = peer.update %p, %g, %lr, %step, %scale
     : tensor<64x2x32xf32>, tensor<64x2x32xf32>, tensor<f32>, tensor<f32>, tensor<f32>
  return
}

// -----

func.func @row_update_c1_idx(%p: tensor<64x2x32xf32>, %i: tensor<?x8x4xf32>, %o: tensor<?xi32>, %s: tensor<?xi32>,
                             %c: tensor<2xi32>, %f: tensor<?x8x4x1x2xf32>, %x: tensor<?x32xf32>, %dy: tensor<?x32xf32>,
                             %lr: tensor<f32>, %step: tensor<f32>, %scale: tensor<f32>) {
  // expected-error @+1 {{'peer.row_update' op C1: expected idx to be T x H x K i32}}
  %r = peer.row_update %p, %i, %o, %s, %c, %f, %x, %dy, %lr, %step, %scale {optimizer = #peer.sgd}
     : tensor<64x2x32xf32>, tensor<?x8x4xf32>, tensor<?xi32>, tensor<?xi32>, tensor<2xi32>, tensor<?x8x4x1x2xf32>, tensor<?x32xf32>, tensor<?x32xf32>, tensor<f32>, tensor<f32>, tensor<f32>
  return
}

// -----

func.func @row_update_c1_pool(%p: tensor<64x3x32xf32>, %i: tensor<?x8x4xi32>, %o: tensor<?xi32>, %s: tensor<?xi32>,
                              %c: tensor<2xi32>, %f: tensor<?x8x4x1x2xf32>, %x: tensor<?x32xf32>,
                              %dy: tensor<?x32xf32>, %lr: tensor<f32>, %step: tensor<f32>, %scale: tensor<f32>) {
  // expected-error @+1 {{'peer.row_update' op C1: expected pool to be N x F x D f32 or bf16 with F = 2}}
  %r = peer.row_update %p, %i, %o, %s, %c, %f, %x, %dy, %lr, %step, %scale {optimizer = #peer.sgd}
     : tensor<64x3x32xf32>, tensor<?x8x4xi32>, tensor<?xi32>, tensor<?xi32>, tensor<2xi32>, tensor<?x8x4x1x2xf32>, tensor<?x32xf32>, tensor<?x32xf32>, tensor<f32>, tensor<f32>, tensor<f32>
  return
}

// -----

func.func @row_update_c1_state(%p: tensor<64x2x32xf32>, %i: tensor<?x8x4xi32>, %o: tensor<?xi32>, %s: tensor<?xi32>,
                               %c: tensor<2xi32>, %f: tensor<?x8x4x1x2xf32>, %x: tensor<?x32xf32>,
                               %dy: tensor<?x32xf32>, %lr: tensor<f32>, %step: tensor<f32>, %scale: tensor<f32>,
                               %m: tensor<64x2x31xf32>) {
  // expected-error @+1 {{'peer.row_update' op C1: expected state 'momentum' to be f32 of the parameter's shape}}
  %r:2 = peer.row_update %p, %i, %o, %s, %c, %f, %x, %dy, %lr, %step, %scale, %m {optimizer = #peer.sgd<momentum = 0.9>}
     : tensor<64x2x32xf32>, tensor<?x8x4xi32>, tensor<?xi32>, tensor<?xi32>, tensor<2xi32>, tensor<?x8x4x1x2xf32>, tensor<?x32xf32>, tensor<?x32xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<64x2x31xf32>
  return
}

// -----

func.func @row_update_c2_scalars(%p: tensor<64x2x32xf32>, %i: tensor<?x8x4xi32>, %o: tensor<?xi32>, %s: tensor<?xi32>,
                                 %c: tensor<2xi32>, %f: tensor<?x8x4x1x2xf32>, %x: tensor<?x32xf32>,
                                 %dy: tensor<?x32xf32>, %lr: tensor<1xf32>, %step: tensor<f32>, %scale: tensor<f32>) {
  // expected-error @+1 {{'peer.row_update' op C2: expected learning_rate to be of rank 0 f32, got tensor<1xf32>}}
  %r = peer.row_update %p, %i, %o, %s, %c, %f, %x, %dy, %lr, %step, %scale {optimizer = #peer.sgd}
     : tensor<64x2x32xf32>, tensor<?x8x4xi32>, tensor<?xi32>, tensor<?xi32>, tensor<2xi32>, tensor<?x8x4x1x2xf32>, tensor<?x32xf32>, tensor<?x32xf32>, tensor<1xf32>, tensor<f32>, tensor<f32>
  return
}

// -----

func.func @row_update_c3_states(%p: tensor<64x2x32xf32>, %i: tensor<?x8x4xi32>, %o: tensor<?xi32>, %s: tensor<?xi32>,
                                %c: tensor<2xi32>, %f: tensor<?x8x4x1x2xf32>, %x: tensor<?x32xf32>,
                                %dy: tensor<?x32xf32>, %lr: tensor<f32>, %step: tensor<f32>, %scale: tensor<f32>) {
  // expected-error @+1 {{'peer.row_update' op C3: expected 2 states, got 0}}
  %r = peer.row_update %p, %i, %o, %s, %c, %f, %x, %dy, %lr, %step, %scale {optimizer = #peer.adamw}
     : tensor<64x2x32xf32>, tensor<?x8x4xi32>, tensor<?xi32>, tensor<?xi32>, tensor<2xi32>, tensor<?x8x4x1x2xf32>, tensor<?x32xf32>, tensor<?x32xf32>, tensor<f32>, tensor<f32>, tensor<f32>
  return
}

// -----

func.func @row_update_c4_rows(%p: tensor<64x2x32xf32>, %i: tensor<?x8x4xi32>, %o: tensor<?xi32>, %s: tensor<?xi32>,
                              %c: tensor<2xi32>, %f: tensor<?x8x4x3x2xf32>, %x: tensor<?x32xf32>,
                              %dy: tensor<?x32xf32>, %lr: tensor<f32>, %step: tensor<f32>, %scale: tensor<f32>) {
  // expected-error @+1 {{'peer.row_update' op C4: expected rows per expert, 3, to divide rows, 64}}
  %r = peer.row_update %p, %i, %o, %s, %c, %f, %x, %dy, %lr, %step, %scale {optimizer = #peer.sgd}
     : tensor<64x2x32xf32>, tensor<?x8x4xi32>, tensor<?xi32>, tensor<?xi32>, tensor<2xi32>, tensor<?x8x4x3x2xf32>, tensor<?x32xf32>, tensor<?x32xf32>, tensor<f32>, tensor<f32>, tensor<f32>
  return
}

// -----

func.func @update_c1_state_of_rows(%p: tensor<64x2x32xf32>, %g: tensor<64x2x32xf32>, %lr: tensor<f32>, %step: tensor<f32>,
                                   %scale: tensor<f32>, %v: tensor<64x2xf32>) {
  // expected-error @+1 {{'peer.update' op C1: expected state 'sum' to be f32 of shape 64, got tensor<64x2xf32> beside tensor<64x2x32xf32>}}
  %r:2 = peer.update %p, %g, %lr, %step, %scale, %v {optimizer = #peer.rowwise_adagrad}
     : tensor<64x2x32xf32>, tensor<64x2x32xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<64x2xf32>
  return
}

// -----

func.func @update_c1_state_of_columns(%p: tensor<64x2x32xf32>, %g: tensor<64x2x32xf32>, %lr: tensor<f32>,
                                      %step: tensor<f32>, %scale: tensor<f32>, %a: tensor<64x2xf32>, %b: tensor<2xf32>) {
  // expected-error @+1 {{'peer.update' op C1: expected state 'columns' to be f32 of shape 32, got tensor<2xf32> beside tensor<64x2x32xf32>}}
  %r:3 = peer.update %p, %g, %lr, %step, %scale, %a, %b {optimizer = #peer.adafactor}
     : tensor<64x2x32xf32>, tensor<64x2x32xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<64x2xf32>, tensor<2xf32>
  return
}

// -----

func.func @row_update_c5(%p: tensor<64x2x32xf32>, %i: tensor<?x8x4xi32>, %o: tensor<?xi32>, %s: tensor<?xi32>,
                         %c: tensor<2xi32>, %f: tensor<?x8x4x1x2xf32>, %x: tensor<?x32xf32>, %dy: tensor<?x32xf32>,
                         %lr: tensor<f32>, %step: tensor<f32>, %scale: tensor<f32>, %a: tensor<64x2xf32>, %b: tensor<32xf32>) {
  // expected-error @+1 {{'peer.row_update' op C5: adafactor cannot update some rows of a pool alone}}
  %r:3 = peer.row_update %p, %i, %o, %s, %c, %f, %x, %dy, %lr, %step, %scale, %a, %b {optimizer = #peer.adafactor}
     : tensor<64x2x32xf32>, tensor<?x8x4xi32>, tensor<?xi32>, tensor<?xi32>, tensor<2xi32>, tensor<?x8x4x1x2xf32>, tensor<?x32xf32>, tensor<?x32xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<64x2xf32>, tensor<32xf32>
  return
}

// -----

func.func @sum_squares_c1_type(%x: tensor<4xi32>) {
  // expected-error @+1 {{'peer.sum_squares' op C1: expected x to be f32}}
  %r = peer.sum_squares %x : tensor<4xi32>
  return
}
