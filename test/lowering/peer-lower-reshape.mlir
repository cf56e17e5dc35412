// RUN: %peer-pass %s --peer-lower-reshape | FileCheck %s

// The dynamic size of the result is that of the operand, times or by the ratio of the other dimensions.
// CHECK-LABEL: func.func @split(
// CHECK-SAME:    %[[X:.*]]: tensor<?x32xf32>
// CHECK-DAG:   %[[C0:.*]] = arith.constant 0 : index
// CHECK-DAG:   %[[FLAT:.*]] = tensor.collapse_shape %[[X]] {{\[\[}}0, 1]] : tensor<?x32xf32> into tensor<?xf32>
// CHECK-DAG:   %[[T:.*]] = tensor.dim %[[X]], %[[C0]]
// CHECK:       %[[Y:.*]] = tensor.expand_shape %[[FLAT]] {{\[\[}}0, 1, 2]] output_shape [%{{.*}}, 2, 16] : tensor<?xf32> into tensor<?x2x16xf32>
// CHECK:       return %[[Y]]
func.func @split(%x: tensor<?x32xf32>) -> tensor<?x2x16xf32> {
  %y = peer.reshape %x to tensor<?x2x16xf32> : tensor<?x32xf32>
  return %y : tensor<?x2x16xf32>
}

// CHECK-LABEL: func.func @more_rows(
// CHECK-DAG:   %[[C4:.*]] = arith.constant 4 : index
// CHECK-DAG:   %[[T:.*]] = tensor.dim
// CHECK:       %[[N:.*]] = arith.muli %[[T]], %[[C4]] : index
// CHECK:       tensor.expand_shape {{.*}} output_shape [%[[N]], 8]
func.func @more_rows(%x: tensor<?x32xf32>) -> tensor<?x8xf32> {
  %y = peer.reshape %x to tensor<?x8xf32> : tensor<?x32xf32>
  return %y : tensor<?x8xf32>
}

// CHECK-LABEL: func.func @fewer_rows(
// CHECK-DAG:   %[[C4:.*]] = arith.constant 4 : index
// CHECK-DAG:   %[[T:.*]] = tensor.dim
// CHECK:       %[[N:.*]] = arith.divui %[[T]], %[[C4]] : index
// CHECK:       tensor.expand_shape {{.*}} output_shape [%[[N]], 32]
func.func @fewer_rows(%x: tensor<?x8xf32>) -> tensor<?x32xf32> {
  %y = peer.reshape %x to tensor<?x32xf32> : tensor<?x8xf32>
  return %y : tensor<?x32xf32>
}

// CHECK-LABEL: func.func @to_vector(
// CHECK-NEXT:  %[[Y:.*]] = tensor.collapse_shape
// CHECK-NEXT:  return %[[Y]]
func.func @to_vector(%x: tensor<?x8xf32>) -> tensor<?xf32> {
  %y = peer.reshape %x to tensor<?xf32> : tensor<?x8xf32>
  return %y : tensor<?xf32>
}

// CHECK-LABEL: func.func @of_vector(
// CHECK-NEXT:  %[[Y:.*]] = tensor.expand_shape {{.*}} output_shape [6, 4] : tensor<24xi32> into tensor<6x4xi32>
// CHECK-NEXT:  return %[[Y]]
func.func @of_vector(%x: tensor<24xi32>) -> tensor<6x4xi32> {
  %y = peer.reshape %x to tensor<6x4xi32> : tensor<24xi32>
  return %y : tensor<6x4xi32>
}

// CHECK-LABEL: func.func @static(
// CHECK:       tensor.collapse_shape {{.*}} : tensor<6x4xi32> into tensor<24xi32>
// CHECK:       tensor.expand_shape {{.*}} : tensor<24xi32> into tensor<8x3xi32>
func.func @static(%x: tensor<6x4xi32>) -> tensor<8x3xi32> {
  %y = peer.reshape %x to tensor<8x3xi32> : tensor<6x4xi32>
  return %y : tensor<8x3xi32>
}
