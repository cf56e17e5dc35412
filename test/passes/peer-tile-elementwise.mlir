// RUN: peer-opt %s --peer-tile="sizes=elementwise:d0=64;activation:t=64;generic:d0=16;linear:t=64" --split-input-file | FileCheck %s

#id = affine_map<(d0, d1) -> (d0, d1)>

// An activation whose only user is elementwise shares its loop; the product before it does not. The destination is not
// one of the inputs, for a loop would copy it whole.
// CHECK-LABEL: func.func @chain(
// CHECK-SAME:    %[[X:[a-z0-9]+]]: tensor<?x64xf32>
// CHECK:       peer.mark 0 "linear"
// CHECK:       %[[H:.*]] = scf.forall
// CHECK:         peer.linear
// CHECK:       %[[EMPTY:.*]] = tensor.empty(%{{.*}}) : tensor<?x64xf32>
// CHECK:       peer.mark 1 "activation_elementwise" bytes [0, 768] flops [0, 64]
// CHECK-NEXT:  scf.forall (%[[T:.*]]) = (0) to (%{{.*}}) step (64) shared_outs(%{{.*}} = %[[EMPTY]])
// CHECK:         %[[HT:.*]] = tensor.extract_slice %[[H]]
// CHECK:         %[[A:.*]] = peer.activation %[[HT]] gelu : tensor<?x64xf32>
// CHECK:         linalg.generic {{.*}} ins(%{{.*}}, %[[A]] :
func.func @chain(%x: tensor<?x64xf32>, %w: tensor<64x64xf32>) -> tensor<?x64xf32> {
  %h = peer.linear %x, %w : tensor<?x64xf32>, tensor<64x64xf32>
  %a = peer.activation %h gelu : tensor<?x64xf32>
  %y = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x, %a : tensor<?x64xf32>, tensor<?x64xf32>) outs(%x : tensor<?x64xf32>) {
  ^bb0(%l: f32, %r: f32, %o: f32):
    %sum = arith.addf %l, %r : f32
    linalg.yield %sum : f32
  } -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// -----

#id = affine_map<(d0, d1) -> (d0, d1)>

// An activation that others use too stays a kernel of its own.
// CHECK-LABEL: func.func @two_users(
// CHECK:       peer.mark 0 "activation"
// CHECK:       peer.mark 1 "elementwise"
func.func @two_users(%x: tensor<?x64xf32>) -> (tensor<?x64xf32>, tensor<?x64xf32>) {
  %a = peer.activation %x silu : tensor<?x64xf32>
  %y = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x, %a : tensor<?x64xf32>, tensor<?x64xf32>) outs(%x : tensor<?x64xf32>) {
  ^bb0(%l: f32, %r: f32, %o: f32):
    %sum = arith.addf %l, %r : f32
    linalg.yield %sum : f32
  } -> tensor<?x64xf32>
  return %y, %a : tensor<?x64xf32>, tensor<?x64xf32>
}

// -----

// Reductions are not cut, and scalars get neither loop nor mark.
// CHECK-LABEL: func.func @reduce(
// CHECK:       peer.mark 0 "generic" bytes [0, 264] flops [0, 64]
// CHECK:       scf.forall (%{{.*}}) = (0) to (%{{.*}}) step (16)
// CHECK:         linalg.generic {{.*}} iterator_types = ["parallel", "reduction"]
// CHECK:       %[[S:.*]] = linalg.generic
// CHECK-SAME:    iterator_types = []
// CHECK:       peer.mark -1
func.func @reduce(%x: tensor<?x64xf32>, %init: tensor<?xf32>, %s: tensor<f32>) -> (tensor<?xf32>, tensor<f32>) {
  %y = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>],
                       iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<?x64xf32>) outs(%init : tensor<?xf32>) {
  ^bb0(%l: f32, %o: f32):
    %sum = arith.addf %l, %o : f32
    linalg.yield %sum : f32
  } -> tensor<?xf32>
  %r = linalg.generic {indexing_maps = [affine_map<() -> ()>, affine_map<() -> ()>], iterator_types = []}
      ins(%s : tensor<f32>) outs(%s : tensor<f32>) {
  ^bb0(%l: f32, %o: f32):
    %root = math.sqrt %l : f32
    linalg.yield %root : f32
  } -> tensor<f32>
  return %y, %r : tensor<?xf32>, tensor<f32>
}
