// Upstream's ops in descriptions: what they compute is defined for all inputs, and stays within their operands.
// RUN: %peer-pass %s --peer-verify-level=level=model -split-input-file -verify-diagnostics -o /dev/null

#id = affine_map<(i, j) -> (i, j)>
#column = affine_map<(i, j) -> (i)>
func.func @good(%x: tensor<?x8xf32>, %n: tensor<?xi32>) -> (tensor<?xf32>, tensor<?xi32>) {
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0.0 : f32
  %t = tensor.dim %x, %c0 : tensor<?x8xf32>
  %e = tensor.empty(%t) : tensor<?xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<?xf32>) -> tensor<?xf32>
  %s = linalg.generic {indexing_maps = [#id, #column], iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<?x8xf32>) outs(%z : tensor<?xf32>) {
  ^bb0(%u: f32, %o: f32):
    %p = arith.addf %u, %o : f32
    linalg.yield %p : f32
  } -> tensor<?xf32>
  %r = math.rsqrt %s : tensor<?xf32>
  %c = arith.constant dense<7> : tensor<8xi32>
  %two = linalg.fill ins(%zero : f32) outs(%e : tensor<?xf32>) -> tensor<?xf32>
  %m = arith.addi %n, %n : tensor<?xi32>
  %y = arith.mulf %r, %two : tensor<?xf32>
  return %y, %m : tensor<?xf32>, tensor<?xi32>
}

// -----

func.func @divide(%a: tensor<4xi32>, %b: tensor<4xi32>) -> tensor<4xi32> {
  %three = arith.constant dense<3> : tensor<4xi32>
  %good = arith.divsi %a, %three : tensor<4xi32>
  // expected-error @+1 {{op 'arith.remsi' divides by what may be 0 or -1, which has no result; divide by another constant}}
  %0 = arith.remsi %good, %b : tensor<4xi32>
  return %0 : tensor<4xi32>
}

// -----

func.func @shift(%a: tensor<4xi32>) -> tensor<4xi32> {
  %far = arith.constant dense<32> : tensor<4xi32>
  // expected-error @+1 {{op 'arith.shli' shifts by what may be more than the bits there are; shift by a constant}}
  %0 = arith.shli %a, %far : tensor<4xi32>
  return %0 : tensor<4xi32>
}

// -----

func.func @overflow(%a: tensor<4xi32>) -> tensor<4xi32> {
  // expected-error @+1 {{op 'arith.addi' promises that it does not overflow, which nothing checks; leave 'overflow<...>' out}}
  %0 = arith.addi %a, %a overflow<nsw> : tensor<4xi32>
  return %0 : tensor<4xi32>
}

// -----

func.func @index(%a: tensor<4xi32>) -> tensor<4xi32> {
  // expected-error @+1 {{expected a value of op 'arith.index_cast' to be a tensor of f32, bf16, f16, f64, i1, i8, i16, i32 or i64, got 'tensor<4xindex>'}}
  %0 = arith.index_cast %a : tensor<4xi32> to tensor<4xindex>
  return %a : tensor<4xi32>
}

// -----

func.func @size(%a: tensor<?xf32>) -> tensor<?xf32> {
  %many = arith.constant 1000 : index
  // expected-error @+1 {{op 'tensor.empty' has a computed size; take it from an operand by tensor.dim}}
  %0 = tensor.empty(%many) : tensor<?xf32>
  return %0 : tensor<?xf32>
}

// -----

func.func @dim(%a: tensor<?x4xf32>) {
  %c1 = arith.constant 2 : index
  // expected-error @+1 {{op 'tensor.dim' wants the number of a dimension that its operand has, as a constant}}
  %0 = tensor.dim %a, %c1 : tensor<?x4xf32>
  return
}

// -----

func.func @values() -> tensor<4xf32> {
  // expected-error @+1 {{op 'arith.constant' has a value of the wrong kind; write it as dense<...>}}
  %0 = arith.constant sparse<0, 1.0> : tensor<4xf32>
  return %0 : tensor<4xf32>
}

// -----

#next = affine_map<(i) -> (i + 1)>
#one = affine_map<(i) -> (i)>
func.func @beyond(%a: tensor<?xf32>, %o: tensor<?xf32>) -> tensor<?xf32> {
  // expected-error @+1 {{op 'linalg.generic' has an indexing map that is no projection of its loops: affine_map<(d0) -> (d0 + 1)>}}
  %0 = linalg.generic {indexing_maps = [#next, #one], iterator_types = ["parallel"]}
      ins(%a : tensor<?xf32>) outs(%o : tensor<?xf32>) {
  ^bb0(%u: f32, %v: f32):
    linalg.yield %u : f32
  } -> tensor<?xf32>
  return %0 : tensor<?xf32>
}

// -----

#one = affine_map<(i) -> (i)>
func.func @mixed(%a: tensor<?xf32>, %o: tensor<8xf32>) -> tensor<8xf32> {
  // expected-error @+1 {{op 'linalg.generic' walks operands of different sizes in one loop}}
  %0 = linalg.generic {indexing_maps = [#one, #one], iterator_types = ["parallel"]}
      ins(%a : tensor<?xf32>) outs(%o : tensor<8xf32>) {
  ^bb0(%u: f32, %v: f32):
    linalg.yield %u : f32
  } -> tensor<8xf32>
  return %0 : tensor<8xf32>
}

// -----

#one = affine_map<(i) -> (i)>
func.func @gather(%a: tensor<4xf32>, %i: tensor<8xi32>, %o: tensor<8xf32>) -> tensor<8xf32> {
  %0 = linalg.generic {indexing_maps = [#one, #one], iterator_types = ["parallel"]}
      ins(%i : tensor<8xi32>) outs(%o : tensor<8xf32>) {
  ^bb0(%u: i32, %v: f32):
    %at = arith.index_cast %u : i32 to index
    // expected-error @+1 {{op 'tensor.extract' is not allowed in the region of op 'linalg.generic'}}
    %e = tensor.extract %a[%at] : tensor<4xf32>
    linalg.yield %e : f32
  } -> tensor<8xf32>
  return %0 : tensor<8xf32>
}
