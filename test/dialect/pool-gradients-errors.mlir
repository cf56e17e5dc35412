// RUN: %peer-pass %s -split-input-file -verify-diagnostics

// One case per constraint of mix_grad and the row-sparse gradient of a pool, named after it.

func.func @mix_grad_c1_rank(%x: tensor<?x32xf32>, %i: tensor<?x4xi32>, %w: tensor<?x8x4xf32>, %p: tensor<64x2x32xf32>,
                            %dy: tensor<?x32xf32>) {
  // expected-error @+1 {{'peer.mix_grad' op C1: expected idx to be T x H x K i32}}
  %r:3 = peer.mix_grad %x, %i, %w, %p, %dy gelu
     : tensor<?x32xf32>, tensor<?x4xi32>, tensor<?x8x4xf32>, tensor<64x2x32xf32>, tensor<?x32xf32>
  return
}

// -----

func.func @mix_grad_c2_vectors(%x: tensor<?x32xf32>, %i: tensor<?x8x4xi32>, %w: tensor<?x8x4xf32>,
                               %p: tensor<64x4x32xf32>, %dy: tensor<?x32xf32>) {
  // expected-error @+1 {{'peer.mix_grad' op C2: expected F = 1, 2 or 3 vectors per pool row, got 4}}
  %r:3 = peer.mix_grad %x, %i, %w, %p, %dy gelu
     : tensor<?x32xf32>, tensor<?x8x4xi32>, tensor<?x8x4xf32>, tensor<64x4x32xf32>, tensor<?x32xf32>
  return
}

// -----

func.func @mix_grad_c3_rows(%x: tensor<?x32xf32>, %i: tensor<?x8x4xi32>, %w: tensor<?x8x4xf32>,
                            %p: tensor<64x2x32xf32>, %dy: tensor<?x32xf32>) {
  // expected-error @+1 {{'peer.mix_grad' op C3: expected rows_per_expert to be at least 1 and to divide the pool's 64 rows, got 5}}
  %r:3 = peer.mix_grad %x, %i, %w, %p, %dy gelu {rows_per_expert = 5}
     : tensor<?x32xf32>, tensor<?x8x4xi32>, tensor<?x8x4xf32>, tensor<64x2x32xf32>, tensor<?x32xf32>
  return
}

// -----

func.func @mix_grad_c4_width(%x: tensor<?x32xf32>, %i: tensor<?x8x4xi32>, %w: tensor<?x8x4xf32>,
                             %p: tensor<64x2x31xf32>, %dy: tensor<?x32xf32>) {
  // expected-error @+1 {{'peer.mix_grad' op C4: expected pool to be N x F x D f32 or bf16 with D = 32}}
  %r:3 = peer.mix_grad %x, %i, %w, %p, %dy gelu
     : tensor<?x32xf32>, tensor<?x8x4xi32>, tensor<?x8x4xf32>, tensor<64x2x31xf32>, tensor<?x32xf32>
  return
}

// -----

func.func @mix_grad_c5_pool(%x: tensor<?x32xf32>, %i: tensor<?x8x4xi32>, %w: tensor<?x8x4xf32>, %p: tensor<64x2x32xi8>,
                            %dy: tensor<?x32xf32>) {
  // expected-error @+1 {{'peer.mix_grad' op C5: expected pool to be N x F x D f32 or bf16}}
  %r:3 = peer.mix_grad %x, %i, %w, %p, %dy gelu
     : tensor<?x32xf32>, tensor<?x8x4xi32>, tensor<?x8x4xf32>, tensor<64x2x32xi8>, tensor<?x32xf32>
  return
}

// -----

func.func @mix_grad_c6_dy(%x: tensor<?x32xf32>, %i: tensor<?x8x4xi32>, %w: tensor<?x8x4xf32>, %p: tensor<64x2x32xf32>,
                          %dy: tensor<?x31xf32>) {
  // expected-error @+1 {{'peer.mix_grad' op C6: expected dy to be T x D f32 with D = 32}}
  %r:3 = peer.mix_grad %x, %i, %w, %p, %dy gelu
     : tensor<?x32xf32>, tensor<?x8x4xi32>, tensor<?x8x4xf32>, tensor<64x2x32xf32>, tensor<?x31xf32>
  return
}

// -----

func.func @sort_pairs_c1_idx(%i: tensor<?x?x4xi32>) {
  // expected-error @+1 {{'peer.sort_pairs' op C1: expected idx to be T x H x K i32 with static H}}
  %r:3 = peer.sort_pairs %i experts 64 : tensor<?x?x4xi32>
  return
}

// -----

