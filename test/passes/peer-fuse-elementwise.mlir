// RUN: %peer-pass %s --convert-elementwise-to-linalg --peer-fuse-elementwise | FileCheck %s

// A chain is one op afterwards.
// CHECK-LABEL: func.func @chain
//       CHECK: linalg.generic
//       CHECK: arith.addf
//  CHECK-NEXT: arith.mulf
//  CHECK-NEXT: arith.subf
//   CHECK-NOT: linalg.generic
//       CHECK: return
func.func @chain(%x: tensor<8xf32>, %y: tensor<8xf32>) -> tensor<8xf32> {
  %0 = arith.addf %x, %y : tensor<8xf32>
  %1 = arith.mulf %0, %y : tensor<8xf32>
  %2 = arith.subf %1, %x : tensor<8xf32>
  return %2 : tensor<8xf32>
}

// What others read, too, stays.
// CHECK-LABEL: func.func @shared
// CHECK-COUNT-2: linalg.generic
func.func @shared(%x: tensor<8xf32>) -> (tensor<8xf32>, tensor<8xf32>) {
  %0 = arith.negf %x : tensor<8xf32>
  %1 = arith.mulf %0, %0 : tensor<8xf32>
  return %0, %1 : tensor<8xf32>, tensor<8xf32>
}
