// What no description may hold is refused at its place, with the cure where one is known.
// RUN: %peer-pass %s --peer-verify-level=level=model -split-input-file -verify-diagnostics -o /dev/null

func.func @gradient(%x: tensor<?x4xf32>, %dy: tensor<?x4xf32>) -> tensor<?x4xf32> {
  // expected-error @+1 {{op 'peer.activation_grad' is for passes to make, not for a description; peer.gradient, peer.train and peer.decode ask for gradients, updates and caches}}
  %0 = peer.activation_grad %x, %dy gelu : tensor<?x4xf32>, tensor<?x4xf32>
  return %0 : tensor<?x4xf32>
}

// -----

func.func @cached(%x: tensor<?x4xf32>, %p: tensor<i32>) -> tensor<?x4xf32> {
  // expected-error @+1 {{op 'peer.rotary_at' is for passes to make}}
  %0 = peer.rotary_at %x, %p heads 1 : tensor<?x4xf32>, tensor<i32>
  return %0 : tensor<?x4xf32>
}

// -----

func.func @update(%w: tensor<4xf32>, %g: tensor<4xf32>, %s: tensor<f32>) -> tensor<4xf32> {
  // expected-error @+1 {{op 'peer.update' is for passes to make}}
  %0 = peer.update %w, %g, %s, %s, %s {optimizer = #peer.sgd<>}
     : tensor<4xf32>, tensor<4xf32>, tensor<f32>, tensor<f32>, tensor<f32>
  return %0 : tensor<4xf32>
}

// -----

func.func @outs(%x: tensor<?x4xf32>, %w: tensor<4x4xf32>, %o: tensor<?x4xf32>) -> tensor<?x4xf32> {
  // expected-error @+1 {{op 'peer.linear' has 'outs', which passes give it; leave them out}}
  %0 = peer.linear %x, %w outs(%o : tensor<?x4xf32>) : tensor<?x4xf32>, tensor<4x4xf32>
  return %0 : tensor<?x4xf32>
}

// -----

func.func @seed(%x: tensor<?x4xf32>, %s: tensor<i32>) -> tensor<?x4xf32> {
  // expected-error @+1 {{op 'peer.dropout' has a seed or a place, which peer.train gives it; leave them out}}
  %0 = peer.dropout %x seed %s {rate = 0.1 : f32} : tensor<?x4xf32>, tensor<i32>
  return %0 : tensor<?x4xf32>
}

// -----

func.func @place(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  // expected-error @+1 {{op 'peer.dropout' has a seed or a place, which peer.train gives it; leave them out}}
  %0 = peer.dropout %x {rate = 0.1 : f32, place = 1 : i64} : tensor<?x4xf32>
  return %0 : tensor<?x4xf32>
}

// -----

func.func @some_experts(%s: tensor<?x1x1x8xf32>) -> tensor<?x1x8xf32> {
  %i, %v = peer.select %s threshold<0.5, of = sigmoid, max = 8> : tensor<?x1x1x8xf32>
  // expected-error @+1 {{op 'peer.straight_through' wants the scores of all experts, which learn by its gradient, and gets those that threshold selects; select all, or for inference use the gate one}}
  %w = peer.straight_through %v : tensor<?x1x8xf32>
  return %w : tensor<?x1x8xf32>
}

// -----

func.func @statistics(%x: tensor<?x4xf32>, %w: tensor<4xf32>) -> tensor<?x4xf32> {
  // expected-error @+1 {{op 'peer.batch_norm' has the attribute 'batch_statistics', which peer.train sets where it takes them; leave it out}}
  %0 = peer.batch_norm %x, %w, %w, %w, %w {batch_statistics}
     : tensor<?x4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>
  return %0 : tensor<?x4xf32>
}

// -----

// A tile may be more static than what it is of; in a description that would be a promise about the input.
func.func @static(%x: tensor<?x4xf32>, %w: tensor<4x4xf32>) -> tensor<8x4xf32> {
  // expected-error @+1 {{op 'peer.linear' returns 'tensor<?x4xf32>', not 'tensor<8x4xf32>'}}
  %0 = "peer.linear"(%x, %w) <{operandSegmentSizes = array<i32: 1, 1, 0, 0>}> : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<8x4xf32>
  return %0 : tensor<8x4xf32>
}

// -----

func.func @rows(%x: tensor<?x4xf32>, %i: tensor<8x1x2xi32>, %w: tensor<8x1x2xf32>, %p: tensor<4x2x4xf32>) -> tensor<8x4xf32> {
  // expected-error @+1 {{op 'peer.mix' has '?' rows in one operand and a number of rows in another; write '?' in both}}
  %0 = peer.mix %x, %i, %w, %p gelu : tensor<?x4xf32>, tensor<8x1x2xi32>, tensor<8x1x2xf32>, tensor<4x2x4xf32>
  return %0 : tensor<8x4xf32>
}

// -----

// expected-error @+1 {{op 'peer.param' cannot stand beside the functions of a description; requests can: peer.gradient, peer.train and peer.decode}}
%w = peer.param "w" zeros : tensor<4xf32>

// -----

// A position that is computed could lie anywhere.
func.func @extract(%x: tensor<4xf32>, %i: tensor<i32>) -> tensor<4xf32> {
  // expected-error @+1 {{op 'tensor.extract' cannot stand in a description, which is made of peer ops, elementwise ops of arith and math on tensors, and structured ops of linalg; peer.embedding takes rows by index}}
  %0 = tensor.extract %i[] : tensor<i32>
  return %x : tensor<4xf32>
}

// -----

func.func @cast(%x: tensor<?x4xf32>) -> tensor<8x4xf32> {
  // expected-error @+1 {{op 'tensor.cast' cannot stand in a description}}
  %0 = tensor.cast %x : tensor<?x4xf32> to tensor<8x4xf32>
  return %0 : tensor<8x4xf32>
}

// -----

func.func @slice(%x: tensor<?x4xf32>) -> tensor<8x4xf32> {
  // expected-error @+1 {{op 'tensor.extract_slice' has a computed size; a dimension of '?' is taken whole, by its tensor.dim, others by numbers}}
  %0 = tensor.extract_slice %x[0, 0] [8, 4] [1, 1] : tensor<?x4xf32> to tensor<8x4xf32>
  return %0 : tensor<8x4xf32>
}

// -----

func.func @memory(%x: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error @+1 {{op 'memref.alloc' cannot stand in a description}}
  %0 = memref.alloc() : memref<4xf32>
  return %x : tensor<4xf32>
}

// -----

func.func @control(%x: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error @+1 {{op 'scf.execute_region' cannot stand in a description}}
  %0 = scf.execute_region -> tensor<4xf32> {
    scf.yield %x : tensor<4xf32>
  }
  return %0 : tensor<4xf32>
}

// -----

// expected-error @+1 {{@branches has control flow; functions of a description are straight lines of ops}}
func.func @branches(%x: tensor<4xf32>) -> tensor<4xf32> {
  cf.br ^next
^next:
  return %x : tensor<4xf32>
}

// -----

// expected-error @+1 {{op 'llvm.func' cannot stand beside the functions of a description; requests can: peer.gradient, peer.train and peer.decode}}
llvm.func @malloc(i64) -> !llvm.ptr

// -----

// expected-error @+1 {{expected argument 0 of @buffer to be a tensor with known dimensions, got 'memref<4xf32>'}}
func.func @buffer(%x: memref<4xf32>) {
  return
}

// -----

// expected-error @+1 {{expected argument 0 of @columns to be a tensor whose first dimension alone may be '?', got 'tensor<4x?xf32>'}}
func.func @columns(%x: tensor<4x?xf32>) {
  return
}

// -----

// expected-error @+1 {{expected argument 0 of @large to be a tensor of at most 2^40 elements, got 'tensor<?x4294967296x4294967296xf32>'}}
func.func @large(%x: tensor<?x4294967296x4294967296xf32>) {
  return
}

// -----

// expected-error @+1 {{expected result 0 of @complex to be a tensor of f32, bf16, f16, f64, f8E4M3FN, i1, i8, i16, i32 or i64, got 'tensor<4xcomplex<f32>>'}}
func.func @complex(%x: tensor<4xf32>) -> tensor<4xcomplex<f32>> {
  %0 = arith.constant dense<(0.0, 0.0)> : tensor<4xcomplex<f32>>
  return %0 : tensor<4xcomplex<f32>>
}

// -----

// All tokens of some columns.
func.func @columns(%x: tensor<?x4xf32>) -> tensor<?x2xf32> {
  %c0 = arith.constant 0 : index
  %t = tensor.dim %x, %c0 : tensor<?x4xf32>
  %0 = tensor.extract_slice %x[0, 1] [%t, 2] [1, 2] : tensor<?x4xf32> to tensor<?x2xf32>
  return %0 : tensor<?x2xf32>
}

// -----

func.func @position(%x: tensor<6x4xf32>) -> tensor<3x4xf32> {
  %c0 = arith.constant 0 : index
  %t = tensor.dim %x, %c0 : tensor<6x4xf32>
  // expected-error @+1 {{op 'tensor.extract_slice' has a computed position; positions are numbers}}
  %0 = tensor.extract_slice %x[%t, 0] [3, 4] [1, 1] : tensor<6x4xf32> to tensor<3x4xf32>
  return %0 : tensor<3x4xf32>
}

// -----

// expected-error @+1 {{expected argument 0 of @many to be a tensor of at most 2^31 - 1 integers, got 'tensor<4294967296xi32>'}}
func.func @many(%t: tensor<4294967296xi32>) -> tensor<4294967296xi32> {
  return %t : tensor<4294967296xi32>
}