func.func @sort_pairs_c2_experts(%i: tensor<?x8x4xi32>) {
  // expected-error @+1 {{'peer.sort_pairs' op C2: expected at least 1 expert and ids that fit in i32, got 0}}
  %r:3 = peer.sort_pairs %i experts 0 : tensor<?x8x4xi32>
  return
}

// -----

func.func @sort_pairs_c2_ids(%i: tensor<?x8x4xi32>) {
  // expected-error @+1 {{'peer.sort_pairs' op C2: expected at least 1 expert and ids that fit in i32, got 2147483648}}
  %r:3 = peer.sort_pairs %i experts 2147483648 : tensor<?x8x4xi32>
  return
}

// -----

func.func @sort_pairs_c2_pairs(%i: tensor<65536x256x128xi32>) {
  // expected-error @+1 {{'peer.sort_pairs' op C2: expected pair numbers to fit in i32, got 2147483648 pairs}}
  %r:3 = peer.sort_pairs %i experts 64 : tensor<65536x256x128xi32>
  return
}

// -----

func.func @sort_pairs_c2_overflow(%i: tensor<9223372036854775807x9223372036854775807x2xi32>) {
  // expected-error @+1 {{'peer.sort_pairs' op C2: expected pair numbers to fit in i32, got 9223372036854775807 pairs}}
  %r:3 = peer.sort_pairs %i experts 64 : tensor<9223372036854775807x9223372036854775807x2xi32>
  return
}

// -----

func.func @pool_grad_c1_idx(%i: tensor<?x8x4xf32>, %o: tensor<?xi32>, %s: tensor<?xi32>, %c: tensor<2xi32>,
                            %f: tensor<?x8x4x1x2xf32>, %x: tensor<?x32xf32>, %dy: tensor<?x32xf32>) {
  // expected-error @+1 {{'peer.pool_grad' op C1: expected idx to be T x H x K i32}}
  %r = peer.pool_grad %i, %o, %s, %c, %f, %x, %dy {rows = 64 : i64}
     : tensor<?x8x4xf32>, tensor<?xi32>, tensor<?xi32>, tensor<2xi32>, tensor<?x8x4x1x2xf32>, tensor<?x32xf32>, tensor<?x32xf32>
  return
}

// -----

func.func @pool_grad_c1_starts(%i: tensor<?x8x4xi32>, %o: tensor<?xi32>, %s: tensor<?xf32>, %c: tensor<2xi32>,
                               %f: tensor<?x8x4x1x2xf32>, %x: tensor<?x32xf32>, %dy: tensor<?x32xf32>) {
  // expected-error @+1 {{'peer.pool_grad' op C1: expected starts to be R i32}}
  %r = peer.pool_grad %i, %o, %s, %c, %f, %x, %dy {rows = 64 : i64}
     : tensor<?x8x4xi32>, tensor<?xi32>, tensor<?xf32>, tensor<2xi32>, tensor<?x8x4x1x2xf32>, tensor<?x32xf32>, tensor<?x32xf32>
  return
}

// -----

func.func @pool_grad_c1_pairs(%i: tensor<3x8x4xi32>, %o: tensor<95xi32>, %s: tensor<95xi32>, %c: tensor<2xi32>,
                              %f: tensor<?x8x4x1x2xf32>, %x: tensor<?x32xf32>, %dy: tensor<?x32xf32>) {
  // expected-error @+1 {{'peer.pool_grad' op C1: expected order and starts of T*H*K = 96 entries, got 95}}
  %r = peer.pool_grad %i, %o, %s, %c, %f, %x, %dy {rows = 64 : i64}
     : tensor<3x8x4xi32>, tensor<95xi32>, tensor<95xi32>, tensor<2xi32>, tensor<?x8x4x1x2xf32>, tensor<?x32xf32>, tensor<?x32xf32>
  return
}

// -----

func.func @pool_grad_c1_count(%i: tensor<?x8x4xi32>, %o: tensor<?xi32>, %s: tensor<?xi32>, %c: tensor<3xi32>,
                              %f: tensor<?x8x4x1x2xf32>, %x: tensor<?x32xf32>, %dy: tensor<?x32xf32>) {
  // expected-error @+1 {{'peer.pool_grad' op C1: expected count to be 2 i32, got tensor<3xi32>}}
  %r = peer.pool_grad %i, %o, %s, %c, %f, %x, %dy {rows = 64 : i64}
     : tensor<?x8x4xi32>, tensor<?xi32>, tensor<?xi32>, tensor<3xi32>, tensor<?x8x4x1x2xf32>, tensor<?x32xf32>, tensor<?x32xf32>
  return
}

// -----

