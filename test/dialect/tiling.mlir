// RUN: peer-opt %s --peer-tile="sizes=linear:t=64,j=100;attention:s=1,h=2;batch_norm_grad:c=32;rms_norm_grad:t=64;mix_grad:t=16;score:t=64,p=1,n=256;embedding:t=64;usage:t=64;route_key_grad:h=1" --split-input-file | FileCheck %s

// Both loops of a product; 100 does not divide 256, so tiles of its largest divisor up to that.
// CHECK-LABEL: func.func @linear(
// CHECK:       scf.forall (%[[T:.*]], %[[J:.*]]) = (0, 0) to (%{{.*}}, 256) step (64, 64)
// CHECK:         tensor.extract_slice %{{.*}}[%[[T]], 0] [%{{.*}}, 32]
// CHECK:         tensor.extract_slice %{{.*}}[0, %[[J]]] [32, 64]
// CHECK:         peer.linear {{.*}} : tensor<?x32xf32>, tensor<32x64xf32>
func.func @linear(%x: tensor<?x32xf32>, %w: tensor<32x256xf32>) -> tensor<?x256xf32> {
  %y = peer.linear %x, %w : tensor<?x32xf32>, tensor<32x256xf32>
  return %y : tensor<?x256xf32>
}

// -----

// Transposed operands are cut along their other dimension; the sum over T is not cut.
// CHECK-LABEL: func.func @transposed(
// CHECK:       scf.forall (%[[T:.*]], %[[J:.*]]) = (0, 0) to (128, 256) step (64, 64)
// CHECK:         tensor.extract_slice %{{.*}}[0, %[[T]]] [%{{.*}}, 64]
// CHECK:         tensor.extract_slice %{{.*}}[0, %[[J]]] [%{{.*}}, 64]
// CHECK:         peer.linear {{.*}} {transpose_x} : tensor<?x64xf32>, tensor<?x64xf32>
func.func @transposed(%x: tensor<?x128xf32>, %dy: tensor<?x256xf32>) -> tensor<128x256xf32> {
  %dw = peer.linear %x, %dy {transpose_x} : tensor<?x128xf32>, tensor<?x256xf32>
  return %dw : tensor<128x256xf32>
}

// -----

// A static row count that the size does not divide: the last tile is a partial one.
// CHECK-LABEL: func.func @partial(
// CHECK:       scf.forall (%{{.*}}, %{{.*}}) = (0, 0) to (100, 256) step (64, 64)
// CHECK:         peer.linear {{.*}} : tensor<?x32xf32>, tensor<32x64xf32>
// CHECK:         tensor.parallel_insert_slice {{.*}} : tensor<?x64xf32> into tensor<100x256xf32>
func.func @partial(%x: tensor<100x32xf32>, %w: tensor<32x256xf32>) -> tensor<100x256xf32> {
  %y = peer.linear %x, %w : tensor<100x32xf32>, tensor<32x256xf32>
  return %y : tensor<100x256xf32>
}

// -----

// One step of a scaled loop covers a sequence, or the columns of a head.
// CHECK: #[[SEQUENCES:.*]] = affine_map<()[s0] -> (s0 floordiv 16)>
// CHECK-LABEL: func.func @attention(
// CHECK:       %[[N:.*]] = affine.apply #[[SEQUENCES]]
// CHECK:       scf.forall (%{{.*}}, %{{.*}}) = (0, 0) to (%[[N]], 4) step (1, 2)
// CHECK:         peer.attention {{.*}} heads 2 context 16 : tensor<16x16xf32>, tensor<16x16xf32>, tensor<16x16xf32>
// CHECK:         tensor.parallel_insert_slice {{.*}} : tensor<16x16xf32> into tensor<?x32xf32>
func.func @attention(%q: tensor<?x32xf32>, %k: tensor<?x32xf32>, %v: tensor<?x32xf32>) -> tensor<?x32xf32> {
  %o = peer.attention %q, %k, %v heads 4 context 16 : tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x32xf32>
  return %o : tensor<?x32xf32>
}

// -----

