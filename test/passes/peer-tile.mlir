// RUN: peer-opt %s --peer-tile="sizes=route:t=64,h=1;mix:t=32" --split-input-file | FileCheck %s

// Scores exist a tile at a time, and not at this level: one op in a loop. What it moves and computes is counted of whole tensors.
// CHECK: #[[$TILE:.*]] = affine_map<(d0)[s0] -> (-d0 + s0, 64)>
// CHECK-LABEL: func.func @layer(
// CHECK-SAME:    %[[X:[a-z0-9]+]]: tensor<?x256xf32>, %[[Q:[a-z0-9]+]]: tensor<?x8x2x128xf32>, %[[KEYS:[a-z0-9]+]]:
// CHECK:       peer.mark 0 "route" bytes [8388608, 9216] flops [0, 4194304]
// CHECK-NEXT:  %[[R:.*]]:2 = scf.forall (%[[T:.*]], %[[H:.*]]) = (0, 0) to (%[[DIM:.*]], 8) step (64, 1) shared_outs(%[[IOUT:.*]] = %{{.*}}, %[[WOUT:.*]] = %{{.*}}) -> (tensor<?x8x16xi32>, tensor<?x8x16xf32>)
// CHECK:         %[[SIZE:.*]] = affine.min #[[$TILE]](%[[T]])[%[[DIM]]]
// CHECK:         %[[QT:.*]] = tensor.extract_slice %[[Q]][%[[T]], %[[H]], 0, 0] [%[[SIZE]], 1, 2, 128]
// CHECK:         %[[KT:.*]] = tensor.extract_slice %[[KEYS]][%[[H]], 0, 0, 0] [1, 2, 1024, 128]
// CHECK:         %[[I0:.*]], %[[I1:.*]] = peer.route %[[QT]], %[[KT]] product_topk<16> gate softmax : tensor<?x1x2x128xf32>, tensor<1x2x1024x128xf32>
// CHECK:         tensor.parallel_insert_slice %[[I0]] into %[[IOUT]][%[[T]], %[[H]], 0] [%[[SIZE]], 1, 16]
// CHECK:         tensor.parallel_insert_slice %[[I1]] into %[[WOUT]][%[[T]], %[[H]], 0] [%[[SIZE]], 1, 16]
// CHECK:       peer.mark 1 "mix"
// CHECK-NEXT:  %[[Y:.*]] = scf.forall {{.*}} step (32)
// CHECK:         peer.mix {{.*}} : tensor<?x256xf32>, tensor<?x8x16xi32>, tensor<?x8x16xf32>, tensor<65536x2x256xf32>
// CHECK:       peer.mark -1 ""
// CHECK-NEXT:  return %[[Y]]
func.func @layer(%x: tensor<?x256xf32>, %q: tensor<?x8x2x128xf32>, %keys: tensor<8x2x1024x128xf32>,
                 %pool: tensor<65536x2x256xf32>) -> tensor<?x256xf32> {
  %idx, %w = peer.route %q, %keys product_topk<16> gate softmax : tensor<?x8x2x128xf32>, tensor<8x2x1024x128xf32>
  %y = peer.mix %x, %idx, %w, %pool gelu
     : tensor<?x256xf32>, tensor<?x8x16xi32>, tensor<?x8x16xf32>, tensor<65536x2x256xf32>
  return %y : tensor<?x256xf32>
}

// -----

// Three results, and keys that are no tile's own.
// CHECK-LABEL: func.func @all_leave(
// CHECK:       peer.mark 0 "route" bytes [2048, 224] flops [0, 4096]
// CHECK:       %[[R:.*]]:3 = scf.forall
// CHECK:         peer.route %{{.*}}, %arg1 topk<2> gate sigmoid keep_val : tensor<?x1x1x8xf32>, tensor<1x1x64x8xf32>
// CHECK:       peer.usage %[[R]]#0
// CHECK:       return %[[R]]#2, %[[R]]#1
func.func @all_leave(%q: tensor<?x4x1x8xf32>, %keys: tensor<1x1x64x8xf32>, %ones: tensor<?x4x2xf32>,
                     %mass: tensor<64xf32>) -> (tensor<?x4x2xf32>, tensor<?x4x2xf32>, tensor<64xf32>) {
  %idx, %w, %val = peer.route %q, %keys topk<2> gate sigmoid keep_val : tensor<?x4x1x8xf32>, tensor<1x1x64x8xf32>
  %m = peer.usage %idx, %ones, %mass : tensor<?x4x2xi32>, tensor<?x4x2xf32>, tensor<64xf32>
  return %val, %w, %m : tensor<?x4x2xf32>, tensor<?x4x2xf32>, tensor<64xf32>
}

// -----

// The three ops that a route is made of are kernels like any other.
// CHECK-LABEL: func.func @apart(
// CHECK:       peer.mark 0 "score"
// CHECK:       peer.mark 1 "select"
// CHECK:       peer.mark 2 "gate"
func.func @apart(%q: tensor<?x4x1x8xf32>, %keys: tensor<4x1x64x8xf32>) -> (tensor<?x4x2xi32>, tensor<?x4x2xf32>) {
  %s = peer.score %q, %keys : tensor<?x4x1x8xf32>, tensor<4x1x64x8xf32>
  %idx, %val = peer.select %s topk<2> : tensor<?x4x1x64xf32>
  %w = peer.gate %val softmax : tensor<?x4x2xf32>
  return %idx, %w : tensor<?x4x2xi32>, tensor<?x4x2xf32>
}

// -----

// One token (decoding): the token loop is no loop, heads are.
// CHECK-LABEL: func.func @one_token(
// CHECK:       scf.forall (%{{.*}}) in (8)
// CHECK:         peer.route {{.*}} : tensor<1x1x2x128xf32>, tensor<1x2x1024x128xf32>
// CHECK:       peer.mark 1 "mix"
// CHECK-NEXT:  peer.mix
func.func @one_token(%x: tensor<1x256xf32>, %q: tensor<1x8x2x128xf32>, %keys: tensor<8x2x1024x128xf32>,
                     %pool: tensor<65536x2x256xf32>) -> tensor<1x256xf32> {
  %idx, %w = peer.route %q, %keys product_topk<16> gate softmax : tensor<1x8x2x128xf32>, tensor<8x2x1024x128xf32>
  %y = peer.mix %x, %idx, %w, %pool gelu
     : tensor<1x256xf32>, tensor<1x8x16xi32>, tensor<1x8x16xf32>, tensor<65536x2x256xf32>
  return %y : tensor<1x256xf32>
}
