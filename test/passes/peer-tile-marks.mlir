// RUN: peer-opt %s --peer-tile --split-input-file | FileCheck %s

// Bytes and operations are [constant, per token]. A product: the weight is read once, x and y grow with T. No sizes, no
// loop; the mark stands all the same.
// CHECK-LABEL: func.func @linear(
// CHECK-NEXT:  peer.mark 0 "linear" bytes [1024, 128] flops [0, 512]
// CHECK-NEXT:  peer.linear
// CHECK-NEXT:  peer.mark -1 "" bytes [0, 0] flops [0, 0]
// CHECK-NEXT:  return
func.func @linear(%x: tensor<?x16xf32>, %w: tensor<16x16xf32>) -> tensor<?x16xf32> {
  %y = peer.linear %x, %w : tensor<?x16xf32>, tensor<16x16xf32>
  return %y : tensor<?x16xf32>
}

// -----

// A weight's gradient: T is summed over, the result does not grow.
// CHECK-LABEL: func.func @weight_gradient(
// CHECK:       peer.mark 0 "linear" bytes [512, 96] flops [0, 256]
func.func @weight_gradient(%x: tensor<?x8xf32>, %dy: tensor<?x16xf32>) -> tensor<8x16xf32> {
  %dw = peer.linear %x, %dy {transpose_x} : tensor<?x8xf32>, tensor<?x16xf32>
  return %dw : tensor<8x16xf32>
}

// -----

// A token has four rows of 8 after one reshape and half a row of 64 after another; a view has no mark.
// CHECK-LABEL: func.func @rows_per_token(
// CHECK:       peer.reshape
// CHECK-NEXT:  peer.mark 0 "rms_norm" bytes [32, 256]
// CHECK:       peer.reshape
// CHECK-NEXT:  peer.mark 1 "linear" bytes [16384, 256] flops [0, 4096]
func.func @rows_per_token(%x: tensor<?x32xf32>, %g: tensor<8xf32>, %w: tensor<64x64xf32>) -> tensor<?x64xf32> {
  %rows = peer.reshape %x to tensor<?x8xf32> : tensor<?x32xf32>
  %n = peer.rms_norm %rows, %g : tensor<?x8xf32>, tensor<8xf32>
  %long = peer.reshape %n to tensor<?x64xf32> : tensor<?x8xf32>
  %y = peer.linear %long, %w : tensor<?x64xf32>, tensor<64x64xf32>
  return %y : tensor<?x64xf32>
}

// -----

// Of keys that were packed a route reads those, in one of their forms, a byte of each number at least; which others it reads depends on values, and a second reader of the keys reads them all.
// CHECK-LABEL: func.func @route(
// CHECK:       peer.mark 0 "route" bytes [1024, 80]
// CHECK:       peer.mark 1 "score" bytes [4096, 320]
func.func @route(%q: tensor<?x1x1x16xf32> {peer.name = "q", peer.role = "input"},
                 %keys: tensor<1x1x64x16xf32> {peer.name = "keys", peer.role = "parameter"},
                 %packed: tensor<1x1x7232xi8> {peer.name = "keys", peer.role = "derived"})
    -> (tensor<?x1x4xf32>, tensor<?x1x1x64xf32>) {
  %i, %w = peer.route %q, %keys packed(%packed : tensor<1x1x7232xi8>) topk<4> gate softmax
     : tensor<?x1x1x16xf32>, tensor<1x1x64x16xf32>
  %s = peer.score %q, %keys : tensor<?x1x1x16xf32>, tensor<1x1x64x16xf32>
  return %w, %s : tensor<?x1x4xf32>, tensor<?x1x1x64xf32>
}

// -----

// A mix reads the rows it gathers, 2 heads times 2 experts of 2 vectors, not the pool. Static sizes are constants.
// CHECK-LABEL: func.func @mix(
// CHECK:       peer.mark 0 "mix" bytes [0, 352] flops [0, 128]
// CHECK:       peer.mark 1 "mix" bytes [1056, 0] flops [384, 0]
func.func @mix(%x: tensor<?x8xf32>, %i: tensor<?x2x2xi32>, %w: tensor<?x2x2xf32>, %x3: tensor<3x8xf32>,
               %i3: tensor<3x2x2xi32>, %w3: tensor<3x2x2xf32>, %pool: tensor<64x2x8xf32>)
    -> (tensor<?x8xf32>, tensor<3x8xf32>) {
  %y = peer.mix %x, %i, %w, %pool gelu : tensor<?x8xf32>, tensor<?x2x2xi32>, tensor<?x2x2xf32>, tensor<64x2x8xf32>
  %y3 = peer.mix %x3, %i3, %w3, %pool gelu
     : tensor<3x8xf32>, tensor<3x2x2xi32>, tensor<3x2x2xf32>, tensor<64x2x8xf32>
  return %y, %y3 : tensor<?x8xf32>, tensor<3x8xf32>
}

// -----

// Of quantized rows a token reads 2 * 2 * 2 vectors of 8 bytes, and their scales: 352 bytes above become 192.
// CHECK-LABEL: func.func @quantized_mix(
// CHECK:       peer.mark 0 "quantized_mix" bytes [0, 192] flops [0, 128]
func.func @quantized_mix(%x: tensor<?x8xf32>, %i: tensor<?x2x2xi32>, %w: tensor<?x2x2xf32>, %pool: tensor<64x2x8xi8>,
                         %scales: tensor<64x2xf32>) -> tensor<?x8xf32> {
  %y = peer.quantized_mix %x, %i, %w, %pool, %scales gelu
     : tensor<?x8xf32>, tensor<?x2x2xi32>, tensor<?x2x2xf32>, tensor<64x2x8xi8>, tensor<64x2xf32>
  return %y : tensor<?x8xf32>
}

// -----

// What is updated in place is read and written: param, gradient and momentum read (3 * 256), two of them written (2 * 256),
// and three scalars.
// CHECK-LABEL: func.func @update(
// CHECK:       peer.mark 0 "update" bytes [1292, 0]
func.func @update(%p: tensor<64xf32>, %g: tensor<64xf32>, %lr: tensor<f32>, %m: tensor<64xf32>)
    -> (tensor<64xf32>, tensor<64xf32>) {
  %one = arith.constant dense<1.0> : tensor<f32>
  %scale = arith.constant dense<0.5> : tensor<f32>
  %new:2 = peer.update %p, %g, %lr, %one, %scale, %m {optimizer = #peer.sgd<momentum = 0.9>}
     : tensor<64xf32>, tensor<64xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<64xf32>
  return %new#0, %new#1 : tensor<64xf32>, tensor<64xf32>
}
