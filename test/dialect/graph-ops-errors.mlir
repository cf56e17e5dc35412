// RUN: %peer-pass %s -split-input-file -verify-diagnostics

// C0, which all graph ops share: either tensors or buffers, and a destination for each result that is not tied.
func.func @c0_mixed(%x: tensor<4x8xf32>, %o: memref<4x8xf32>) {
  // expected-error @+1 {{'peer.activation' op C0: expected either tensors or buffers, got both}}
  peer.activation %x gelu outs(%o : memref<4x8xf32>) : tensor<4x8xf32>
  return
}

// -----

func.func @c0_no_destination(%x: memref<4x8xf32>) {
  // expected-error @+1 {{'peer.activation' op C0: expected 1 destinations, got 0}}
  peer.activation %x gelu : memref<4x8xf32>
  return
}

// -----

func.func @c0_one_destination_of_two(%s: tensor<4x2x1x8xf32>, %i: tensor<4x2x2xi32>) {
  // expected-error @+1 {{'peer.select' op C0: expected 2 destinations, got 1}}
  %r:2 = peer.select %s topk<2> outs(%i : tensor<4x2x2xi32>) : tensor<4x2x1x8xf32>
  return
}

// -----

// The histogram is updated in place; there is nothing else to write to.
func.func @c0_destination_of_tied(%i: tensor<4x2x2xi32>, %w: tensor<4x2x2xf32>, %m: tensor<8xf32>) {
  // expected-error @+1 {{'peer.usage' op C0: expected 0 destinations, got 1}}
  %r = peer.usage %i, %w, %m outs(%m : tensor<8xf32>) : tensor<4x2x2xi32>, tensor<4x2x2xf32>, tensor<8xf32>
  return
}

// -----

func.func @c0_shape(%x: memref<4x8xf32>, %o: memref<4x7xf32>) {
  // expected-error @+1 {{'peer.activation' op C0: expected a destination for tensor<4x8xf32>, got tensor<4x7xf32>}}
  peer.activation %x gelu outs(%o : memref<4x7xf32>) : memref<4x8xf32>
  return
}

// -----

func.func @c0_type(%x: tensor<4x8xf32>, %o: tensor<4x8xi8>) {
  // expected-error @+1 {{'peer.activation' op C0: expected a destination for tensor<4x8xf32>, got tensor<4x8xi8>}}
  %r = peer.activation %x gelu outs(%o : tensor<4x8xi8>) : tensor<4x8xf32>
  return
}

// -----

// What follows is malformed, and must end in an error too.
func.func @no_tensor(%x: f32, %y: index) {
  // expected-error @+1 {{'peer.linear' op operand #0 must be a ranked tensor or strided buffer, but got 'f32'}}
  %r = peer.linear %x, %y : f32, index
  return
}

// -----

func.func @no_rank(%x: tensor<*xf32>) {
  // expected-error @+1 {{'peer.activation' op operand #0 must be a ranked tensor or strided buffer, but got 'tensor<*xf32>'}}
  %r = peer.activation %x gelu : tensor<*xf32>
  return
}

// -----

func.func @no_strides(%x: memref<4x8xf32, affine_map<(i, j) -> (j floordiv 2, i)>>) {
  // expected-error @+1 {{'peer.activation' op operand #0 must be a ranked tensor or strided buffer}}
  peer.activation %x gelu outs(%x : memref<4x8xf32, affine_map<(i, j) -> (j floordiv 2, i)>>)
    : memref<4x8xf32, affine_map<(i, j) -> (j floordiv 2, i)>>
  return
}

// -----

func.func @too_few_operands(%x: tensor<4x8xf32>) {
  // expected-error @+1 {{'peer.rms_norm_grad' op expected 3 or more operands, but found 1}}
  %r:2 = peer.rms_norm_grad %x {epsilon = 1.0 : f32} : tensor<4x8xf32>
  return
}

// -----

func.func @no_operands() {
  // expected-error @+1 {{'peer.sum_squares' op expected 1 or more operands, but found 0}}
  "peer.sum_squares"() : () -> tensor<f32>
  return
}

// -----

func.func @too_few_generic(%x: tensor<4x8xf32>) {
  // expected-error @+1 {{'peer.score' op expected 2 or more operands, but found 1}}
  %r = "peer.score"(%x) : (tensor<4x8xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @no_attribute(%x: tensor<4x8xf32>) {
  // expected-error @+1 {{'peer.rms_norm_grad' op requires attribute 'epsilon'}}
  %r:2 = peer.rms_norm_grad %x, %x, %x : tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>
  return
}

// -----

func.func @no_attribute_generic(%x: tensor<4x2x1x8xf32>) {
  // expected-error @+1 {{'peer.select' op requires attribute 'policy'}}
  %r:2 = "peer.select"(%x) {operandSegmentSizes = array<i32: 1, 0, 0>} : (tensor<4x2x1x8xf32>) -> (tensor<4x2x2xi32>, tensor<4x2x2xf32>)
  return
}

// -----

func.func @attribute_type(%x: tensor<4x8xf32>, %w: tensor<8xf32>) {
  // expected-error @+1 {{'peer.rms_norm' op attribute 'epsilon' failed to satisfy constraint: a number with its type, such as 1.0e-6 : f32}}
  %r = peer.rms_norm %x, %w {epsilon = 3 : i32} : tensor<4x8xf32>, tensor<8xf32>
  return
}

// -----

func.func @result_type(%x: tensor<4x8xf32>) {
  // expected-error @+2 {{'peer.activation' op failed to infer returned types}}
  // expected-error @+1 {{'peer.activation' op inferred type(s) 'tensor<4x8xf32>' are incompatible with return type(s) of operation 'tensor<4x9xf32>'}}
  %r = "peer.activation"(%x) {kind = #peer<activation_kind gelu>} : (tensor<4x8xf32>) -> tensor<4x9xf32>
  return
}

// -----

func.func @result_of_buffers(%x: memref<4x8xf32>) {
  // expected-error @+2 {{'peer.activation' op failed to infer returned types}}
  // expected-error @+1 {{'peer.activation' op inferred type(s)  are incompatible with return type(s) of operation 'tensor<4x8xf32>'}}
  %r = "peer.activation"(%x, %x) {kind = #peer<activation_kind gelu>} : (memref<4x8xf32>, memref<4x8xf32>) -> tensor<4x8xf32>
  return
}
