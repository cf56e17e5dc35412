// RUN: %peer-pass %s | %peer-pass | FileCheck %s
// RUN: %peer-pass %s --mlir-print-op-generic | %peer-pass | FileCheck %s

// CHECK-LABEL: func.func @ops(
func.func @ops(%x: tensor<?x4xf32>, %w: tensor<4x8xf32>, %b: tensor<8xf32>, %v: tensor<?xf32>, %seed: tensor<i32>, %pool: tensor<4x2x8xbf16>) {
  // CHECK: peer.linear %{{.*}}, %{{.*}}, %{{.*}} : tensor<?x4xf32>, tensor<4x8xf32>, tensor<8xf32>
  %l = peer.linear %x, %w, %b : tensor<?x4xf32>, tensor<4x8xf32>, tensor<8xf32>
  // CHECK: peer.softmax %{{.*}} : tensor<?x8xf32>
  %s = peer.softmax %l : tensor<?x8xf32>
  // CHECK: peer.broadcast %{{.*}} like %{{.*}} along [1] : tensor<?xf32>, tensor<?x4xf32>
  %c = peer.broadcast %v like %x along [1] : tensor<?xf32>, tensor<?x4xf32>
  // CHECK: peer.reduce max %{{.*}} along [1] : tensor<?x8xf32>
  %r = peer.reduce max %s along [1] : tensor<?x8xf32>
  // CHECK: %[[P:.*]] = peer.slice %{{.*}} along 1 from 1 size 3 : tensor<?x4xf32>
  %p = peer.slice %x along 1 from 1 size 3 : tensor<?x4xf32>
  // CHECK: peer.pad %[[P]] along 1 low 2 high 0 : tensor<?x3xf32>
  %z = peer.pad %p along 1 low 2 high 0 : tensor<?x3xf32>
  // CHECK: peer.concat %{{.*}}, %{{.*}} along 1 : tensor<?x3xf32>, tensor<?x5xf32>
  %k = peer.concat %p, %z along 1 : tensor<?x3xf32>, tensor<?x5xf32>
  // CHECK: peer.transpose %{{.*}} [1, 0] : tensor<?x8xf32>
  %t = peer.transpose %k [1, 0] : tensor<?x8xf32>
  // CHECK: peer.dropout %{{.*}} {rate = 2.500000e-01 : f32} : tensor<?x4xf32>
  %d = peer.dropout %x {rate = 0.25 : f32} : tensor<?x4xf32>
  // CHECK: peer.dropout %{{.*}} seed %{{.*}} {place = 3 : i64, rate = 2.500000e-01 : f32} : tensor<?x4xf32>, tensor<i32>
  %e = peer.dropout %x seed %seed {rate = 0.25 : f32, place = 3 : i64} : tensor<?x4xf32>, tensor<i32>
  // CHECK: peer.slice %{{.*}} along 0 from 0 size 2 : tensor<4x2x8xbf16>
  %u = peer.slice %pool along 0 from 0 size 2 : tensor<4x2x8xbf16>
  // CHECK: peer.column_sums %{{.*}} : tensor<?x8xf32>
  %m = peer.column_sums %k : tensor<?x8xf32>
  return
}
