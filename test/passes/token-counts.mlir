// Rows are counted through every op: what joins tokens makes T a multiple, indices limit T, and what nobody can count is refused.
// RUN: split-file %s %t
// RUN: peer-opt %t/good.mlir --target=cpu --emit=graph | FileCheck %s
// RUN: %peer-pass %t/bad.mlir --peer-verify-level=level=graph -split-input-file -verify-diagnostics -o /dev/null

//--- good.mlir
// CHECK-LABEL: func.func @joined(
// CHECK-SAME:    peer.multiple_of = 3 : i64
func.func @joined(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %h = peer.reshape %x to tensor<?x24xf32> : tensor<?x8xf32>
  %a = peer.activation %h gelu : tensor<?x24xf32>
  %b = peer.reshape %a to tensor<?x8xf32> : tensor<?x24xf32>
  return %b : tensor<?x8xf32>
}
// 5 rows of two tokens each are a sequence.
// CHECK-LABEL: func.func @sequences_of_joined(
// CHECK-SAME:    peer.multiple_of = 10 : i64
func.func @sequences_of_joined(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %h = peer.reshape %x to tensor<?x16xf32> : tensor<?x8xf32>
  %a = peer.attention %h, %h, %h heads 2 context 5 : tensor<?x16xf32>, tensor<?x16xf32>, tensor<?x16xf32>
  %b = peer.reshape %a to tensor<?x8xf32> : tensor<?x16xf32>
  return %b : tensor<?x8xf32>
}
// A token has two of 6 rows; rows are numbered in 32 bits.
// CHECK-LABEL: func.func @sequences_of_split(
// CHECK-SAME:    peer.max_tokens = 1073741823 : i64, peer.multiple_of = 3 : i64
func.func @sequences_of_split(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %h = peer.reshape %x to tensor<?x4xf32> : tensor<?x8xf32>
  %a = peer.attention %h, %h, %h heads 2 context 6 : tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>
  %b = peer.reshape %a to tensor<?x8xf32> : tensor<?x4xf32>
  return %b : tensor<?x8xf32>
}
// 2^31 - 1 indices are 8 for each of 268435455 tokens; and a token may be in a column.
// CHECK-LABEL: func.func @indices(
// CHECK-SAME:    peer.max_tokens = 268435455 : i64}
func.func @indices(%i: tensor<?x2x4xi32>, %x: tensor<?x4xf32>) -> (tensor<?x2x4xi32>, tensor<?x5xf32>) {
  %w = arith.constant dense<1.0> : tensor<5x4xf32>
  %t = peer.linear %w, %x {transpose_weight} : tensor<5x4xf32>, tensor<?x4xf32>
  %v = arith.constant dense<1.0> : tensor<5x5xf32>
  %y = peer.linear %t, %v {transpose_x} : tensor<5x?xf32>, tensor<5x5xf32>
  %j = arith.addi %i, %i : tensor<?x2x4xi32>
  return %j, %y : tensor<?x2x4xi32>, tensor<?x5xf32>
}

//--- bad.mlir
func.func @inner(%x: tensor<?x3xf32>, %y: tensor<?x5xf32>) -> tensor<?x5xf32> {
  // expected-error @+1 {{op 'peer.linear' works on 3 rows of one operand, but on T of another}}
  %0 = peer.linear %x, %y : tensor<?x3xf32>, tensor<?x5xf32>
  return %0 : tensor<?x5xf32>
}

// -----

func.func @fixed(%q: tensor<?x4xf32>, %k: tensor<8x4xf32>) -> tensor<?x4xf32> {
  // expected-error @+1 {{op 'peer.attention' works on T / 2 rows of one operand, but on 4 of another}}
  %0 = peer.attention %q, %k, %k heads 1 context 2 : tensor<?x4xf32>, tensor<8x4xf32>, tensor<8x4xf32>
  %1 = tensor.cast %0 : tensor<8x4xf32> to tensor<?x4xf32>
  return %1 : tensor<?x4xf32>
}

// -----

func.func @joined(%x: tensor<?x4xf32>, %y: tensor<?x4xf32>) -> tensor<?x4xf32> {
  // expected-error @+1 {{op 'tensor.concat' works on tokens in a way in which it is not known how many rows come out}}
  %0 = tensor.concat dim(0) %x, %y : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %1 = arith.addf %0, %x : tensor<?x4xf32>
  return %1 : tensor<?x4xf32>
}

// -----

func.func @sliced(%x: tensor<?x4xf32>) -> tensor<3x4xf32> {
  // expected-error @+1 {{op 'tensor.extract_slice' takes some of the rows, and not in a way in which their number is known}}
  %0 = tensor.extract_slice %x[0, 0] [3, 4] [1, 1] : tensor<?x4xf32> to tensor<3x4xf32>
  return %0 : tensor<3x4xf32>
}

// -----

#map = affine_map<(t, d) -> (t, d)>
func.func @looped(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  // expected-note @+1 {{this reshape makes other rows than one per token}}
  %h = peer.reshape %x to tensor<?x2xf32> : tensor<?x4xf32>
  %w = arith.constant dense<1.0> : tensor<2x4xf32>
  %y = peer.linear %h, %w : tensor<?x2xf32>, tensor<2x4xf32>
  // expected-error @+1 {{op 'linalg.generic' works on T * 2 rows of one operand, but on T of another}}
  %z = linalg.generic {indexing_maps = [#map, #map], iterator_types = ["parallel", "parallel"]}
      ins(%y : tensor<?x4xf32>) outs(%x : tensor<?x4xf32>) {
  ^bb0(%a: f32, %b: f32):
    linalg.yield %a : f32
  } -> tensor<?x4xf32>
  return %z : tensor<?x4xf32>
}

// -----

func.func @far(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  // expected-error @+1 {{op 'peer.attention' wants T to be a multiple of more than 2147483647 tokens, which no entry takes}}
  %0 = peer.attention %x, %x, %x heads 1 context 4611686018427387904 : tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>
  return %0 : tensor<?x4xf32>
}
