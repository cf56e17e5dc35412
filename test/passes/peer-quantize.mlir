// RUN: %peer-pass %s --peer-quantize="plan=%t.json" | FileCheck %s
// RUN: FileCheck %s --check-prefix=PLAN --input-file=%t.json
// RUN: %peer-pass %s --peer-quantize="bits=4 tables=dense" | FileCheck %s --check-prefix=DENSE
// RUN: %peer-pass %s --peer-quantize="group=32 tables=experts" | FileCheck %s --check-prefix=EXPERTS
// RUN: %peer-pass %s --peer-quantize="format=fp8 group=32 plan=%t.fp8.json" | FileCheck %s --check-prefix=FP8
// RUN: FileCheck %s --check-prefix=FP8PLAN --input-file=%t.fp8.json
// RUN: not %peer-pass %s --peer-quantize="format=fp8 bits=4" -o /dev/null 2>&1 | FileCheck %s --check-prefix=FP8BITS
// FP8BITS: error: expected bits of 8 where format is fp8, got 4
// RUN: not %peer-pass %s --peer-quantize="format=fp4" -o /dev/null 2>&1 | FileCheck %s --check-prefix=FORMAT
// FORMAT: error: expected format to be int or fp8, got 'fp4'
// RUN: not %peer-pass %s --peer-quantize="bits=5" -o /dev/null 2>&1 | FileCheck %s --check-prefix=BITS
// BITS: error: expected bits of 8 or 4, got 5
// RUN: not %peer-pass %s --peer-quantize="group=48" -o /dev/null 2>&1 | FileCheck %s --check-prefix=GROUP
// GROUP: error: expected group to be a multiple of 32, got 48
// RUN: not %peer-pass %s --peer-quantize="group=96" -o /dev/null 2>&1 | FileCheck %s --check-prefix=WHOLE
// WHOLE: error: expected vectors that are whole multiples of 96 elements, got those of "up" with 64
// RUN: not %peer-pass %s --peer-quantize="tables=some" -o /dev/null 2>&1 | FileCheck %s --check-prefix=TABLES
// TABLES: error: expected tables to be all, experts, dense or embeddings, got 'some'
// RUN: %peer-pass %s --peer-quantize="bits=4 group=32 tables=embeddings" | FileCheck %s --check-prefix=APART
// RUN: not %peer-pass %s --peer-quantize="layers=router" -o /dev/null 2>&1 | FileCheck %s --check-prefix=NONE
// NONE: error: the model has no weight of these names that can be stored in fewer bits

// PLAN:      "blocks.0.up": [
// PLAN-NEXT:   "quantize",
// PLAN-NEXT:   [
// PLAN-NEXT:     "transpose",
// PLAN:        8,
// PLAN-NEXT:   0
// PLAN:      "blocks.1.up.scale": [
// PLAN-NEXT:   "scales",
// PLAN:      "experts": [
// PLAN-NEXT:   "quantize",
// PLAN-NEXT:   [
// PLAN-NEXT:     "tensor",

