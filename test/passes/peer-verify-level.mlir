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

// A pool of another size than what was selected among would be read out of its bounds, or never be used whole; so would
// an operand with fewer rows than the one beside it.
// RUN: %peer-pass %t/sizes.mlir --peer-verify-level=level=graph -split-input-file -verify-diagnostics -o /dev/null

// RUN: not %peer-pass %t/buffers.mlir --peer-verify-level=level=graph 2>&1 | FileCheck %s --check-prefix=BUFFERS
// BUFFERS: error: op 'peer.linear' works on buffers, which is not allowed at the graph level

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

//--- buffers.mlir
func.func @f(%x: memref<?x8xf32>, %w: memref<8x4xf32>, %y: memref<?x4xf32>) {
  peer.linear %x, %w outs(%y : memref<?x4xf32>) : memref<?x8xf32>, memref<8x4xf32>
  return
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

//--- sizes.mlir
func.func @product(%s: tensor<?x2x2x4xf32>, %x: tensor<?x8xf32>, %p: tensor<15x2x8xf32>) -> tensor<?x8xf32> {
  %i, %v = peer.select %s product_topk<2> : tensor<?x2x2x4xf32>
  // expected-error @+1 {{op 'peer.mix' has a pool of 15 experts, but its experts are selected among 16 (4 * 4 product keys); give it 16 rows}}
  %y = peer.mix %x, %i, %v, %p gelu : tensor<?x8xf32>, tensor<?x2x2xi32>, tensor<?x2x2xf32>, tensor<15x2x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @quantized(%s: tensor<?x2x2x4xf32>, %x: tensor<?x8xf32>, %p: tensor<15x2x8xi8>, %f: tensor<15x2xf32>)
    -> tensor<?x8xf32> {
  %i, %v = peer.select %s product_topk<2> : tensor<?x2x2x4xf32>
  // expected-error @+1 {{op 'peer.quantized_mix' has a pool of 15 experts, but its experts are selected among 16 (4 * 4 product keys); give it 16 rows}}
  %y = peer.quantized_mix %x, %i, %v, %p, %f gelu
     : tensor<?x8xf32>, tensor<?x2x2xi32>, tensor<?x2x2xf32>, tensor<15x2x8xi8>, tensor<15x2xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @plain(%s: tensor<?x2x1x4xf32>, %x: tensor<?x8xf32>, %p: tensor<16x2x8xf32>) -> tensor<?x8xf32> {
  %i, %v = peer.select %s topk<2> : tensor<?x2x1x4xf32>
  // expected-error @+1 {{op 'peer.mix' has a pool of 8 experts, but its experts are selected among 4; {rows_per_expert = 4} makes 4 of its 16 rows}}
  %y = peer.mix %x, %i, %v, %p gelu {rows_per_expert = 2} : tensor<?x8xf32>, tensor<?x2x2xi32>, tensor<?x2x2xf32>, tensor<16x2x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @hashed(%t: tensor<?xi32>, %x: tensor<?x8xf32>, %p: tensor<16x2x8xf32>) -> tensor<?x8xf32> {
  %i, %w = peer.hash %t experts 8 : tensor<?xi32>
  // expected-error @+1 {{op 'peer.mix' has a pool of 16 experts, but its experts are selected among 8; {rows_per_expert = 2} makes 8 of its 16 rows}}
  %y = peer.mix %x, %i, %w, %p gelu : tensor<?x8xf32>, tensor<?x1x1xi32>, tensor<?x1x1xf32>, tensor<16x2x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @chosen(%s: tensor<?x1x1x8xf32>, %x: tensor<?x8xf32>, %p: tensor<4x2x8xf32>) -> tensor<?x8xf32> {
  %i, %v = peer.select %s expert_choice<2.0> : tensor<?x1x1x8xf32>
  // expected-error @+1 {{op 'peer.mix' has a pool of 4 experts, but its experts are selected among 8; give it 8 rows}}
  %y = peer.mix %x, %i, %v, %p gelu : tensor<?x8xf32>, tensor<?x1x8xi32>, tensor<?x1x8xf32>, tensor<4x2x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @capacity(%s: tensor<?x1x1x8xf32>) -> tensor<?x1x2xf32> {
  %i, %v = peer.select %s topk<2> : tensor<?x1x1x8xf32>
  // expected-error @+1 {{op 'peer.capacity' is for 4 experts, but its experts are selected among 8}}
  %j, %w = peer.capacity %i, %v experts 4 factor 1.25 by token : tensor<?x1x2xi32>, tensor<?x1x2xf32>
  return %w : tensor<?x1x2xf32>
}

// -----

func.func @load(%s: tensor<?x1x1x8xf32>) -> tensor<2x8xf32> {
  %i, %v = peer.select %s topk<2> : tensor<?x1x1x8xf32>
  // expected-error @+1 {{op 'peer.expert_load' is for 64 experts, but its experts are selected among 8}}
  %f = peer.expert_load %i keys 8 halves 2 : tensor<?x1x2xi32>
  return %f : tensor<2x8xf32>
}

// -----

func.func @rows(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // expected-note @+1 {{this reshape makes other rows than one per token}}
  %h = peer.reshape %x to tensor<?x16xf32> : tensor<?x8xf32>
  %a = peer.activation %h gelu : tensor<?x16xf32>
  %b = peer.reshape %a to tensor<?x8xf32> : tensor<?x16xf32>
  %c = arith.addf %x, %b : tensor<?x8xf32>
  %w = arith.constant dense<1.0> : tensor<16x8xf32>
  %d = peer.linear %a, %w : tensor<?x16xf32>, tensor<16x8xf32>
  // expected-error @+1 {{op 'arith.addf' works on T rows of one operand, but on T / 2 of another}}
  %y = arith.addf %c, %d : tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @heads(%x: tensor<?x8xf32>) -> tensor<?x4xf32> {
  // expected-note @+1 {{this reshape makes other rows than one per token}}
  %h = peer.reshape %x to tensor<?x4xf32> : tensor<?x8xf32>
  // expected-error @+1 {{op 'func.return' returns T * 2 rows, where entries return one per token}}
  return %h : tensor<?x4xf32>
}