// A tile of heads has heads of the keys and all that they serve.
// CHECK-LABEL: func.func @groups(
// CHECK:       scf.forall (%{{.*}}, %{{.*}}) = (0, 0) to (%{{.*}}, 4) step (1, 2)
// CHECK:         peer.attention {{.*}} heads 4 context 16 window 5 : tensor<16x16xf32>, tensor<16x8xf32>, tensor<16x8xf32>
// CHECK:         tensor.parallel_insert_slice {{.*}} : tensor<16x16xf32> into tensor<?x32xf32>
func.func @groups(%q: tensor<?x32xf32>, %k: tensor<?x16xf32>) -> tensor<?x32xf32> {
  %o = peer.attention %q, %k, %k heads 8 context 16 window 5 : tensor<?x32xf32>, tensor<?x16xf32>, tensor<?x16xf32>
  return %o : tensor<?x32xf32>
}

// -----

// Only channels are cut where the sum runs over all rows.
// CHECK-LABEL: func.func @channels(
// CHECK:       scf.forall (%[[C:.*]]) = (0) to (128) step (32)
// CHECK:         peer.batch_norm_grad {{.*}} : tensor<?x32xf32>, tensor<32xf32>, tensor<32xf32>, tensor<32xf32>, tensor<?x32xf32>, tensor<32xf32>, tensor<32xf32>
func.func @channels(%x: tensor<?x128xf32>, %w: tensor<128xf32>) -> tensor<?x128xf32> {
  %dx = peer.batch_norm_grad %x, %w, %w, %w, %x, %w, %w {epsilon = 1.0e-5 : f32, batch_statistics}
     : tensor<?x128xf32>, tensor<128xf32>, tensor<128xf32>, tensor<128xf32>, tensor<?x128xf32>, tensor<128xf32>, tensor<128xf32>
  return %dx : tensor<?x128xf32>
}

// -----

// Results of several ranks from one loop.
// CHECK-LABEL: func.func @several(
// CHECK:       scf.forall {{.*}} -> (tensor<?x8xf32>, tensor<?x2x2xf32>, tensor<?x2x2x1x2xf32>)
// CHECK:         tensor.parallel_insert_slice {{.*}} [%{{.*}}, 2, 2, 1, 2]
func.func @several(%x: tensor<?x8xf32>, %i: tensor<?x2x2xi32>, %w: tensor<?x2x2xf32>, %pool: tensor<64x2x8xf32>)
    -> (tensor<?x8xf32>, tensor<?x2x2xf32>, tensor<?x2x2x1x2xf32>) {
  %g:3 = peer.mix_grad %x, %i, %w, %pool, %x gelu
     : tensor<?x8xf32>, tensor<?x2x2xi32>, tensor<?x2x2xf32>, tensor<64x2x8xf32>, tensor<?x8xf32>
  return %g#0, %g#1, %g#2 : tensor<?x8xf32>, tensor<?x2x2xf32>, tensor<?x2x2x1x2xf32>
}

// -----

// Keys shared by all heads are not cut along heads.
// CHECK-LABEL: func.func @shared_keys(
// CHECK:       scf.forall (%{{.*}}, %[[P:.*]], %[[N:.*]]) = (0, 0, 0) to (%{{.*}}, 2, 1024) step (64, 1, 256)
// CHECK:         tensor.extract_slice %{{.*}}[0, %[[P]], %[[N]], 0] [1, 1, 256, 16]
// CHECK:         peer.score {{.*}} : tensor<?x8x1x16xf32>, tensor<1x1x256x16xf32>
func.func @shared_keys(%q: tensor<?x8x2x16xf32>, %keys: tensor<1x2x1024x16xf32>) -> tensor<?x8x2x1024xf32> {
  %s = peer.score %q, %keys : tensor<?x8x2x16xf32>, tensor<1x2x1024x16xf32>
  return %s : tensor<?x8x2x1024xf32>
}

// -----

// An op that updates an input in place has no loop of tiles.
// CHECK-LABEL: func.func @tied(
// CHECK-NOT:   scf.forall
// CHECK:       peer.usage
func.func @tied(%idx: tensor<?x4x2xi32>, %w: tensor<?x4x2xf32>, %mass: tensor<64xf32>) -> tensor<64xf32> {
  %m = peer.usage %idx, %w, %mass : tensor<?x4x2xi32>, tensor<?x4x2xf32>, tensor<64xf32>
  return %m : tensor<64xf32>
}
