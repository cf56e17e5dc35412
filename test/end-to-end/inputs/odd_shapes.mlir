// upstream elementwise ops, f32
func.func @f(%x: tensor<?x5xf32> {peer.name = "x"}, %z: tensor<?x5xf32> {peer.name = "z"}) -> (tensor<?x5xf32> {peer.name = "y"}) {
  %a = arith.addf %x, %z : tensor<?x5xf32>
  %b = arith.mulf %a, %x : tensor<?x5xf32>
  %c = arith.subf %b, %z : tensor<?x5xf32>
  %d = arith.maximumf %c, %x : tensor<?x5xf32>
  %e = arith.minimumf %d, %b : tensor<?x5xf32>
  %f = arith.negf %e : tensor<?x5xf32>
  %g = math.exp %f : tensor<?x5xf32>
  %h = math.tanh %g : tensor<?x5xf32>
  %i = math.sqrt %g : tensor<?x5xf32>
  %j = arith.divf %h, %g : tensor<?x5xf32>
  %k = math.absf %j : tensor<?x5xf32>
  %l = math.erf %k : tensor<?x5xf32>
  %m = math.sin %l : tensor<?x5xf32>
  %n = math.cos %i : tensor<?x5xf32>
  %y = arith.addf %m, %n : tensor<?x5xf32>
  return %y : tensor<?x5xf32>
}
// -----
// narrow floats and integers
func.func @f(%x: tensor<?x5xbf16> {peer.name = "x"}, %i: tensor<?x5xi32> {peer.name = "i"})
    -> (tensor<?x5xbf16> {peer.name = "y"}, tensor<?x5xf32> {peer.name = "w"}, tensor<?x5xi32> {peer.name = "j"}) {
  %a = arith.addf %x, %x : tensor<?x5xbf16>
  %w = arith.extf %a : tensor<?x5xbf16> to tensor<?x5xf32>
  %j = arith.addi %i, %i : tensor<?x5xi32>
  return %a, %w, %j : tensor<?x5xbf16>, tensor<?x5xf32>, tensor<?x5xi32>
}
// -----
// integers to floats
func.func @f(%i: tensor<?xi32> {peer.name = "i"}) -> (tensor<?xf32> {peer.name = "y"}) {
  %y = arith.sitofp %i : tensor<?xi32> to tensor<?xf32>
  return %y : tensor<?xf32>
}
// -----
// rank 0, 1, 3 and 5
func.func @f(%a: tensor<f32> {peer.name = "a"}, %b: tensor<7xf32> {peer.name = "b"}, %c: tensor<2x3x5xf32> {peer.name = "c"}, %d: tensor<1x2x1x3x1xf32> {peer.name = "d"})
    -> (tensor<f32> {peer.name = "e"}, tensor<7xf32> {peer.name = "f"}, tensor<2x3x5xf32> {peer.name = "g"}, tensor<1x2x1x3x1xf32> {peer.name = "h"}) {
  %e = arith.addf %a, %a : tensor<f32>
  %f = arith.addf %b, %b : tensor<7xf32>
  %g = arith.mulf %c, %c : tensor<2x3x5xf32>
  %h = arith.mulf %d, %d : tensor<1x2x1x3x1xf32>
  return %e, %f, %g, %h : tensor<f32>, tensor<7xf32>, tensor<2x3x5xf32>, tensor<1x2x1x3x1xf32>
}
// -----
// f64
func.func @f(%x: tensor<?x5xf64> {peer.name = "x"}) -> (tensor<?x5xf64> {peer.name = "y"}) {
  %y = arith.mulf %x, %x : tensor<?x5xf64>
  return %y : tensor<?x5xf64>
}
// -----
// i64 and i16
func.func @f(%x: tensor<?x5xi64> {peer.name = "x"}, %z: tensor<?xi16> {peer.name = "z"}) -> (tensor<?x5xi64> {peer.name = "y"}, tensor<?xi16> {peer.name = "w"}) {
  %y = arith.addi %x, %x : tensor<?x5xi64>
  %w = arith.addi %z, %z : tensor<?xi16>
  return %y, %w : tensor<?x5xi64>, tensor<?xi16>
}
// -----
// booleans
func.func @f(%x: tensor<?x5xf32> {peer.name = "x"}, %z: tensor<?x5xf32> {peer.name = "z"}) -> (tensor<?x5xf32> {peer.name = "y"}) {
  %c = arith.cmpf olt, %x, %z : tensor<?x5xf32>
  %y = arith.select %c, %x, %z : tensor<?x5xi1>, tensor<?x5xf32>
  return %y : tensor<?x5xf32>
}
// -----
// a boolean result
func.func @f(%x: tensor<?x5xf32> {peer.name = "x"}) -> (tensor<?x5xi1> {peer.name = "y"}) {
  %y = arith.cmpf olt, %x, %x : tensor<?x5xf32>
  return %y : tensor<?x5xi1>
}
// -----
// linear, all ways, odd sizes
func.func @f(%x: tensor<?x3xf32> {peer.name = "x"}) -> (tensor<?x5xf32> {peer.name = "a"}, tensor<3x3xf32> {peer.name = "b"}, tensor<5x7xf32> {peer.name = "c"}) {
  %w = peer.param "w" normal(1.0) : tensor<3x5xf32>
  %v = peer.param "v" normal(1.0) : tensor<7x3xf32>
  %a = peer.linear %x, %w : tensor<?x3xf32>, tensor<3x5xf32>
  %b = peer.linear %x, %x {transpose_x} : tensor<?x3xf32>, tensor<?x3xf32>
  %c = peer.linear %w, %v {transpose_x, transpose_weight} : tensor<3x5xf32>, tensor<7x3xf32>
  return %a, %b, %c : tensor<?x5xf32>, tensor<3x3xf32>, tensor<5x7xf32>
}
// -----
// a product with a constant, and of no inner dimension
func.func @f(%x: tensor<?x2xf32> {peer.name = "x"}, %z: tensor<?x0xf32> {peer.name = "z"}) -> (tensor<?x3xf32> {peer.name = "a"}, tensor<?x3xf32> {peer.name = "b"}) {
  %w = arith.constant dense<[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]> : tensor<2x3xf32>
  %v = arith.constant dense<1.0> : tensor<0x3xf32>
  %a = peer.linear %x, %w : tensor<?x2xf32>, tensor<2x3xf32>
  %b = peer.linear %z, %v : tensor<?x0xf32>, tensor<0x3xf32>
  return %a, %b : tensor<?x3xf32>, tensor<?x3xf32>
}
// -----
// tokens in columns
func.func @f(%x: tensor<?x3xf32> {peer.name = "x"}) -> (tensor<?x5xf32> {peer.name = "y"}) {
  %w = peer.param "w" normal(1.0) : tensor<5x3xf32>
  %i = arith.constant dense<[[1.0, 0.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0, 2.0]]> : tensor<5x5xf32>
  %t = peer.linear %w, %x {transpose_weight} : tensor<5x3xf32>, tensor<?x3xf32>
  %y = peer.linear %t, %i {transpose_x} : tensor<5x?xf32>, tensor<5x5xf32>
  return %y : tensor<?x5xf32>
}
// -----
// norms and losses of width 1 and 3
func.func @f(%x: tensor<?x1xf32> {peer.name = "x"}, %z: tensor<?x3xf32> {peer.name = "z"}, %t: tensor<?xi32> {peer.name = "t"})
    -> (tensor<?x1xf32> {peer.name = "a"}, tensor<?x3xf32> {peer.name = "b"}, tensor<?x3xf32> {peer.name = "c"}, tensor<f32> {peer.name = "d"}) {
  %g = peer.param "g" normal(1.0) : tensor<1xf32>
  %h = peer.param "h" normal(1.0) : tensor<3xf32>
  %o = peer.param "o" ones : tensor<3xf32>
  %a = peer.rms_norm %x, %g : tensor<?x1xf32>, tensor<1xf32>
  %b = peer.layer_norm %z, %h, %h : tensor<?x3xf32>, tensor<3xf32>, tensor<3xf32>
  %c = peer.batch_norm %z, %h, %h, %h, %o : tensor<?x3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>
  %l = peer.cross_entropy %z, %t : tensor<?x3xf32>, tensor<?xi32>
  %d = peer.mean %l : tensor<?xf32>
  return %a, %b, %c, %d : tensor<?x1xf32>, tensor<?x3xf32>, tensor<?x3xf32>, tensor<f32>
}
peer.gradient @g of @f
// -----
// attention and rotary positions, odd context, narrow heads
func.func @f(%x: tensor<?x6xf32> {peer.name = "x"}) -> (tensor<?x6xf32> {peer.name = "y"}) {
  %q = peer.rotary %x heads 3 context 3 : tensor<?x6xf32>
  %y = peer.attention %q, %q, %x heads 6 context 3 : tensor<?x6xf32>, tensor<?x6xf32>, tensor<?x6xf32>
  return %y : tensor<?x6xf32>
}
peer.gradient @g of @f
// -----
// grouped heads, a window, parts of parameters
func.func @f(%x: tensor<?x6xf32> {peer.name = "x"}) -> (tensor<?x6xf32> {peer.name = "y"}) {
  %w = peer.param "w" normal(1.0) : tensor<6x5xf32>
  %p = peer.slice %w along 1 from 2 size 2 : tensor<6x5xf32>
  %k = peer.linear %x, %p : tensor<?x6xf32>, tensor<6x2xf32>
  %a = peer.attention %x, %k, %k heads 6 context 5 window 2 : tensor<?x6xf32>, tensor<?x2xf32>, tensor<?x2xf32>
  %t = peer.param "t" normal(1.0) : tensor<5x3x6xbf16>
  %r = peer.slice %t along 0 from 1 size 3 : tensor<5x3x6xbf16>
  %q = peer.slice %x along 1 from 3 size 3 : tensor<?x6xf32>
  %s = peer.reshape %q to tensor<?x1x1x3xf32> : tensor<?x3xf32>
  %i, %v = peer.select %s topk<2> : tensor<?x1x1x3xf32>
  %g = peer.gate %v softmax : tensor<?x1x2xf32>
  %y = peer.mix %a, %i, %g, %r silu : tensor<?x6xf32>, tensor<?x1x2xi32>, tensor<?x1x2xf32>, tensor<3x3x6xbf16>
  return %y : tensor<?x6xf32>
}
peer.gradient @g of @f
// -----
// two contexts
func.func @f(%x: tensor<?x4xf32> {peer.name = "x"}) -> (tensor<?x4xf32> {peer.name = "y"}) {
  %a = peer.attention %x, %x, %x heads 1 context 2 : tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>
  %y = peer.attention %a, %a, %a heads 2 context 3 : tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}
