// Each level refuses what belongs to another one, naming the first op that does.
// RUN: split-file %s %t
// RUN: %peer-pass %t/description.mlir --peer-verify-level=level=model -o /dev/null
// RUN: not %peer-pass %t/description.mlir --peer-verify-level=level=graph 2>&1 | FileCheck %s --check-prefix=NAMES
// NAMES: error: op 'peer.param' belongs to a model description and is not allowed at the graph level

// RUN: %peer-pass %t/graph.mlir --peer-verify-level=level=graph -o /dev/null
// RUN: not %peer-pass %t/graph.mlir --peer-verify-level=level=tiled 2>&1 | FileCheck %s --check-prefix=UNTILED
// UNTILED: error: op 'peer.score' must stand inside a loop or have static shapes at the tiled level

// RUN: not %peer-pass %t/tiled.mlir --peer-verify-level=level=graph 2>&1 | FileCheck %s --check-prefix=LOOPS
// LOOPS: error: op 'scf.for' is not allowed at the graph level
// RUN: %peer-pass %t/tiled.mlir --peer-verify-level=level=tiled -o /dev/null
// RUN: not %peer-pass %t/tiled.mlir --peer-verify-level=level=kernel 2>&1 | FileCheck %s --check-prefix=VALUES
// VALUES: error: op 'scf.for' works on tensors, which is not allowed at the kernel level

// RUN: not %peer-pass %t/graph.mlir --peer-verify-level=level=kernel 2>&1 | FileCheck %s --check-prefix=PEER
// PEER: error: op 'peer.score' is not allowed at the kernel level

// RUN: %peer-pass %t/kernel.mlir --peer-verify-level=level=kernel -o /dev/null
// RUN: not %peer-pass %t/tensors.mlir --peer-verify-level=level=kernel 2>&1 | FileCheck %s --check-prefix=TENSORS
// TENSORS: error: op 'arith.addf' works on tensors, which is not allowed at the kernel level

// RUN: not %peer-pass %t/kernel.mlir --peer-verify-level=level=assembly 2>&1 | FileCheck %s --check-prefix=UNKNOWN
// UNKNOWN: error: unknown level 'assembly': expected model, graph, tiled or kernel

//--- description.mlir
func.func @f(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %w = peer.param "w" zeros : tensor<8x8xf32>
  %y = peer.linear %x, %w : tensor<?x8xf32>, tensor<8x8xf32>
  return %y : tensor<?x8xf32>
}
peer.gradient @g of @f

//--- graph.mlir
func.func @f(%q: tensor<?x1x1x8xf32>, %k: tensor<1x1x4x8xf32>) -> tensor<?x1x1x4xf32> {
  %y = peer.score %q, %k : tensor<?x1x1x8xf32>, tensor<1x1x4x8xf32>
  return %y : tensor<?x1x1x4xf32>
}

//--- tiled.mlir
func.func @f(%q: tensor<32x1x1x8xf32>, %k: tensor<1x1x4x8xf32>, %out: tensor<32x1x1x4xf32>, %n: index) -> tensor<32x1x1x4xf32> {
  %c0 = arith.constant 0 : index
  %c8 = arith.constant 8 : index
  %y = scf.for %i = %c0 to %n step %c8 iter_args(%acc = %out) -> tensor<32x1x1x4xf32> {
    %tile = tensor.extract_slice %q[%i, 0, 0, 0] [8, 1, 1, 8] [1, 1, 1, 1] : tensor<32x1x1x8xf32> to tensor<8x1x1x8xf32>
    %s = peer.score %tile, %k : tensor<8x1x1x8xf32>, tensor<1x1x4x8xf32>
    %r = tensor.insert_slice %s into %acc[%i, 0, 0, 0] [8, 1, 1, 4] [1, 1, 1, 1] : tensor<8x1x1x4xf32> into tensor<32x1x1x4xf32>
    scf.yield %r : tensor<32x1x1x4xf32>
  }
  return %y : tensor<32x1x1x4xf32>
}

//--- kernel.mlir
func.func @f(%m: memref<8xf32>, %i: index) {
  %v = vector.load %m[%i] : memref<8xf32>, vector<4xf32>
  %s = arith.addf %v, %v : vector<4xf32>
  vector.store %s, %m[%i] : memref<8xf32>, vector<4xf32>
  return
}

//--- tensors.mlir
func.func @f(%x: tensor<8xf32>) -> tensor<8xf32> {
  %y = arith.addf %x, %x : tensor<8xf32>
  return %y : tensor<8xf32>
}
