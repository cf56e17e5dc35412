// RUN: %peer-pass %s --peer-outline-blocks=least=4 | FileCheck %s
// RUN: %peer-pass %s --peer-outline-blocks | FileCheck %s --check-prefix=FEW
// RUN: %peer-pass %s --peer-outline-blocks="least=4 fewest=5" | FileCheck %s --check-prefix=FEW

// RUN: sed 's/peer.linear %%y1, %%w2/& {products = bf16}/' %s | %peer-pass --peer-outline-blocks=least=4 | FileCheck %s --check-prefix=ROUNDED

// A block whose products are rounded is no other's twin.
// ROUNDED-LABEL: func.func @entry(
// ROUNDED:         peer.linear %{{.*}} {products = bf16}
// ROUNDED-LABEL: func.func private @block
// ROUNDED-NOT:     products

// Blocks that are too few, or too small, stay as they are.
// FEW-NOT: call @block

// Four blocks, each with parameters of its own, and a gradient that reads what each of them saved: two functions.
// CHECK-LABEL: func.func @entry(
// CHECK-SAME:    %[[X:.*]]: tensor<?x8xf32>, %[[W0:[a-z0-9]*]]: tensor<8x8xf32>, %[[W1:[a-z0-9]*]]:
// CHECK:         %[[FROM0:.*]] = arith.constant 0 : i64
// CHECK-NEXT:    %[[Y0:.*]]:2 = call @[[BLOCK:block.*]](%[[FROM0]], %[[X]], %[[W0]]) : (i64, tensor<?x8xf32>, tensor<8x8xf32>) -> (tensor<?x8xf32>, tensor<?x8xf32>)
// CHECK-NEXT:    %[[FROM2:.*]] = arith.constant 2 : i64
// CHECK-NEXT:    %[[Y1:.*]]:2 = call @[[BLOCK]](%[[FROM2]], %[[Y0]]#1, %[[W1]])
// CHECK:         call @[[BLOCK]](
// CHECK:         %[[Y3:.*]]:2 = call @[[BLOCK]](
// CHECK:         peer.mark 8 "middle"
// CHECK-NEXT:    %[[M:.*]] = peer.activation %[[Y3]]#1 relu
// CHECK:         call @[[GRAD:block.*]](%{{.*}}, %[[Y3]]#0, %[[M]])
// CHECK-COUNT-2: call @[[GRAD]](
// CHECK:         %[[D:.*]] = call @[[GRAD]](%{{.*}}, %[[Y0]]#0,
// CHECK:         return %[[D]]

// CHECK:       func.func private @[[BLOCK]](%[[FROM:.*]]: i64, %[[A:.*]]: tensor<?x8xf32>, %[[W:.*]]: tensor<8x8xf32>)
// CHECK-SAME:    attributes {peer.block}
// CHECK-NEXT:    peer.mark 0 "linear"
// CHECK-NEXT:    %[[H:.*]] = peer.linear %[[A]], %[[W]]
// CHECK-NEXT:    peer.mark 1 "act"
// CHECK-NEXT:    %[[Z:.*]] = peer.activation %[[H]] gelu
// CHECK-NEXT:    return %[[H]], %[[Z]]

// A gradient reads what its block saved, and nothing that is its own is handed back.
// CHECK:       func.func private @[[GRAD]](%{{.*}}: i64, %[[H:.*]]: tensor<?x8xf32>, %[[DY:.*]]: tensor<?x8xf32>)
// CHECK-NEXT:    peer.mark 0 "grad"
// CHECK-NEXT:    peer.activation_grad
// CHECK-NEXT:    peer.mark 1 "act"
// CHECK-NEXT:    peer.activation
// CHECK-NEXT:    return
func.func @entry(%x: tensor<?x8xf32>, %w0: tensor<8x8xf32>, %w1: tensor<8x8xf32>, %w2: tensor<8x8xf32>, %w3: tensor<8x8xf32>) -> tensor<?x8xf32> {
  peer.mark 0 "linear" bytes [0, 64] flops [0, 8]
  %h0 = peer.linear %x, %w0 : tensor<?x8xf32>, tensor<8x8xf32>
  peer.mark 1 "act" bytes [0, 64] flops [0, 8]
  %y0 = peer.activation %h0 gelu : tensor<?x8xf32>
  peer.mark 2 "linear" bytes [0, 64] flops [0, 8]
  %h1 = peer.linear %y0, %w1 : tensor<?x8xf32>, tensor<8x8xf32>
  peer.mark 3 "act" bytes [0, 64] flops [0, 8]
  %y1 = peer.activation %h1 gelu : tensor<?x8xf32>
  peer.mark 4 "linear" bytes [0, 64] flops [0, 8]
  %h2 = peer.linear %y1, %w2 : tensor<?x8xf32>, tensor<8x8xf32>
  peer.mark 5 "act" bytes [0, 64] flops [0, 8]
  %y2 = peer.activation %h2 gelu : tensor<?x8xf32>
  peer.mark 6 "linear" bytes [0, 64] flops [0, 8]
  %h3 = peer.linear %y2, %w3 : tensor<?x8xf32>, tensor<8x8xf32>
  peer.mark 7 "act" bytes [0, 64] flops [0, 8]
  %y3 = peer.activation %h3 gelu : tensor<?x8xf32>
  peer.mark 8 "middle" bytes [0, 64] flops [0, 8]
  %m = peer.activation %y3 relu : tensor<?x8xf32>
  peer.mark 9 "grad" bytes [0, 64] flops [0, 8]
  %d3 = peer.activation_grad %h3, %m gelu : tensor<?x8xf32>, tensor<?x8xf32>
  peer.mark 10 "act" bytes [0, 64] flops [0, 8]
  %e3 = peer.activation %d3 relu : tensor<?x8xf32>
  peer.mark 11 "grad" bytes [0, 64] flops [0, 8]
  %d2 = peer.activation_grad %h2, %e3 gelu : tensor<?x8xf32>, tensor<?x8xf32>
  peer.mark 12 "act" bytes [0, 64] flops [0, 8]
  %e2 = peer.activation %d2 relu : tensor<?x8xf32>
  peer.mark 13 "grad" bytes [0, 64] flops [0, 8]
  %d1 = peer.activation_grad %h1, %e2 gelu : tensor<?x8xf32>, tensor<?x8xf32>
  peer.mark 14 "act" bytes [0, 64] flops [0, 8]
  %e1 = peer.activation %d1 relu : tensor<?x8xf32>
  peer.mark 15 "grad" bytes [0, 64] flops [0, 8]
  %d0 = peer.activation_grad %h0, %e1 gelu : tensor<?x8xf32>, tensor<?x8xf32>
  peer.mark 16 "act" bytes [0, 64] flops [0, 8]
  %e0 = peer.activation %d0 relu : tensor<?x8xf32>
  return %e0 : tensor<?x8xf32>
}