peer.gradient @g of @f
// -----
// one expert, one key, all of them, values only
func.func @f(%x: tensor<?x3xf32> {peer.name = "x"}, %q: tensor<?x1x1x1xf32> {peer.name = "q"}) -> (tensor<?x3xf32> {peer.name = "y"}) {
  %k = peer.param "k" normal(1.0) : tensor<1x1x1x1xf32>
  %p = peer.param "p" normal(1.0) : tensor<1x1x3xf32>
  %s = peer.score %q, %k : tensor<?x1x1x1xf32>, tensor<1x1x1x1xf32>
  %i, %v = peer.select %s all : tensor<?x1x1x1xf32>
  %w = peer.gate %v sigmoid : tensor<?x1x1xf32>
  %y = peer.mix %x, %i, %w, %p relu : tensor<?x3xf32>, tensor<?x1x1xi32>, tensor<?x1x1xf32>, tensor<1x1x3xf32>
  return %y : tensor<?x3xf32>
}
peer.gradient @g of @f
// -----
// product keys of odd sizes, gated rows, several rows per expert, bf16
func.func @f(%x: tensor<?x5xf32> {peer.name = "x"}, %q: tensor<?x3x2x3xf32> {peer.name = "q"}) -> (tensor<?x5xf32> {peer.name = "y"}) {
  %k = peer.param "k" normal(1.0) : tensor<1x2x3x3xbf16>
  %p = peer.param "p" normal(1.0) : tensor<18x3x5xbf16>
  %s = peer.score %q, %k : tensor<?x3x2x3xf32>, tensor<1x2x3x3xbf16>
  %i, %v = peer.select %s product_topk<3> : tensor<?x3x2x3xf32>
  %w = peer.gate %v relu : tensor<?x3x3xf32>
  %y = peer.mix %x, %i, %w, %p silu {rows_per_expert = 2} : tensor<?x5xf32>, tensor<?x3x3xi32>, tensor<?x3x3xf32>, tensor<18x3x5xbf16>
  return %y : tensor<?x5xf32>
}
peer.gradient @g of @f
// -----
// usage counted by the description itself, in f32 and f64
func.func @f(%i: tensor<?x1x2xi32> {peer.name = "i"}, %w: tensor<?x1x2xf32> {peer.name = "w"}) -> (tensor<6xf32> {peer.name = "a"}, tensor<6xf64> {peer.name = "b"}) {
  %m = arith.constant dense<0.0> : tensor<6xf32>
  %n = arith.constant dense<0.5> : tensor<6xf64>
  %a = peer.usage %i, %w, %m : tensor<?x1x2xi32>, tensor<?x1x2xf32>, tensor<6xf32>
  %b = peer.usage %i, %w, %n : tensor<?x1x2xi32>, tensor<?x1x2xf32>, tensor<6xf64>
  return %a, %b : tensor<6xf32>, tensor<6xf64>
}
// -----
// a reduction and a transposition of upstream
func.func @f(%x: tensor<5x7xf32> {peer.name = "x"}) -> (tensor<7x5xf32> {peer.name = "y"}, tensor<5xf32> {peer.name = "z"}) {
  %e = tensor.empty() : tensor<7x5xf32>
  %y = linalg.transpose ins(%x : tensor<5x7xf32>) outs(%e : tensor<7x5xf32>) permutation = [1, 0]
  %c = arith.constant dense<0.0> : tensor<5xf32>
  %z = linalg.reduce ins(%x : tensor<5x7xf32>) outs(%c : tensor<5xf32>) dimensions = [1] (%a: f32, %b: f32) {
    %s = arith.addf %a, %b : f32
    linalg.yield %s : f32
  }
  return %y, %z : tensor<7x5xf32>, tensor<5xf32>
}
// -----
// a bias along tokens by linalg
func.func @f(%x: tensor<?x3xf32> {peer.name = "x"}) -> (tensor<?x3xf32> {peer.name = "y"}) {
  %b = peer.param "b" normal(1.0) : tensor<3xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(t, d) -> (d)>, affine_map<(t, d) -> (t, d)>], iterator_types = ["parallel", "parallel"]}
      ins(%b : tensor<3xf32>) outs(%x : tensor<?x3xf32>) {
  ^bb0(%bias: f32, %old: f32):
    %s = arith.addf %bias, %old : f32
    linalg.yield %s : f32
  } -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}
