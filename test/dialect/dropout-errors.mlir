// RUN: %peer-pass %s -split-input-file -verify-diagnostics

// One case per constraint of dropout, named after it, and what a slice may be of.

func.func @dropout_c1_type(%x: tensor<?x4xbf16>) {
  // expected-error @+1 {{'peer.dropout' op C1: expected x to be f32}}
  %r = peer.dropout %x {rate = 0.1 : f32} : tensor<?x4xbf16>
  return
}

// -----

func.func @dropout_c1_rank(%x: tensor<f32>) {
  // expected-error @+1 {{'peer.dropout' op C1: expected x to have a dimension}}
  %r = peer.dropout %x {rate = 0.1 : f32} : tensor<f32>
  return
}

// -----

func.func @dropout_c2_all(%x: tensor<?x4xf32>) {
  // expected-error @+1 {{'peer.dropout' op C2: expected a rate of at least 0 and below 1, got 1}}
  %r = peer.dropout %x {rate = 1.0 : f32} : tensor<?x4xf32>
  return
}

// -----

func.func @dropout_c2_negative(%x: tensor<?x4xf32>) {
  // expected-error @+1 {{'peer.dropout' op C2: expected a rate of at least 0 and below 1, got -0.25}}
  %r = peer.dropout %x {rate = -0.25 : f32} : tensor<?x4xf32>
  return
}

// -----

func.func @dropout_c2_no_number(%x: tensor<?x4xf32>) {
  // expected-error @+1 {{'peer.dropout' op C2: expected a rate of at least 0 and below 1, got NaN}}
  %r = peer.dropout %x {rate = 0x7FC00000 : f32} : tensor<?x4xf32>
  return
}

// -----

func.func @dropout_c3_seed(%x: tensor<?x4xf32>, %s: tensor<1xi32>) {
  // expected-error @+1 {{'peer.dropout' op C3: expected seed to be of rank 0 i32, got}}
  %r = peer.dropout %x seed %s {rate = 0.1 : f32} : tensor<?x4xf32>, tensor<1xi32>
  return
}

// -----

func.func @dropout_without_rate(%x: tensor<?x4xf32>) {
  // expected-error @+1 {{'peer.dropout' op requires attribute 'rate'}}
  %r = peer.dropout %x : tensor<?x4xf32>
  return
}

// -----

func.func @slice_c1_type(%x: tensor<?x4xi32>) {
  // expected-error @+1 {{'peer.slice' op C1: expected x to be f32 or bf16}}
  %r = peer.slice %x along 1 from 0 size 2 : tensor<?x4xi32>
  return
}
