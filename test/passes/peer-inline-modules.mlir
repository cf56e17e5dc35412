// RUN: %peer-pass %s --peer-inline-modules --split-input-file | FileCheck %s

// Names are the prefixes of the calls and the parameter's own, joined by dots; an empty prefix adds nothing. The private
// function is gone.
// CHECK-LABEL: func.func @nested(
// CHECK-SAME:    %[[X:.*]]: tensor<?x8xf32> {bufferization.writable = false, peer.name = "x", peer.role = "input"}
// CHECK-SAME:    %[[A:.*]]: tensor<8x8xf32> {bufferization.writable = false, peer.name = "blocks.0.ffw.weight", peer.parameter = #peer.parameter<"blocks.0.ffw.weight", <normal(2.000000e-02)>, "default", true>, peer.role = "parameter"}
// CHECK-SAME:    %[[B:.*]]: tensor<8x8xf32> {{{.*}}peer.name = "weight"
// CHECK-SAME:    -> (tensor<?x8xf32> {peer.name = "y"}) attributes {peer.kind = "forward"}
// CHECK:         %[[H:.*]] = peer.linear %[[X]], %[[A]]
// CHECK:         %[[Y:.*]] = peer.linear %[[H]], %[[B]]
// CHECK:         return %[[Y]]
// CHECK-NOT:   func.func private
func.func private @ffw(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %w = peer.param "weight" normal(0.02) : tensor<8x8xf32>
  %y = peer.linear %x, %w : tensor<?x8xf32>, tensor<8x8xf32>
  return %y : tensor<?x8xf32>
}
func.func private @block(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %y = peer.call "ffw" @ffw(%x) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
func.func @nested(%x: tensor<?x8xf32> {peer.name = "x"}) -> (tensor<?x8xf32> {peer.name = "y"}) {
  %h = peer.call "blocks.0" @block(%x) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %y = peer.call "" @ffw(%h) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// Block i of a repeat has the prefix `blocks.i`; a count of 0 passes its inputs on.
// CHECK-LABEL: func.func @repeated(
// CHECK-SAME:    peer.name = "arg0"
// CHECK-SAME:    peer.name = "blocks.3.gain", peer.parameter = #peer.parameter<"blocks.3.gain", <ones>, "default", true>
// CHECK-SAME:    peer.name = "blocks.4.gain"
// CHECK-SAME:    -> (tensor<?x8xf32> {peer.name = "result0"})
// CHECK-COUNT-2: peer.rms_norm
// CHECK-NOT:     peer.rms_norm
func.func private @norm(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %g = peer.param "gain" ones : tensor<8xf32>
  %y = peer.rms_norm %x, %g : tensor<?x8xf32>, tensor<8xf32>
  return %y : tensor<?x8xf32>
}
func.func @repeated(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %0 = peer.repeat "none" 0 @norm(%x) : tensor<?x8xf32>
  %1 = peer.repeat "blocks" 2 from 3 @norm(%0) : tensor<?x8xf32>
  return %1 : tensor<?x8xf32>
}

// -----

// A name used twice is one argument. A buffer is not trainable, nor is what is frozen. Groups are kept.
// CHECK-LABEL: func.func @shared(
// CHECK-SAME:    %[[X:[a-z0-9]+]]: tensor<?x8xf32>
// CHECK-SAME:    %[[W:[a-z0-9]+]]: tensor<8x8xf32> {{{[^}]*}}#peer.parameter<"w", <zeros>, "tables", true>
// CHECK-SAME:    %[[R:[a-z0-9]+]]: tensor<8xf32> {{{[^}]*}}#peer.parameter<"r", <constant(2.000000e+00)>, "default", false>, peer.role = "parameter"}
// CHECK-SAME:    %[[F:[a-z0-9]+]]: tensor<8xf32> {{{[^}]*}}#peer.parameter<"f", <ones>, "default", false, frozen = true>, peer.role = "parameter"}) -> (
// CHECK:         %[[Y:.*]] = peer.linear %[[X]], %[[W]]
// CHECK:         peer.linear %[[Y]], %[[W]]
// CHECK:         peer.rms_norm %{{.*}}, %[[R]]
// CHECK:         peer.rms_norm %{{.*}}, %[[F]]
func.func @shared(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %w0 = peer.param "w" zeros group("tables") : tensor<8x8xf32>
  %w1 = peer.param "w" zeros group("tables") : tensor<8x8xf32>
  %r = peer.param "r" constant(2.0) buffer : tensor<8xf32>
  %0 = peer.linear %x, %w0 : tensor<?x8xf32>, tensor<8x8xf32>
  %1 = peer.linear %0, %w1 : tensor<?x8xf32>, tensor<8x8xf32>
  %2 = peer.rms_norm %1, %r : tensor<?x8xf32>, tensor<8xf32>
  %f = peer.param "f" ones frozen : tensor<8xf32>
  %3 = peer.rms_norm %2, %f : tensor<?x8xf32>, tensor<8xf32>
  return %3 : tensor<?x8xf32>
}

// -----

// An entry may call an entry, whichever comes first; the trained one is a loss. Ranges and the granularity of the
// token dimension are read off the body.
// CHECK-LABEL: func.func @loss(
// CHECK-SAME:    peer.name = "tokens", peer.range = [0, 50], peer.role = "input"
// CHECK-SAME:    peer.name = "targets", peer.range = [0, 50], peer.role = "input"
// CHECK-SAME:    peer.name = "table"
// CHECK-SAME:    attributes {peer.kind = "loss", peer.multiple_of = 12 : i64}
// CHECK-LABEL: func.func @logits(
// CHECK-SAME:    attributes {peer.kind = "forward", peer.multiple_of = 12 : i64}
// CHECK:       peer.train
func.func @loss(%tokens: tensor<?xi32> {peer.name = "tokens"}, %targets: tensor<?xi32> {peer.name = "targets"})
    -> (tensor<f32> {peer.name = "loss"}) {
  %y = peer.call "" @logits(%tokens) : (tensor<?xi32>) -> tensor<?x50xf32>
  %l = peer.cross_entropy %y, %targets : tensor<?x50xf32>, tensor<?xi32>
  %m = peer.mean %l : tensor<?xf32>
  return %m : tensor<f32>
}
func.func @logits(%tokens: tensor<?xi32> {peer.name = "tokens"}) -> tensor<?x50xf32> {
  %t = peer.param "table" normal(0.02) : tensor<50x8xf32>
  %x = peer.embedding %tokens, %t : tensor<?xi32>, tensor<50x8xf32>
  %a = peer.rotary %x heads 2 context 4 : tensor<?x8xf32>
  %b = peer.rotary %a heads 2 context 6 : tensor<?x8xf32>
  %y = peer.linear %b, %t {transpose_weight} : tensor<?x8xf32>, tensor<50x8xf32>
  return %y : tensor<?x50xf32>
}
peer.train @train_step of @loss {optimizer = #peer.sgd}

// -----

// Quantized rows are not trainable. What a description calls a loss is one, though nothing trains it.
// CHECK-LABEL: func.func @quantized(
// CHECK-SAME:    #peer.parameter<"experts", <zeros>, "default", false>
// CHECK-SAME:    #peer.parameter<"experts.scale", <zeros>, "default", true>
// CHECK-SAME:    attributes {peer.kind = "loss"}
func.func @quantized(%x: tensor<?x8xf32>, %i: tensor<?x1x2xi32>, %w: tensor<?x1x2xf32>) -> tensor<?x8xf32>
    attributes {peer.kind = "loss"} {
  %p = peer.param "experts" zeros : tensor<16x2x8xi8>
  %s = peer.param "experts.scale" zeros : tensor<16x2xf32>
  %y = peer.quantized_mix %x, %i, %w, %p, %s gelu
     : tensor<?x8xf32>, tensor<?x1x2xi32>, tensor<?x1x2xf32>, tensor<16x2x8xi8>, tensor<16x2xf32>
  return %y : tensor<?x8xf32>
}
