// RUN: %peer-pass %s | %peer-pass | FileCheck %s
// RUN: %peer-pass %s --mlir-print-op-generic | %peer-pass | FileCheck %s

// A value is named after the last part of the parameter's name.
// CHECK-LABEL: func.func @params(
func.func @params() {
  // CHECK: %weight = peer.param "query.weight" normal(2.000000e-02) : tensor<4x8xf32>
  %0 = peer.param "query.weight" normal(0.02) : tensor<4x8xf32>
  // CHECK: peer.param "a" normal(1.000000e+00) : tensor<4xbf16>
  %1 = peer.param "a" normal(1) : tensor<4xbf16>
  // CHECK: peer.param "b" uniform(-1.000000e-01, 1.000000e-01) : tensor<4xf32>
  %2 = peer.param "b" uniform(-0.1, 0.1) : tensor<4xf32>
  // CHECK: peer.param "c" uniform(-1.000000e+00, 2.000000e+00) : tensor<4xf32>
  %3 = peer.param "c" uniform(-1, 2) : tensor<4xf32>
  // CHECK: peer.param "d" constant(-2.500000e+00) : tensor<f32>
  %4 = peer.param "d" constant(-2.5) : tensor<f32>
  // CHECK: peer.param "e" zeros : tensor<4xf32>
  %5 = peer.param "e" constant(0) : tensor<4xf32>
  // CHECK: peer.param "f" ones : tensor<4xf32>
  %6 = peer.param "f" ones : tensor<4xf32>
  // CHECK: peer.param "g" zeros buffer : tensor<4xf32>
  %7 = peer.param "g" zeros buffer : tensor<4xf32>
  // CHECK: %experts = peer.param "experts" normal(2.000000e-02) group("experts") : tensor<64x2x8xf32>
  %8 = peer.param "experts" normal(0.02) group("experts") : tensor<64x2x8xf32>
  // CHECK: peer.param "h" zeros group("statistics") buffer : tensor<4xf32>
  %9 = peer.param "h" zeros group("statistics") buffer : tensor<4xf32>
  // CHECK: peer.param "i" normal(2.000000e-02) frozen : tensor<4xf32>
  %10 = peer.param "i" normal(0.02) frozen : tensor<4xf32>
  // CHECK: peer.param "j" zeros group("experts") frozen : tensor<4xbf16>
  %11 = peer.param "j" zeros group("experts") frozen : tensor<4xbf16>
  return
}

func.func private @block(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  return %x : tensor<?x8xf32>
}

// CHECK-LABEL: func.func @logits(
func.func @logits(%t: tensor<?xi32>) -> tensor<?x8xf32> {
  %table = peer.param "table" zeros : tensor<16x8xf32>
  %0 = peer.embedding %t, %table : tensor<?xi32>, tensor<16x8xf32>
  // CHECK: peer.call "first" @block(%{{.*}}) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %1 = peer.call "first" @block(%0) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  // CHECK: peer.repeat "blocks" 6 @block(%{{.*}}) : tensor<?x8xf32>
  %2 = peer.repeat "blocks" 6 @block(%1) : tensor<?x8xf32>
  // CHECK: peer.repeat "blocks" 2 from 6 @block(%{{.*}}) : tensor<?x8xf32>
  %3 = peer.repeat "blocks" 2 from 6 @block(%2) : tensor<?x8xf32>
  return %3 : tensor<?x8xf32>
}

func.func @loss(%t: tensor<?xi32>, %targets: tensor<?xi32>) -> tensor<f32> {
  %l = peer.call "" @logits(%t) : (tensor<?xi32>) -> tensor<?x8xf32>
  %c = peer.cross_entropy %l, %targets : tensor<?x8xf32>, tensor<?xi32>
  %m = peer.mean %c : tensor<?xf32>
  return %m : tensor<f32>
}

// CHECK: peer.gradient @block_grad of @block{{$}}
peer.gradient @block_grad of @block
// CHECK: peer.gradient @block_dx of @block wrt [0] {parameters = false}
peer.gradient @block_dx of @block wrt [0] {parameters = false}
// CHECK: peer.gradient @block_backward of @block {rows, saved = @block_forward}
peer.gradient @block_backward of @block {saved = @block_forward, rows}
// CHECK: peer.update_rows @experts_update norm @experts_norm of "experts" {optimizer = #peer.sgd<{{.*}}, lazy = true>}
peer.update_rows @experts_update norm @experts_norm of "experts" {optimizer = #peer.sgd<lazy>}
// CHECK: peer.update_rows @other_update of "experts" {optimizer = #peer.adamw<{{.*}}, lazy = true>}
peer.update_rows @other_update of "experts" {optimizer = #peer.adamw<lazy>}
// CHECK: peer.train @train_step of @loss {groups = {experts = #peer.adamw<{{.*}}, lazy = true>, other = #peer.sgd<{{.*}}, lazy = false>}, optimizer = #peer.adamw<{{.*}}, clip_norm = 1.000000e+00, lazy = false>}
peer.train @train_step of @loss {optimizer = #peer.adamw<clip_norm = 1>,
                                 groups = {experts = #peer.adamw<lazy>, other = #peer.sgd}}
// CHECK: peer.decode @decode prefill @prefill of @logits
peer.decode @decode prefill @prefill of @logits

// CHECK-LABEL: func.func @marks(
func.func @marks() {
  // CHECK: peer.mark 0 "score" bytes [10, 20] flops [0, 512]
  peer.mark 0 "score" bytes [10, 20] flops [0, 512]
  // CHECK: peer.mark -1 "" bytes [0, 0] flops [0, 0]
  peer.mark -1 "" bytes [0, 0] flops [0, 0]
  return
}