// -----
// slices, padding and concatenation
func.func @f(%x: tensor<6x4xf32> {peer.name = "x"}) -> (tensor<2x4xf32> {peer.name = "a"}, tensor<12x4xf32> {peer.name = "b"}) {
  %a = tensor.extract_slice %x[1, 0] [2, 4] [2, 1] : tensor<6x4xf32> to tensor<2x4xf32>
  %b = tensor.concat dim(0) %x, %x : (tensor<6x4xf32>, tensor<6x4xf32>) -> tensor<12x4xf32>
  return %a, %b : tensor<2x4xf32>, tensor<12x4xf32>
}
// -----
// a scalar taken out of a tensor
func.func @f(%x: tensor<6xf32> {peer.name = "x"}) -> (tensor<6xf32> {peer.name = "y"}) {
  %c = arith.constant 2 : index
  %s = tensor.extract %x[%c] : tensor<6xf32>
  %t = tensor.splat %s : tensor<6xf32>
  return %t : tensor<6xf32>
}
// -----
// a loop of scf
func.func @f(%x: tensor<6xf32> {peer.name = "x"}) -> (tensor<6xf32> {peer.name = "y"}) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c3 = arith.constant 3 : index
  %y = scf.for %i = %c0 to %c3 step %c1 iter_args(%a = %x) -> (tensor<6xf32>) {
    %b = arith.addf %a, %x : tensor<6xf32>
    scf.yield %b : tensor<6xf32>
  }
  return %y : tensor<6xf32>
}