func.func @pool_grad_c1_coef(%i: tensor<?x8x4xi32>, %o: tensor<?xi32>, %s: tensor<?xi32>, %c: tensor<2xi32>,
                             %f: tensor<?x8x4x2xf32>, %x: tensor<?x32xf32>, %dy: tensor<?x32xf32>) {
  // expected-error @+1 {{'peer.pool_grad' op C1: expected coef to be T x H x K x r x F f32}}
  %r = peer.pool_grad %i, %o, %s, %c, %f, %x, %dy {rows = 64 : i64}
     : tensor<?x8x4xi32>, tensor<?xi32>, tensor<?xi32>, tensor<2xi32>, tensor<?x8x4x2xf32>, tensor<?x32xf32>, tensor<?x32xf32>
  return
}

// -----

func.func @pool_grad_c1_vectors(%i: tensor<?x8x4xi32>, %o: tensor<?xi32>, %s: tensor<?xi32>, %c: tensor<2xi32>,
                                %f: tensor<?x8x4x1x4xf32>, %x: tensor<?x32xf32>, %dy: tensor<?x32xf32>) {
  // expected-error @+1 {{'peer.pool_grad' op C1: expected F = 1, 2 or 3 vectors per pool row, got 4}}
  %r = peer.pool_grad %i, %o, %s, %c, %f, %x, %dy {rows = 64 : i64}
     : tensor<?x8x4xi32>, tensor<?xi32>, tensor<?xi32>, tensor<2xi32>, tensor<?x8x4x1x4xf32>, tensor<?x32xf32>, tensor<?x32xf32>
  return
}

// -----

func.func @pool_grad_c1_dy(%i: tensor<?x8x4xi32>, %o: tensor<?xi32>, %s: tensor<?xi32>, %c: tensor<2xi32>,
                           %f: tensor<?x8x4x1x2xf32>, %x: tensor<?x32xf32>, %dy: tensor<?x8xf32>) {
  // expected-error @+1 {{'peer.pool_grad' op C1: expected dy to be T x D f32 with D = 32}}
  %r = peer.pool_grad %i, %o, %s, %c, %f, %x, %dy {rows = 64 : i64}
     : tensor<?x8x4xi32>, tensor<?xi32>, tensor<?xi32>, tensor<2xi32>, tensor<?x8x4x1x2xf32>, tensor<?x32xf32>, tensor<?x8xf32>
  return
}

// -----

func.func @pool_grad_c2_rows(%i: tensor<?x8x4xi32>, %o: tensor<?xi32>, %s: tensor<?xi32>, %c: tensor<2xi32>,
                             %f: tensor<?x8x4x3x2xf32>, %x: tensor<?x32xf32>, %dy: tensor<?x32xf32>) {
  // expected-error @+1 {{'peer.pool_grad' op C2: expected rows per expert, 3, to divide rows, 64}}
  %r = peer.pool_grad %i, %o, %s, %c, %f, %x, %dy {rows = 64 : i64}
     : tensor<?x8x4xi32>, tensor<?xi32>, tensor<?xi32>, tensor<2xi32>, tensor<?x8x4x3x2xf32>, tensor<?x32xf32>, tensor<?x32xf32>
  return
}

// -----

func.func @pool_grad_c2_no_rows(%i: tensor<?x8x4xi32>, %o: tensor<?xi32>, %s: tensor<?xi32>, %c: tensor<2xi32>,
                                %f: tensor<?x8x4x1x2xf32>, %x: tensor<?x32xf32>, %dy: tensor<?x32xf32>) {
  // expected-error @+1 {{'peer.pool_grad' op C2: expected rows per expert, 1, to divide rows, 0}}
  %r = peer.pool_grad %i, %o, %s, %c, %f, %x, %dy {rows = 0 : i64}
     : tensor<?x8x4xi32>, tensor<?xi32>, tensor<?xi32>, tensor<2xi32>, tensor<?x8x4x1x2xf32>, tensor<?x32xf32>, tensor<?x32xf32>
  return
}

// -----

func.func @pool_grad_norm_c1_order(%i: tensor<?x8x4xi32>, %o: tensor<4x4xi32>, %s: tensor<?xi32>, %c: tensor<2xi32>,
                                   %f: tensor<?x8x4x1x2xf32>, %x: tensor<?x32xf32>, %dy: tensor<?x32xf32>) {
  // expected-error @+1 {{'peer.pool_grad_norm' op C1: expected order to be R i32}}
  %r = peer.pool_grad_norm %i, %o, %s, %c, %f, %x, %dy
     : tensor<?x8x4xi32>, tensor<4x4xi32>, tensor<?xi32>, tensor<2xi32>, tensor<?x8x4x1x2xf32>, tensor<?x32xf32>, tensor<?x32xf32>
  return
}
