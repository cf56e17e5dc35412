// RUN: %peer-pass %s --peer-inline-modules --peer-derive-decode --split-input-file | FileCheck %s

// Prefill takes up to a context of tokens at once.
// CHECK-LABEL: func.func @prefill(
// CHECK-SAME:    %[[TOKENS:[a-z0-9]+]]: tensor<?xi32> {bufferization.writable = false, peer.name = "tokens", peer.range = [0, 50], peer.role = "input"}
// CHECK-SAME:    %[[POS:[a-z0-9]+]]: tensor<i32> {bufferization.writable = false, peer.name = "position", peer.range = [0, 2147483647], peer.role = "scalar"}
// CHECK-SAME:    peer.name = "table"
// CHECK-SAME:    %[[K0:[a-z0-9]+]]: tensor<16x8xf32> {bufferization.writable = true, peer.name = "cache.0.key", peer.role = "state"}
// CHECK-SAME:    %[[V0:[a-z0-9]+]]: tensor<16x8xf32> {bufferization.writable = true, peer.name = "cache.0.value", peer.role = "state"}
// CHECK-SAME:    %[[K1:[a-z0-9]+]]: tensor<16x8xf32> {{{[^}]*}}peer.name = "cache.1.key"
// CHECK-SAME:    -> (tensor<?x50xf32> {peer.name = "logits"}, tensor<16x8xf32> {peer.name = "cache.0.key", peer.updates = 4 : i64}, tensor<16x8xf32> {peer.name = "cache.0.value", peer.updates = 5 : i64}
// CHECK-SAME:    attributes {peer.kind = "prefill", peer.max_tokens = 16 : i64, peer.of = "logits"}
// CHECK-NOT:     peer.attention
// CHECK:         return

// Decoding one token, every type is static.
// CHECK-LABEL: func.func @decode(
// CHECK-SAME:    tensor<1xi32> {
// CHECK-SAME:    %[[POS:[a-z0-9]+]]: tensor<i32>
// CHECK-SAME:    attributes {peer.kind = "decode", peer.of = "logits"}
// CHECK:         %[[E:.*]] = peer.embedding %{{.*}} : tensor<1xi32>, tensor<50x8xf32>
// CHECK:         %[[Q:.*]] = peer.rotary_at %[[E]], %[[POS]] heads 2 {base = 5.000000e+02 : f32} : tensor<1x8xf32>, tensor<i32>
// CHECK:         %[[A0:.*]], %[[A1:.*]], %[[A2:.*]] = peer.cached_attention %[[Q]], %[[E]], %[[E]], %{{.*}}, %{{.*}}, %[[POS]] {heads = 2 : i64}
// CHECK:         %[[B:.*]] = arith.addf %[[E]], %[[A0]] : tensor<1x8xf32>
// CHECK:         %[[R:.*]] = peer.reshape %[[B]] to tensor<4x2xf32> : tensor<1x8xf32>
// CHECK:         %[[N:.*]] = peer.batch_norm %[[R]]
// CHECK:         peer.reshape %[[N]] to tensor<1x8xf32> : tensor<4x2xf32>
// CHECK:         %[[C0:.*]], %[[C1:.*]], %[[C2:.*]] = peer.cached_attention
// CHECK:         %[[Y:.*]] = peer.linear {{.*}} : tensor<1x8xf32>, tensor<50x8xf32>
// CHECK:         return %[[Y]], %[[A1]], %[[A2]], %[[C1]], %[[C2]]
// CHECK-NOT:   peer.decode
func.func @logits(%tokens: tensor<?xi32>) -> tensor<?x50xf32> {
  %t = peer.param "table" normal(0.02) : tensor<50x8xf32>
  %e = peer.embedding %tokens, %t : tensor<?xi32>, tensor<50x8xf32>
  %q = peer.rotary %e heads 2 context 16 {base = 500.0 : f32} : tensor<?x8xf32>
  %a = peer.attention %q, %e, %e heads 2 context 16 : tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>
  %b = arith.addf %e, %a : tensor<?x8xf32>
  %r = peer.reshape %b to tensor<?x2xf32> : tensor<?x8xf32>
  %g = peer.param "gain" ones : tensor<2xf32>
  %n = peer.batch_norm %r, %g, %g, %g, %g : tensor<?x2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>
  %h = peer.reshape %n to tensor<?x8xf32> : tensor<?x2xf32>
  %c = peer.attention %h, %h, %h heads 2 context 16 : tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>
  %y = peer.linear %c, %t {transpose_weight} : tensor<?x8xf32>, tensor<50x8xf32>
  return %y : tensor<?x50xf32>
}
peer.decode @decode prefill @prefill of @logits

// -----

