// RUN: %peer-pass %s --canonicalize | FileCheck %s

// CHECK-LABEL: func.func @reshape_to_itself(
// CHECK-SAME:    %[[X:.*]]: tensor<?x8xf32>
// CHECK-NEXT:  return %[[X]]
func.func @reshape_to_itself(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %y = peer.reshape %x to tensor<?x8xf32> : tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// CHECK-LABEL: func.func @reshape_of_reshape(
// CHECK-SAME:    %[[X:.*]]: tensor<?x32xf32>
// CHECK-NEXT:  %[[Y:.*]] = peer.reshape %[[X]] to tensor<?x8x2x2xf32> : tensor<?x32xf32>
// CHECK-NEXT:  return %[[Y]]
func.func @reshape_of_reshape(%x: tensor<?x32xf32>) -> tensor<?x8x2x2xf32> {
  %a = peer.reshape %x to tensor<?x4xf32> : tensor<?x32xf32>
  %b = peer.reshape %a to tensor<?x8x2x2xf32> : tensor<?x4xf32>
  return %b : tensor<?x8x2x2xf32>
}

// CHECK-LABEL: func.func @reshape_and_back(
// CHECK-SAME:    %[[X:.*]]: tensor<6x4xi32>
// CHECK-NEXT:  return %[[X]]
func.func @reshape_and_back(%x: tensor<6x4xi32>) -> tensor<6x4xi32> {
  %a = peer.reshape %x to tensor<24xi32> : tensor<6x4xi32>
  %b = peer.reshape %a to tensor<6x4xi32> : tensor<24xi32>
  return %b : tensor<6x4xi32>
}

// 4 does not divide 6, so no one reshape does both.
// CHECK-LABEL: func.func @reshape_not_direct(
// CHECK-COUNT-2: peer.reshape
func.func @reshape_not_direct(%x: tensor<?x4xf32>) -> tensor<?x6xf32> {
  %a = peer.reshape %x to tensor<?x2xf32> : tensor<?x4xf32>
  %b = peer.reshape %a to tensor<?x6xf32> : tensor<?x2xf32>
  return %b : tensor<?x6xf32>
}

// A destination says where the value must lie.
// CHECK-LABEL: func.func @reshape_into(
// CHECK-NEXT:  peer.reshape {{.*}} outs(
func.func @reshape_into(%x: tensor<4x8xf32>, %o: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %y = peer.reshape %x to tensor<4x8xf32> outs(%o : tensor<4x8xf32>) : tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}

// CHECK-LABEL: func.func @reshape_buffers(
// CHECK-NEXT:  peer.reshape
func.func @reshape_buffers(%x: memref<4x8xf32>, %o: memref<4x8xf32>) {
  peer.reshape %x to tensor<4x8xf32> outs(%o : memref<4x8xf32>) : memref<4x8xf32>
  return
}

// CHECK-LABEL: func.func @rotary_and_back(
// CHECK-SAME:    %[[X:.*]]: tensor<?x32xf32>
// CHECK-NEXT:  return %[[X]], %[[X]]
func.func @rotary_and_back(%x: tensor<?x32xf32>) -> (tensor<?x32xf32>, tensor<?x32xf32>) {
  %a = peer.rotary %x heads 4 context 16 {base = 500.0 : f32} : tensor<?x32xf32>
  %b = peer.rotary %a heads 4 context 16 {base = 500.0 : f32, inverse} : tensor<?x32xf32>
  %c = peer.rotary %x heads 4 context 16 {inverse} : tensor<?x32xf32>
  %d = peer.rotary %c heads 4 context 16 : tensor<?x32xf32>
  return %b, %d : tensor<?x32xf32>, tensor<?x32xf32>
}

// Twice the same way, by other angles, or in other heads.
// CHECK-LABEL: func.func @rotary_else(
// CHECK-COUNT-5: peer.rotary
func.func @rotary_else(%x: tensor<?x32xf32>) -> (tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x32xf32>) {
  %a = peer.rotary %x heads 4 context 16 : tensor<?x32xf32>
  %b = peer.rotary %a heads 4 context 16 : tensor<?x32xf32>
  %c = peer.rotary %a heads 4 context 8 {inverse} : tensor<?x32xf32>
  %d = peer.rotary %a heads 8 context 16 {inverse} : tensor<?x32xf32>
  %e = peer.rotary %a heads 4 context 16 {base = 500.0 : f32, inverse} : tensor<?x32xf32>
  return %b, %c, %d, %e : tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x32xf32>
}

// CHECK-LABEL: func.func @relu_of_relu(
// CHECK-NEXT:  %[[A:.*]] = peer.activation
// CHECK-NEXT:  return %[[A]]
func.func @relu_of_relu(%x: tensor<?x32xf32>) -> tensor<?x32xf32> {
  %a = peer.activation %x relu : tensor<?x32xf32>
  %b = peer.activation %a relu : tensor<?x32xf32>
  return %b : tensor<?x32xf32>
}

// CHECK-LABEL: func.func @gelu_of_gelu(
// CHECK-COUNT-2: peer.activation
func.func @gelu_of_gelu(%x: tensor<?x32xf32>) -> tensor<?x32xf32> {
  %a = peer.activation %x gelu : tensor<?x32xf32>
  %b = peer.activation %a gelu : tensor<?x32xf32>
  return %b : tensor<?x32xf32>
}

func.func private @block(%x: tensor<?x32xf32>, %y: tensor<4xf32>) -> (tensor<?x32xf32>, tensor<4xf32>)

// CHECK-LABEL: func.func @repeat_never(
// CHECK-SAME:    %[[X:.*]]: tensor<?x32xf32>, %[[Y:.*]]: tensor<4xf32>
// CHECK-NEXT:  return %[[X]], %[[Y]]
func.func @repeat_never(%x: tensor<?x32xf32>, %y: tensor<4xf32>) -> (tensor<?x32xf32>, tensor<4xf32>) {
  %a:2 = peer.repeat "blocks" 0 @block(%x, %y) : tensor<?x32xf32>, tensor<4xf32>
  return %a#0, %a#1 : tensor<?x32xf32>, tensor<4xf32>
}

// CHECK-LABEL: func.func @repeat_once(
// CHECK-NEXT:  peer.repeat
func.func @repeat_once(%x: tensor<?x32xf32>, %y: tensor<4xf32>) -> (tensor<?x32xf32>, tensor<4xf32>) {
  %a:2 = peer.repeat "blocks" 1 @block(%x, %y) : tensor<?x32xf32>, tensor<4xf32>
  return %a#0, %a#1 : tensor<?x32xf32>, tensor<4xf32>
}
