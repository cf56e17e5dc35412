// constants as results
func.func @f(%x: tensor<?x4xf32> {peer.name = "x"})
    -> (tensor<?x4xf32> {peer.name = "y"}, tensor<2x4xf32> {peer.name = "c"}, tensor<3xi32> {peer.name = "i"}, tensor<f32> {peer.name = "s"},
        tensor<40x50xf32> {peer.name = "large"}, tensor<2x3xbf16> {peer.name = "b"}) {
  %y = peer.activation %x relu : tensor<?x4xf32>
  %c = arith.constant dense<1.5> : tensor<2x4xf32>
  %i = arith.constant dense<[1, 2, -3]> : tensor<3xi32>
  %s = arith.constant dense<2.5> : tensor<f32>
  %large = arith.constant dense<-1.0> : tensor<40x50xf32>
  %b = arith.constant dense<[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]> : tensor<2x3xbf16>
  return %y, %c, %i, %s, %large, %b : tensor<?x4xf32>, tensor<2x4xf32>, tensor<3xi32>, tensor<f32>, tensor<40x50xf32>, tensor<2x3xbf16>
}
// -----
// nothing but constants, no arguments
func.func @f() -> (tensor<2x4xf32> {peer.name = "c"}, tensor<3000xi32> {peer.name = "i"}) {
  %c = arith.constant dense<[[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]]> : tensor<2x4xf32>
  %i = arith.constant dense<7> : tensor<3000xi32>
  return %c, %i : tensor<2x4xf32>, tensor<3000xi32>
}
// -----
// arguments and parameters as results, some twice
func.func @f(%x: tensor<?x4xf32> {peer.name = "x"}, %t: tensor<?xi32> {peer.name = "t"})
    -> (tensor<?x4xf32> {peer.name = "y"}, tensor<?x4xf32> {peer.name = "z"}, tensor<?xi32> {peer.name = "u"}, tensor<5x3xf32> {peer.name = "p"},
        tensor<5x3xbf16> {peer.name = "q"}, tensor<4x2xi8> {peer.name = "r"}) {
  %p = peer.param "p" normal(1.0) : tensor<5x3xf32>
  %q = peer.param "q" normal(1.0) : tensor<5x3xbf16>
  %r = peer.param "r" zeros : tensor<4x2xi8>
  return %x, %x, %t, %p, %q, %r : tensor<?x4xf32>, tensor<?x4xf32>, tensor<?xi32>, tensor<5x3xf32>, tensor<5x3xbf16>, tensor<4x2xi8>
}
// -----
// a reshaped argument as result
func.func @f(%x: tensor<?x6xf32> {peer.name = "x"}, %z: tensor<2x3x4xf32> {peer.name = "z"})
    -> (tensor<?x2x3xf32> {peer.name = "y"}, tensor<24xf32> {peer.name = "w"}) {
  %y = peer.reshape %x to tensor<?x2x3xf32> : tensor<?x6xf32>
  %w = peer.reshape %z to tensor<24xf32> : tensor<2x3x4xf32>
  return %y, %w : tensor<?x2x3xf32>, tensor<24xf32>
}
// -----
// one value as two results, whole and reshaped
func.func @f(%x: tensor<?x6xf32> {peer.name = "x"}) -> (tensor<?x6xf32> {peer.name = "a"}, tensor<?x2x3xf32> {peer.name = "b"}, tensor<?x6xf32> {peer.name = "c"}) {
  %a = peer.activation %x silu : tensor<?x6xf32>
  %b = peer.reshape %a to tensor<?x2x3xf32> : tensor<?x6xf32>
  return %a, %b, %a : tensor<?x6xf32>, tensor<?x2x3xf32>, tensor<?x6xf32>
}
// -----
// a gradient under gate one
func.func @layer(%x: tensor<?x4xf32> {peer.name = "x"}, %q: tensor<?x1x1x4xf32> {peer.name = "q"}) -> (tensor<?x4xf32> {peer.name = "y"}) {
  %c = peer.param "keys" normal(1.0) : tensor<1x1x4x4xf32>
  %s = peer.score %q, %c : tensor<?x1x1x4xf32>, tensor<1x1x4x4xf32>
  %i, %v = peer.select %s topk<1> : tensor<?x1x1x4xf32>
  %w = peer.gate %v one : tensor<?x1x1xf32>
  %p = peer.param "pool" normal(0.5) : tensor<4x2x4xf32>
  %y = peer.mix %x, %i, %w, %p gelu : tensor<?x4xf32>, tensor<?x1x1xi32>, tensor<?x1x1xf32>, tensor<4x2x4xf32>
  return %y : tensor<?x4xf32>
}
peer.gradient @g of @layer
// -----
// a gradient that nothing reaches, of a small and of a large parameter
func.func @layer(%x: tensor<?x4xf32> {peer.name = "x"}, %z: tensor<?x7xf32> {peer.name = "z"}) -> (tensor<?x4xf32> {peer.name = "y"}) {
  %p = peer.param "unused" normal(1.0) : tensor<60x40xf32>
  %q = peer.param "small" normal(1.0) : tensor<3xf32>
  %b = peer.param "narrow" normal(1.0) : tensor<3x2xbf16>
  return %x : tensor<?x4xf32>
}
peer.gradient @g of @layer
// -----
// training with a loss that is a constant for one parameter
func.func @loss(%t: tensor<?xi32> {peer.name = "tokens"}, %u: tensor<?xi32> {peer.name = "targets"}) -> (tensor<f32> {peer.name = "loss"}) {
  %e = peer.param "table" normal(1.0) : tensor<9x6xf32>
  %g = peer.param "gain" ones : tensor<6xf32>
  %x = peer.embedding %t, %e : tensor<?xi32>, tensor<9x6xf32>
  %n = peer.rms_norm %x, %g : tensor<?x6xf32>, tensor<6xf32>
  %l = peer.cross_entropy %n, %u : tensor<?x6xf32>, tensor<?xi32>
  %m = peer.mean %l : tensor<?xf32>
  return %m : tensor<f32>
}
peer.train @step of @loss {optimizer = #peer.adamw<clip_norm = 1.0>}
// -----
// a loss that is a parameter
func.func @loss(%t: tensor<?xi32> {peer.name = "tokens"}) -> (tensor<f32> {peer.name = "loss"}) {
  %m = peer.param "m" ones : tensor<f32>
  return %m : tensor<f32>
}
peer.train @step of @loss {optimizer = #peer.adamw}
// -----
// a loss that is a constant
func.func @loss(%t: tensor<?xi32> {peer.name = "tokens"}) -> (tensor<f32> {peer.name = "loss"}) {
  %m = arith.constant dense<1.0> : tensor<f32>
  %p = peer.param "p" ones : tensor<4xf32>
  return %m : tensor<f32>
}
peer.train @step of @loss {optimizer = #peer.adamw}
// -----
// an entry without results
func.func @f(%x: tensor<?x4xf32> {peer.name = "x"}) {
  return
}