// A weight of columns gets a row for each output, one of rows stays; the bias is f32.
// CHECK-LABEL: func.func private @block
// CHECK: %[[U:.*]] = peer.param "up" zeros frozen : tensor<96x64xi8>
// CHECK: %[[US:.*]] = peer.param "up.scale" zeros frozen : tensor<96xf32>
// CHECK: %[[B:.*]] = peer.param "bias" zeros : tensor<96xf32>
// CHECK: peer.quantized_linear %{{.*}}, %[[U]], %[[US]], %[[B]] : tensor<?x64xf32>, tensor<96x64xi8>, tensor<96xf32>, tensor<96xf32>
// CHECK: peer.param "down" zeros frozen : tensor<64x96xi8>
// FP8PLAN: "quantize",
// FP8PLAN: "fp8",
// FP8PLAN-NEXT: 32
// FP8: peer.param "up" zeros frozen : tensor<96x64xf8E4M3FN>
// FP8: peer.param "up.scale" zeros frozen : tensor<96x2xf32>
// FP8: peer.quantized_linear {{.*}}, tensor<96x64xf8E4M3FN>, tensor<96x2xf32>
// FP8: peer.quantized_mix {{.*}}, tensor<16x2x64xf8E4M3FN>, tensor<16x2x2xf32>
// DENSE: peer.param "up" zeros frozen : tensor<96x32xi8>
// DENSE: peer.param "up.scale" zeros frozen : tensor<96x2xf32>
// DENSE: peer.param "down" zeros frozen : tensor<64x48xi8>
// DENSE: peer.param "down.scale" zeros frozen : tensor<64x3xf32>
func.func private @block(%x: tensor<?x64xf32>) -> tensor<?x64xf32> {
  %u = peer.param "up" normal(0.2) : tensor<64x96xf32>
  %b = peer.param "bias" zeros : tensor<96xf32>
  %h = peer.linear %x, %u, %b : tensor<?x64xf32>, tensor<64x96xf32>, tensor<96xf32>
  %d = peer.param "down" normal(0.2) : tensor<64x96xf32>
  %y = peer.linear %h, %d {transpose_weight} : tensor<?x96xf32>, tensor<64x96xf32>
  return %y : tensor<?x64xf32>
}
// A table that is a head's weight, too, is stored once for both, and stays where one of them is not meant. What was trained is the loss.
// CHECK-LABEL: func.func @loss
// CHECK-SAME:    attributes {peer.kind = "loss"}
// CHECK: %[[T:.*]] = peer.param "table" zeros frozen : tensor<32x64xi8>
// CHECK: %[[TS:.*]] = peer.param "table.scale" zeros frozen : tensor<32xf32>
// CHECK: %[[N:.*]] = peer.embedding %{{.*}}, %[[T]] : tensor<?xi32>, tensor<32x64xi8>
// CHECK: %[[R:.*]] = peer.reshape %[[TS]] to tensor<32x1xf32>
// CHECK: %[[E:.*]] = peer.embedding %{{.*}}, %[[R]] : tensor<?xi32>, tensor<32x1xf32>
// CHECK: %[[F:.*]] = peer.reshape %[[E]] to tensor<?xf32>
// CHECK: %[[B:.*]] = peer.broadcast %[[F]] like %[[N]] along [1]
// CHECK: arith.mulf %[[N]], %[[B]]
// CHECK: peer.param "experts" zeros frozen : tensor<16x2x64xi8>
// CHECK: peer.quantized_mix {{.*}} gelu {rows_per_expert = 2 : i64} : {{.*}}, tensor<16x2x64xi8>, tensor<16x2xf32>
// CHECK: peer.quantized_linear %{{.*}}, %[[T]], %[[TS]] : tensor<?x64xf32>, tensor<32x64xi8>, tensor<32xf32>
// CHECK-NOT: peer.train
// DENSE: peer.param "table" normal({{.*}}) : tensor<32x64xf32>
// DENSE: peer.param "positions" normal({{.*}}) : tensor<32x64xf32>
// DENSE: peer.mix
// DENSE: peer.linear
// APART: peer.param "table" normal({{.*}}) : tensor<32x64xf32>
// APART: peer.param "positions" zeros frozen : tensor<32x64xi8>
// APART: %[[N:.*]] = peer.embedding {{.*}} : tensor<?xi32>, tensor<32x64xi8>
// APART: %[[E:.*]] = peer.embedding {{.*}} : tensor<?xi32>, tensor<32x2xf32>
// APART: %[[G:.*]] = peer.reshape %[[N]] to tensor<?x2x32xf32>
// APART: %[[B:.*]] = peer.broadcast %[[E]] like %[[G]] along [2]
// APART: %[[Y:.*]] = arith.mulf %[[G]], %[[B]]
// APART: peer.reshape %[[Y]] to tensor<?x64xf32>
// EXPERTS-NOT: peer.quantized_linear
// EXPERTS: peer.quantized_mix {{.*}}, tensor<16x2x64xi8>, tensor<16x2x2xf32>
func.func private @loss(%t: tensor<?xi32>, %g: tensor<?xi32>) -> tensor<f32> {
  %e = peer.param "table" normal(0.2) : tensor<32x64xf32>
  %x0 = peer.embedding %t, %e : tensor<?xi32>, tensor<32x64xf32>
  %o = peer.param "positions" normal(0.2) : tensor<32x64xf32>
  %x1 = peer.embedding %t, %o : tensor<?xi32>, tensor<32x64xf32>
  %x = arith.addf %x0, %x1 : tensor<?x64xf32>
  %h = peer.repeat "blocks" 2 @block(%x) : tensor<?x64xf32>
  %q = peer.reshape %h to tensor<?x1x1x64xf32> : tensor<?x64xf32>
  %c = peer.param "router" normal(0.2) : tensor<1x1x8x64xf32>
  %s = peer.score %q, %c : tensor<?x1x1x64xf32>, tensor<1x1x8x64xf32>
  %i, %v = peer.select %s topk<2> : tensor<?x1x1x8xf32>
  %w = peer.gate %v softmax : tensor<?x1x2xf32>
  %p = peer.param "experts" normal(0.2) group("experts") : tensor<16x2x64xf32>
  %m = peer.mix %h, %i, %w, %p gelu {rows_per_expert = 2} : tensor<?x64xf32>, tensor<?x1x2xi32>, tensor<?x1x2xf32>, tensor<16x2x64xf32>
  %y = peer.linear %m, %e {transpose_weight} : tensor<?x64xf32>, tensor<32x64xf32>
  %l = peer.cross_entropy %y, %g : tensor<?x32xf32>, tensor<?xi32>
  %a = peer.mean %l : tensor<?xf32>
  return %a : tensor<f32>
}
peer.train @step of @loss {optimizer = #peer.adamw<learning_rate = 1.0e-2>}
