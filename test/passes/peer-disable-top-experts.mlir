// RUN: %peer-pass %s --peer-disable-top-experts=count=2 | FileCheck %s

// More pairs of a grid are ranked, and the first left out.
// CHECK-LABEL: func.func @grid(
// CHECK-NEXT:    %[[IDX:.*]], %[[VAL:.*]] = peer.select %{{.*}} product_topk<5>
// CHECK:         %[[I:.*]] = tensor.extract_slice %[[IDX]][0, 0, 2] [%{{.*}}, 2, 3] [1, 1, 1] : tensor<?x2x5xi32> to tensor<?x2x3xi32>
// CHECK:         %[[V:.*]] = tensor.extract_slice %[[VAL]][0, 0, 2] [%{{.*}}, 2, 3] [1, 1, 1] : tensor<?x2x5xf32> to tensor<?x2x3xf32>
// CHECK-NEXT:    return %[[I]], %[[V]]
func.func @grid(%s: tensor<?x2x2x8xf32>) -> (tensor<?x2x3xi32>, tensor<?x2x3xf32>) attributes {peer.kind = "loss"} {
  %i, %v = peer.select %s product_topk<3> : tensor<?x2x2x8xf32>
  return %i, %v : tensor<?x2x3xi32>, tensor<?x2x3xf32>
}

// Of one half the second best is found, and what is above it, or as good and not behind it, becomes -inf. The probability is that among all.
// CHECK-LABEL: func.func @row(
// CHECK-SAME:    %[[S:[a-z0-9]+]]: tensor<4x1x1x8xf32>
// CHECK-NEXT:    %[[IDX:.*]], %[[VAL:.*]] = peer.select %[[S]] topk<2>
// CHECK-NEXT:    %[[I:.*]] = tensor.extract_slice %[[IDX]][0, 0, 1] [4, 1, 1] [1, 1, 1]
// CHECK-NEXT:    %[[V:.*]] = tensor.extract_slice %[[VAL]][0, 0, 1] [4, 1, 1] [1, 1, 1]
// CHECK:         %[[M:.*]] = linalg.generic {{.*}} ins(%[[S]], %[[V]], %[[I]] :
// CHECK:           linalg.index 3
// CHECK:           arith.cmpf ogt
// CHECK:           arith.cmpf oeq
// CHECK:           arith.cmpi sle
// CHECK:         %{{.*}}, %[[P:.*]] = peer.select %[[M]] top_p<9.000000e-01, max = 8>
// CHECK-NEXT:    peer.probability %[[P]], %[[S]]
func.func @row(%s: tensor<4x1x1x8xf32>) -> tensor<4x1x8xf32> attributes {peer.kind = "decode"} {
  %i, %v = peer.select %s top_p<0.9, max = 8> : tensor<4x1x1x8xf32>
  %w = peer.probability %v, %s : tensor<4x1x8xf32>, tensor<4x1x1x8xf32>
  return %w : tensor<4x1x8xf32>
}

// Training, and experts that all tokens share, stay as they are.
// CHECK-LABEL: func.func @step(
// CHECK-NEXT:    peer.select %{{.*}} topk<8> : tensor<?x1x1x8xf32>
// CHECK-NEXT:    return
func.func @step(%s: tensor<?x1x1x8xf32>) -> tensor<?x1x8xi32> attributes {peer.kind = "train"} {
  %i, %v = peer.select %s topk<8> : tensor<?x1x1x8xf32>
  return %i : tensor<?x1x8xi32>
}
// CHECK-LABEL: func.func @shared(
// CHECK-NEXT:    %[[I:.*]] = arith.constant dense<0> : tensor<4x1x1xi32>
// CHECK-NEXT:    peer.mix %{{.*}}, %[[I]],
func.func @shared(%x: tensor<4x8xf32>, %w: tensor<4x1x1xf32>, %p: tensor<6x2x8xf32>) -> tensor<4x8xf32> attributes {peer.kind = "forward"} {
  %i = arith.constant dense<0> : tensor<4x1x1xi32>
  %y = peer.mix %x, %i, %w, %p relu : tensor<4x8xf32>, tensor<4x1x1xi32>, tensor<4x1x1xf32>, tensor<6x2x8xf32>
  return %y : tensor<4x8xf32>
}
