// RUN: %peer-pass %s --peer-expand-tensor-ops | FileCheck %s

// CHECK-LABEL: func.func @ops(
// CHECK-SAME:    %[[X:[a-z0-9]+]]: tensor<?x4xf32>, %[[V:[a-z0-9]+]]: tensor<?xf32>
func.func @ops(%x: tensor<?x4xf32>, %v: tensor<?xf32>) -> (tensor<?x4xf32>, tensor<?xf32>, tensor<?x2xf32>, tensor<?x5xf32>, tensor<?x8xf32>, tensor<4x?xf32>) {
  // CHECK: %[[B:.*]] = linalg.generic {{.*}} ins(%[[V]] : tensor<?xf32>)
  %b = peer.broadcast %v like %x along [1] : tensor<?xf32>, tensor<?x4xf32>
  // CHECK: linalg.fill
  // CHECK: %[[R:.*]] = linalg.generic {{.*}} iterator_types = ["parallel", "reduction"]} ins(%[[X]] : tensor<?x4xf32>)
  // CHECK:   arith.addf
  // CHECK: %[[M:.*]] = linalg.generic {{.*}} ins(%[[R]] : tensor<?xf32>)
  // CHECK:   arith.divf
  %m = peer.reduce mean %x along [1] : tensor<?x4xf32>
  // CHECK: %[[S:.*]] = tensor.extract_slice %[[X]][0, 1] [%{{.*}}, 2] [1, 1]
  %s = peer.slice %x along 1 from 1 size 2 : tensor<?x4xf32>
  // CHECK: %[[P:.*]] = tensor.insert_slice %[[X]] into %{{.*}}[0, 1] [%{{.*}}, 4] [1, 1]
  %p = peer.pad %x along 1 low 1 high 0 : tensor<?x4xf32>
  // CHECK: %[[C0:.*]] = tensor.insert_slice %[[X]] into %{{.*}}[0, 0]
  // CHECK: %[[C:.*]] = tensor.insert_slice %[[B]] into %[[C0]][0, 4]
  %c = peer.concat %x, %b along 1 : tensor<?x4xf32>, tensor<?x4xf32>
  // CHECK: %[[T:.*]] = linalg.generic {{.*}} ins(%[[X]] : tensor<?x4xf32>) outs(%{{.*}} : tensor<4x?xf32>)
  %t = peer.transpose %x [1, 0] : tensor<?x4xf32>
  // CHECK: return %[[B]], %[[M]], %[[S]], %[[P]], %[[C]], %[[T]]
  return %b, %m, %s, %p, %c, %t : tensor<?x4xf32>, tensor<?xf32>, tensor<?x2xf32>, tensor<?x5xf32>, tensor<?x8xf32>, tensor<4x?xf32>
}

// CHECK-LABEL: func.func @softmax(
// CHECK-COUNT-4: linalg.generic
// CHECK-NOT:     peer.
func.func @softmax(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %y = peer.softmax %x : tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// The threshold's logit, log 3, is what scores are compared with.
// CHECK-LABEL: func.func @straight_through(
// CHECK:         linalg.generic {{.*}} ins(%{{.*}} : tensor<?x1x8xf32>)
// CHECK:           %[[LOGIT:.*]] = arith.constant 1.09861231 : f32
// CHECK:           %[[TAKEN:.*]] = arith.cmpf ogt, %{{.*}}, %[[LOGIT]]
// CHECK:           arith.select %[[TAKEN]]
func.func @straight_through(%v: tensor<?x1x8xf32>) -> tensor<?x1x8xf32> {
  %w = peer.straight_through %v {threshold = 0.75 : f32} : tensor<?x1x8xf32>
  return %w : tensor<?x1x8xf32>
}

// CHECK-LABEL: func.func @hash(
// CHECK-SAME:    %[[T:[a-z0-9]+]]: tensor<?xi32>
// CHECK:         %[[I:.*]] = linalg.generic {{.*}} ins(%[[T]] : tensor<?xi32>) outs(%{{.*}} : tensor<?x1x1xi32>)
// CHECK-COUNT-2:   arith.muli
// CHECK:           arith.remui
// CHECK:         %[[ONE:.*]] = arith.constant 1.000000e+00 : f32
// CHECK:         %[[W:.*]] = linalg.fill ins(%[[ONE]] : f32)
// CHECK:         return %[[I]], %[[W]]
func.func @hash(%t: tensor<?xi32>) -> (tensor<?x1x1xi32>, tensor<?x1x1xf32>) {
  %i, %w = peer.hash %t experts 64 : tensor<?xi32>
  return %i, %w : tensor<?x1x1xi32>, tensor<?x1x1xf32>
}