// A token's mix depends on this token alone, that of quantized rows too.
// CHECK-LABEL: func.func @quantized_decode(
// CHECK:         peer.quantized_mix {{.*}} : tensor<1x8xf32>, tensor<1x1x2xi32>, tensor<1x1x2xf32>, tensor<4x2x8xi8>, tensor<4x2xf32>
func.func @quantized(%tokens: tensor<?xi32>) -> tensor<?x8xf32> {
  %t = peer.param "table" normal(0.02) : tensor<50x8xf32>
  %e = peer.embedding %tokens, %t : tensor<?xi32>, tensor<50x8xf32>
  %r = peer.reshape %e to tensor<?x1x2x4xf32> : tensor<?x8xf32>
  %k = peer.param "keys" normal(0.02) : tensor<1x2x2x4xf32>
  %l = peer.score %r, %k : tensor<?x1x2x4xf32>, tensor<1x2x2x4xf32>
  %i, %v = peer.select %l product_topk<2> : tensor<?x1x2x2xf32>
  %p = peer.param "experts" zeros : tensor<4x2x8xi8>
  %s = peer.param "experts.scale" zeros : tensor<4x2xf32>
  %y = peer.quantized_mix %e, %i, %v, %p, %s gelu
     : tensor<?x8xf32>, tensor<?x1x2xi32>, tensor<?x1x2xf32>, tensor<4x2x8xi8>, tensor<4x2xf32>
  return %y : tensor<?x8xf32>
}
peer.decode @quantized_decode prefill @quantized_prefill of @quantized

// Rows that walk along another dimension, casts, and what tokens do not reach.
// CHECK-LABEL: func.func @turned_decode(
// CHECK:         peer.linear %{{.*}}, %{{.*}} : tensor<3x8xf32>, tensor<8x8xf32>
// CHECK:         %[[S:.*]] = peer.linear %{{.*}}, %{{.*}} {transpose_weight} : tensor<3x8xf32>, tensor<1x8xf32>
// CHECK:         peer.linear %[[S]], %{{.*}} {transpose_x} : tensor<3x1xf32>, tensor<3x8xf32>
// CHECK:         arith.truncf %{{.*}} : tensor<1x8xf32> to tensor<1x8xbf16>
func.func @turned(%tokens: tensor<?xi32>) -> tensor<?x8xf32> {
  %t = peer.param "table" normal(0.02) : tensor<50x8xf32>
  %u = peer.param "u" normal(0.02) : tensor<3x8xf32>
  %v = peer.param "v" normal(0.02) : tensor<8x8xf32>
  %e = peer.embedding %tokens, %t : tensor<?xi32>, tensor<50x8xf32>
  %uv = peer.linear %u, %v : tensor<3x8xf32>, tensor<8x8xf32>
  %r = peer.linear %uv, %e {transpose_weight} : tensor<3x8xf32>, tensor<?x8xf32>
  %y = peer.linear %r, %u {transpose_x} : tensor<3x?xf32>, tensor<3x8xf32>
  %b = arith.truncf %y : tensor<?x8xf32> to tensor<?x8xbf16>
  %w = arith.extf %b : tensor<?x8xbf16> to tensor<?x8xf32>
  return %w : tensor<?x8xf32>
}
peer.decode @turned_decode prefill @turned_prefill of @turned

// What a block computes for the loss alone is not in the way of decoding, and its context does not count.
// CHECK-LABEL: func.func @shared(
// CHECK-NOT:     peer.multiple_of
// CHECK-LABEL: func.func @shared_prefill(
// CHECK-NOT:     peer.max_tokens
// CHECK-LABEL: func.func @shared_decode(
// CHECK:         %[[E:.*]] = peer.embedding
// CHECK-NEXT:    return %[[E]]
func.func private @body(%tokens: tensor<?xi32>) -> (tensor<?x8xf32>, tensor<8x8xf32>) {
  %t = peer.param "table" normal(0.02) : tensor<50x8xf32>
  %e = peer.embedding %tokens, %t : tensor<?xi32>, tensor<50x8xf32>
  %q = peer.rotary %e heads 1 context 3 : tensor<?x8xf32>
  %b = peer.linear %q, %e {transpose_x} : tensor<?x8xf32>, tensor<?x8xf32>
  return %e, %b : tensor<?x8xf32>, tensor<8x8xf32>
}
func.func @shared(%tokens: tensor<?xi32>) -> tensor<?x8xf32> {
  %e, %b = peer.call "" @body(%tokens) : (tensor<?xi32>) -> (tensor<?x8xf32>, tensor<8x8xf32>)
  return %e : tensor<?x8xf32>
}
peer.decode @shared_decode prefill @shared_prefill of @shared

// -----

// States are shared by name, so each request has caches of its own.
// CHECK-LABEL: func.func @small_decode(
// CHECK-SAME:    tensor<4x8xf32> {{{[^}]*}}peer.name = "small_decode.cache.0.key"
// CHECK-LABEL: func.func @large_prefill(
// CHECK-SAME:    tensor<16x8xf32> {{{[^}]*}}peer.name = "large_decode.cache.0.key"
// CHECK-LABEL: func.func @large_decode(
// CHECK-SAME:    tensor<16x8xf32> {{{[^}]*}}peer.name = "large_decode.cache.0.key"
func.func @small(%tokens: tensor<?xi32>) -> tensor<?x8xf32> {
  %t = peer.param "table" normal(0.02) : tensor<50x8xf32>
  %e = peer.embedding %tokens, %t : tensor<?xi32>, tensor<50x8xf32>
  %a = peer.attention %e, %e, %e heads 2 context 4 : tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>
  return %a : tensor<?x8xf32>
}
func.func @large(%tokens: tensor<?xi32>) -> tensor<?x8xf32> {
  %t = peer.param "table" normal(0.02) : tensor<50x8xf32>
  %e = peer.embedding %tokens, %t : tensor<?xi32>, tensor<50x8xf32>
  %a = peer.attention %e, %e, %e heads 2 context 16 : tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>
  return %a : tensor<?x8xf32>
}
peer.decode @small_decode prefill @small_prefill of @small
peer.decode @large_decode prefill @large_prefill of @large
