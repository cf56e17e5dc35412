// RUN: %peer-pass %s -split-input-file -verify-diagnostics

// One case per constraint of the tensor ops and of what linear takes beside the product, named after it.

func.func @softmax_c1_type(%x: tensor<?x4xbf16>) {
  // expected-error @+1 {{'peer.softmax' op C1: expected x to be f32}}
  %r = peer.softmax %x : tensor<?x4xbf16>
  return
}

// -----

func.func @softmax_c1_last(%x: tensor<?xf32>) {
  // expected-error @+1 {{'peer.softmax' op C1: expected x to have a last dimension whose size is a number}}
  %r = peer.softmax %x : tensor<?xf32>
  return
}

// -----

func.func @broadcast_c1_type(%x: tensor<4xf16>, %l: tensor<?x4xf32>) {
  // expected-error @+1 {{'peer.broadcast' op C1: expected x to be f32}}
  %r = peer.broadcast %x like %l along [0] : tensor<4xf16>, tensor<?x4xf32>
  return
}

// -----

func.func @broadcast_c2_dims(%x: tensor<4xf32>, %l: tensor<?x4xf32>) {
  // expected-error @+1 {{'peer.broadcast' op C2: expected dimensions of like, below 2, in order and each once}}
  %r = peer.broadcast %x like %l along [2] : tensor<4xf32>, tensor<?x4xf32>
  return
}

// -----

func.func @broadcast_c2_sizes(%x: tensor<4xf32>, %l: tensor<?x4xf32>) {
  // expected-error @+1 {{'peer.broadcast' op C2: expected x to have the other dimensions of like, as tensor<?xf32>, got tensor<4xf32>}}
  %r = peer.broadcast %x like %l along [1] : tensor<4xf32>, tensor<?x4xf32>
  return
}

// -----

func.func @reduce_c1_type(%x: tensor<?x4xi32>) {
  // expected-error @+1 {{'peer.reduce' op C1: expected x to be f32}}
  %r = peer.reduce sum %x along [1] : tensor<?x4xi32>
  return
}

// -----

func.func @reduce_c2_order(%x: tensor<?x4x5xf32>) {
  // expected-error @+1 {{'peer.reduce' op C2: expected dimensions of x, below 3, in order and each once}}
  %r = peer.reduce sum %x along [2, 1] : tensor<?x4x5xf32>
  return
}

// -----

func.func @reduce_c2_none(%x: tensor<?x4x5xf32>) {
  // expected-error @+1 {{'peer.reduce' op C2: expected dimensions of x, below 3, in order and each once}}
  %r = peer.reduce sum %x along [] : tensor<?x4x5xf32>
  return
}

// -----

func.func @reduce_c3(%x: tensor<?x4xf32>) {
  // expected-error @+1 {{'peer.reduce' op C3: expected dimensions whose sizes are numbers; over '?' there is sum, and peer.mean of a vector}}
  %r = peer.reduce max %x along [0] : tensor<?x4xf32>
  return
}

// -----

func.func @reduce_kind(%x: tensor<?x4xf32>) {
  // expected-error @+1 {{unknown keyword 'maximum'; known are sum, mean and max}}
  %r = peer.reduce maximum %x along [1] : tensor<?x4xf32>
  return
}

// -----

func.func @slice_c1_dim(%x: tensor<?x4xf32>) {
  // expected-error @+1 {{'peer.slice' op C1: expected a dimension of 2, counted from 0, got 2}}
  %r = peer.slice %x along 2 from 0 size 1 : tensor<?x4xf32>
  return
}

// -----

func.func @slice_c1_dynamic(%x: tensor<?x4xf32>) {
  // expected-error @+1 {{'peer.slice' op C1: expected a dimension whose size is a number, but dimension 0 is '?'}}
  %r = peer.slice %x along 0 from 0 size 1 : tensor<?x4xf32>
  return
}

// -----

func.func @slice_c2(%x: tensor<?x4xf32>) {
  // expected-error @+1 {{'peer.slice' op C2: expected a part of dimension 1, which has 4 elements, got 3 from 2}}
  %r = peer.slice %x along 1 from 2 size 3 : tensor<?x4xf32>
  return
}

// -----

func.func @slice_c2_overflow(%x: tensor<?x4xf32>) {
  // expected-error @+1 {{'peer.slice' op C2: expected a part of dimension 1, which has 4 elements, got 9223372036854775807 from 2}}
  %r = peer.slice %x along 1 from 2 size 9223372036854775807 : tensor<?x4xf32>
  return
}

// -----

func.func @pad_c1(%x: tensor<?x4xf32>) {
  // expected-error @+1 {{'peer.pad' op C1: expected a dimension whose size is a number, but dimension 0 is '?'}}
  %r = peer.pad %x along 0 low 1 high 1 : tensor<?x4xf32>
  return
}

// -----

func.func @pad_c2(%x: tensor<?x4xf32>) {
  // expected-error @+1 {{'peer.pad' op C2: expected 0 to 2^40 zeros on each side, got -1 and 1}}
  %r = peer.pad %x along 1 low -1 high 1 : tensor<?x4xf32>
  return
}

// -----

func.func @concat_c1_rank(%x: tensor<?x4xf32>, %y: tensor<4xf32>) {
  // expected-error @+1 {{'peer.concat' op C1: expected parts of one rank}}
  %r = peer.concat %x, %y along 1 : tensor<?x4xf32>, tensor<4xf32>
  return
}

// -----

func.func @concat_c2_dim(%x: tensor<?x4xf32>) {
  // expected-error @+1 {{'peer.concat' op C2: expected a dimension whose size is a number, but dimension 0 is '?'}}
  %r = peer.concat %x, %x along 0 : tensor<?x4xf32>, tensor<?x4xf32>
  return
}

// -----

func.func @concat_c2_sizes(%x: tensor<3x4xf32>, %y: tensor<2x4xf32>) {
  // expected-error @+1 {{'peer.concat' op C2: expected parts of equal sizes in dimension 0}}
  %r = peer.concat %x, %y along 1 : tensor<3x4xf32>, tensor<2x4xf32>
  return
}

// -----

func.func @transpose_c1(%x: tensor<3x4xi32>) {
  // expected-error @+1 {{'peer.transpose' op C1: expected x to be f32}}
  %r = peer.transpose %x [1, 0] : tensor<3x4xi32>
  return
}

// -----

func.func @transpose_c2(%x: tensor<3x4xf32>) {
  // expected-error @+1 {{'peer.transpose' op C2: expected each of the 2 dimensions of x once}}
  %r = peer.transpose %x [1, 1] : tensor<3x4xf32>
  return
}

// -----

func.func @linear_c3_bias(%x: tensor<?x4xf32>, %w: tensor<4x8xf32>, %b: tensor<4xf32>) {
  // expected-error @+1 {{'peer.linear' op C3: expected a bias of 8 x f32, one for each column}}
  %r = peer.linear %x, %w, %b : tensor<?x4xf32>, tensor<4x8xf32>, tensor<4xf32>
  return
}

// -----

func.func @column_sums_c1(%x: tensor<?xf32>) {
  // expected-error @+1 {{'peer.column_sums' op C1: expected x to be T x D f32, got tensor<?xf32>}}
  %r = peer.column_sums %x : tensor<?xf32>
  return
}
