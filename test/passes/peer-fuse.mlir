// RUN: %peer-pass %s --peer-fuse --canonicalize | FileCheck %s

// The gradient of the scores is never formed: only the selected keys take part.
// CHECK-LABEL: func.func @product_topk(
// CHECK-SAME:    %[[IDX:[a-z0-9]+]]: tensor<?x4x3xi32>, %[[DVAL:[a-z0-9]+]]: tensor<?x4x3xf32>
// CHECK-SAME:    %[[KEYS:[a-z0-9]+]]: tensor<4x2x32x8xf32>, %[[Q:[a-z0-9]+]]: tensor<?x4x2x8xf32>
// CHECK-NOT:     peer.select_grad
// CHECK:         %[[DQ:.*]] = peer.route_query_grad %[[IDX]], %[[DVAL]], %[[KEYS]]  product_topk
// CHECK:         %[[DK:.*]] = peer.route_key_grad %[[IDX]], %[[DVAL]], %[[Q]]  product_topk n 32 :
// CHECK:         return %[[DQ]], %[[DK]]
func.func @product_topk(%idx: tensor<?x4x3xi32>, %dval: tensor<?x4x3xf32>, %keys: tensor<4x2x32x8xf32>,
                        %q: tensor<?x4x2x8xf32>) -> (tensor<?x4x2x8xf32>, tensor<4x2x32x8xf32>) {
  %dl = peer.select_grad %idx, %dval product_topk n 32 : tensor<?x4x3xi32>, tensor<?x4x3xf32>
  %dq = peer.score_query_grad %dl, %keys : tensor<?x4x2x32xf32>, tensor<4x2x32x8xf32>
  %dk = peer.score_key_grad %dl, %q : tensor<?x4x2x32xf32>, tensor<?x4x2x8xf32>
  return %dq, %dk : tensor<?x4x2x8xf32>, tensor<4x2x32x8xf32>
}

// CHECK-LABEL: func.func @topk_shared(
// CHECK-NOT:     peer.select_grad
// CHECK:         peer.route_key_grad %{{.*}}  topk n 32 shared : {{.*}}
func.func @topk_shared(%idx: tensor<?x4x3xi32>, %dval: tensor<?x4x3xf32>, %q: tensor<?x4x1x8xf32>) -> tensor<1x1x32x8xf32> {
  %dl = peer.select_grad %idx, %dval topk n 32 : tensor<?x4x3xi32>, tensor<?x4x3xf32>
  %dk = peer.score_key_grad %dl, %q shared : tensor<?x4x1x32xf32>, tensor<?x4x1x8xf32>
  return %dk : tensor<1x1x32x8xf32>
}

// Every key is selected under `all`: the dense form stays.
// CHECK-LABEL: func.func @all(
// CHECK:         peer.select_grad
// CHECK:         peer.score_key_grad
func.func @all(%idx: tensor<?x1x5xi32>, %dval: tensor<?x1x5xf32>, %q: tensor<?x1x1x8xf32>) -> tensor<1x1x5x8xf32> {
  %dl = peer.select_grad %idx, %dval all n 5 : tensor<?x1x5xi32>, tensor<?x1x5xf32>
  %dk = peer.score_key_grad %dl, %q : tensor<?x1x1x5xf32>, tensor<?x1x1x8xf32>
  return %dk : tensor<1x1x5x8xf32>
}

// CHECK-LABEL: func.func @reshapes(
// CHECK-SAME:    %[[X:.*]]: tensor<?x12xf32>
// CHECK:         %[[Y:.*]] = peer.reshape %[[X]] to tensor<?x2x2xf32> : tensor<?x12xf32>
// CHECK-NEXT:    return %[[X]], %[[Y]]
func.func @reshapes(%x: tensor<?x12xf32>) -> (tensor<?x12xf32>, tensor<?x2x2xf32>) {
  %a = peer.reshape %x to tensor<?x4xf32> : tensor<?x12xf32>
  %b = peer.reshape %a to tensor<?x12xf32> : tensor<?x4xf32>
  %c = peer.reshape %a to tensor<?x2x2xf32> : tensor<?x4xf32>
  return %b, %c : tensor<?x12xf32>, tensor<?x2x2xf32>
}

// Rows of 12 and of 8 hold no whole number of each other: the way through 4 stays.
// CHECK-LABEL: func.func @indivisible(
// CHECK-COUNT-2: peer.reshape
func.func @indivisible(%x: tensor<?x12xf32>) -> tensor<?x8xf32> {
  %a = peer.reshape %x to tensor<?x4xf32> : tensor<?x12xf32>
  %b = peer.reshape %a to tensor<?x8xf32> : tensor<?x4xf32>
  return %b : tensor<?x8xf32>
}
