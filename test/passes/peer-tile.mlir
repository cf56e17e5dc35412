// RUN: peer-opt %s --peer-tile="sizes=score:t=64,h=1;mix:t=32" --split-input-file | FileCheck %s

// Score, select and gate share one loop: scores exist a tile at a time, and idx leaves the loop because mix uses it.
// CHECK: #[[$TILE:.*]] = affine_map<(d0)[s0] -> (-d0 + s0, 64)>
// CHECK-LABEL: func.func @layer(
// CHECK-SAME:    %[[X:[a-z0-9]+]]: tensor<?x256xf32>, %[[Q:[a-z0-9]+]]: tensor<?x8x2x128xf32>, %[[KEYS:[a-z0-9]+]]:
// CHECK-NOT:   tensor<?x8x2x1024xf32>
// CHECK:       peer.mark 0 "score_select_gate"
// CHECK-NEXT:  %[[R:.*]]:2 = scf.forall (%[[T:.*]], %[[H:.*]]) = (0, 0) to (%[[DIM:.*]], 8) step (64, 1) shared_outs(%[[WOUT:.*]] = %{{.*}}, %[[IOUT:.*]] = %{{.*}}) -> (tensor<?x8x16xf32>, tensor<?x8x16xi32>)
// CHECK:         %[[SIZE:.*]] = affine.min #[[$TILE]](%[[T]])[%[[DIM]]]
// CHECK:         %[[QT:.*]] = tensor.extract_slice %[[Q]][%[[T]], %[[H]], 0, 0] [%[[SIZE]], 1, 2, 128]
// CHECK:         %[[KT:.*]] = tensor.extract_slice %[[KEYS]][%[[H]], 0, 0, 0] [1, 2, 1024, 128]
// CHECK:         %[[S:.*]] = peer.score %[[QT]], %[[KT]] : tensor<?x1x2x128xf32>, tensor<1x2x1024x128xf32>
// CHECK:         %[[SEL:.*]]:2 = peer.select %[[S]] product_topk<16> : tensor<?x1x2x1024xf32>
// CHECK:         %[[W:.*]] = peer.gate %[[SEL]]#1 softmax : tensor<?x1x16xf32>
// CHECK:         tensor.parallel_insert_slice %[[W]] into %[[WOUT]][%[[T]], %[[H]], 0] [%[[SIZE]], 1, 16]
// CHECK:         tensor.parallel_insert_slice %[[SEL]]#0 into %[[IOUT]][%[[T]], %[[H]], 0] [%[[SIZE]], 1, 16]
// CHECK-NOT:   tensor<?x8x2x1024xf32>
// CHECK:       peer.mark 1 "mix"
// CHECK-NEXT:  %[[Y:.*]] = scf.forall {{.*}} step (32)
// CHECK:         peer.mix {{.*}} : tensor<?x256xf32>, tensor<?x8x16xi32>, tensor<?x8x16xf32>, tensor<65536x2x256xf32>
// CHECK:       peer.mark -1 ""
// CHECK-NEXT:  return %[[Y]]
func.func @layer(%x: tensor<?x256xf32>, %q: tensor<?x8x2x128xf32>, %keys: tensor<8x2x1024x128xf32>,
                 %pool: tensor<65536x2x256xf32>) -> tensor<?x256xf32> {
  %s = peer.score %q, %keys : tensor<?x8x2x128xf32>, tensor<8x2x1024x128xf32>
  %idx, %val = peer.select %s product_topk<16> : tensor<?x8x2x1024xf32>
  %w = peer.gate %val softmax : tensor<?x8x16xf32>
  %y = peer.mix %x, %idx, %w, %pool gelu
     : tensor<?x256xf32>, tensor<?x8x16xi32>, tensor<?x8x16xf32>, tensor<65536x2x256xf32>
  return %y : tensor<?x256xf32>
}

// -----

