// RUN: %peer-pass %s --peer-fill-constants | FileCheck %s

// What is large is filled; what is small, or not one value, stays a constant.
// CHECK-LABEL: func.func @f(
// CHECK-DAG:     %[[ZERO:.*]] = arith.constant 0.000000e+00 : f32
// CHECK-DAG:     %[[EMPTY:.*]] = tensor.empty() : tensor<32x33xf32>
// CHECK:         %[[LARGE:.*]] = linalg.fill ins(%[[ZERO]] : f32) outs(%[[EMPTY]] : tensor<32x33xf32>)
// CHECK:         %[[SMALL:.*]] = arith.constant dense<1.000000e+00> : tensor<32x32xf32>
// CHECK:         %[[RANK0:.*]] = arith.constant dense<2> : tensor<i32>
// CHECK:         return %[[LARGE]], %[[SMALL]], %[[RANK0]]
func.func @f() -> (tensor<32x33xf32>, tensor<32x32xf32>, tensor<i32>) {
  %large = arith.constant dense<0.0> : tensor<32x33xf32>
  %small = arith.constant dense<1.0> : tensor<32x32xf32>
  %rank0 = arith.constant dense<2> : tensor<i32>
  return %large, %small, %rank0 : tensor<32x33xf32>, tensor<32x32xf32>, tensor<i32>
}