// All that others use leaves the loop, the scores too where somebody asks for them; users between the ops
// of the chain follow the loop.
// CHECK-LABEL: func.func @all_leave(
// CHECK:       %[[R:.*]]:4 = scf.forall
// CHECK:       peer.usage %[[R]]#1
// CHECK:       return %[[R]]#3, %[[R]]#2, %[[R]]#0
func.func @all_leave(%q: tensor<?x4x1x8xf32>, %keys: tensor<1x1x64x8xf32>, %ones: tensor<?x4x2xf32>,
                     %mass: tensor<64xf32>)
    -> (tensor<?x4x1x64xf32>, tensor<?x4x2xf32>, tensor<?x4x2xf32>, tensor<64xf32>) {
  %s = peer.score %q, %keys : tensor<?x4x1x8xf32>, tensor<1x1x64x8xf32>
  %idx, %val = peer.select %s topk<2> : tensor<?x4x1x64xf32>
  %m = peer.usage %idx, %ones, %mass : tensor<?x4x2xi32>, tensor<?x4x2xf32>, tensor<64xf32>
  %w = peer.gate %val sigmoid : tensor<?x4x2xf32>
  return %s, %val, %w, %m : tensor<?x4x1x64xf32>, tensor<?x4x2xf32>, tensor<?x4x2xf32>, tensor<64xf32>
}

// -----

// A mix that stands before the gate, in a loop of its own by then, counts as a user too.
// CHECK-LABEL: func.func @earlier_user(
// CHECK:       peer.mark 0 "score_select_gate"
// CHECK-NEXT:  %[[R:.*]]:2 = scf.forall
// CHECK:         peer.select
// CHECK-NOT:   peer.select
// CHECK:       peer.mark 1 "mix"
// CHECK:         tensor.extract_slice %[[R]]#1
// CHECK-NOT:   peer.select
// CHECK:       return
func.func @earlier_user(%x: tensor<?x8xf32>, %q: tensor<?x4x1x8xf32>, %keys: tensor<1x1x64x8xf32>,
                        %ones: tensor<?x4x2xf32>, %pool: tensor<64x2x8xf32>) -> (tensor<?x8xf32>, tensor<?x4x2xf32>) {
  %s = peer.score %q, %keys : tensor<?x4x1x8xf32>, tensor<1x1x64x8xf32>
  %idx, %val = peer.select %s topk<2> : tensor<?x4x1x64xf32>
  %y = peer.mix %x, %idx, %ones, %pool gelu
     : tensor<?x8xf32>, tensor<?x4x2xi32>, tensor<?x4x2xf32>, tensor<64x2x8xf32>
  %w = peer.gate %val softmax : tensor<?x4x2xf32>
  return %y, %w : tensor<?x8xf32>, tensor<?x4x2xf32>
}

// -----

// The chain ends where it ends: at the selection here.
// CHECK-LABEL: func.func @no_gate(
// CHECK:       peer.mark 0 "score_select"
// CHECK:       %[[R:.*]]:2 = scf.forall
// CHECK:       return %[[R]]#0, %[[R]]#1
func.func @no_gate(%q: tensor<?x4x1x8xf32>, %keys: tensor<4x1x64x8xf32>) -> (tensor<?x4x2xi32>, tensor<?x4x2xf32>) {
  %s = peer.score %q, %keys : tensor<?x4x1x8xf32>, tensor<4x1x64x8xf32>
  %idx, %val = peer.select %s topk<2> : tensor<?x4x1x64xf32>
  return %idx, %val : tensor<?x4x2xi32>, tensor<?x4x2xf32>
}

// -----

// One token (decoding): the token loop is no loop, heads are.
// CHECK-LABEL: func.func @one_token(
// CHECK:       scf.forall (%{{.*}}) in (8)
// CHECK:         peer.score {{.*}} : tensor<1x1x2x128xf32>, tensor<1x2x1024x128xf32>
// CHECK:       peer.mark 1 "mix"
// CHECK-NEXT:  peer.mix
func.func @one_token(%x: tensor<1x256xf32>, %q: tensor<1x8x2x128xf32>, %keys: tensor<8x2x1024x128xf32>,
                     %pool: tensor<65536x2x256xf32>) -> tensor<1x256xf32> {
  %s = peer.score %q, %keys : tensor<1x8x2x128xf32>, tensor<8x2x1024x128xf32>
  %idx, %val = peer.select %s product_topk<16> : tensor<1x8x2x1024xf32>
  %w = peer.gate %val softmax : tensor<1x8x16xf32>
  %y = peer.mix %x, %idx, %w, %pool gelu
     : tensor<1x256xf32>, tensor<1x8x16xi32>, tensor<1x8x16xf32>, tensor<65536x2x256xf32>
  return %y : tensor<1x256xf32>
}
