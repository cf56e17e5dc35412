// constants and tokens in columns of a product
func.func @f(%x: tensor<?x3xf32> {peer.name = "x"}) -> (tensor<?x5xf32> {peer.name = "y"}) {
  %w = peer.param "w" normal(1.0) : tensor<5x3xf32>
  %i = arith.constant dense<[[1.0, 0.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0, 2.0]]> : tensor<5x5xf32>
  %t = peer.linear %w, %x {transpose_weight} : tensor<5x3xf32>, tensor<?x3xf32>
  %y = peer.linear %t, %i {transpose_x} : tensor<5x?xf32>, tensor<5x5xf32>
  return %y : tensor<?x5xf32>
}
// -----
// constants as tables, keys and gains
func.func @f(%i: tensor<?xi32> {peer.name = "i"}) -> (tensor<?x4xf32> {peer.name = "y"}, tensor<?x1x2xi32> {peer.name = "z"}) {
  %e = arith.constant dense<[[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0], [0.5, 0.25, -1.0, 2.0]]> : tensor<3x4xf32>
  %k = arith.constant dense<[[[[1.0, 0.0, 2.0, 0.0], [0.0, 3.0, 0.0, 1.0], [1.0, 1.0, 1.0, 4.0]]]]> : tensor<1x1x3x4xf32>
  %g = arith.constant dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>
  %x = peer.embedding %i, %e : tensor<?xi32>, tensor<3x4xf32>
  %y = peer.rms_norm %x, %g : tensor<?x4xf32>, tensor<4xf32>
  %q = peer.reshape %y to tensor<?x1x1x4xf32> : tensor<?x4xf32>
  %s = peer.score %q, %k : tensor<?x1x1x4xf32>, tensor<1x1x3x4xf32>
  %z, %v = peer.select %s topk<2> : tensor<?x1x1x3xf32>
  return %y, %z : tensor<?x4xf32>, tensor<?x1x2xi32>
}
// -----
// rows that are joined
func.func @f(%x: tensor<?x8xf32> {peer.name = "x"}) -> (tensor<?x8xf32> {peer.name = "y"}) {
  %h = peer.reshape %x to tensor<?x24xf32> : tensor<?x8xf32>
  %a = peer.attention %h, %h, %h heads 4 context 2 : tensor<?x24xf32>, tensor<?x24xf32>, tensor<?x24xf32>
  %b = peer.reshape %a to tensor<?x8xf32> : tensor<?x24xf32>
  return %b : tensor<?x8xf32>
}
// -----
// slices with steps, used and returned
func.func @f(%x: tensor<?x6xf32> {peer.name = "x"}, %z: tensor<6x4xf32> {peer.name = "z"})
    -> (tensor<?x2xf32> {peer.name = "a"}, tensor<?x3xf32> {peer.name = "b"}, tensor<?x3xf32> {peer.name = "c"}, tensor<2x4xf32> {peer.name = "d"}, tensor<6xf32> {peer.name = "e"}, tensor<?x1xf32> {peer.name = "g"}) {
  %c0 = arith.constant 0 : index
  %t = tensor.dim %x, %c0 : tensor<?x6xf32>
  %a = tensor.extract_slice %x[0, 1] [%t, 2] [1, 1] : tensor<?x6xf32> to tensor<?x2xf32>
  %b = tensor.extract_slice %x[0, 1] [%t, 3] [1, 2] : tensor<?x6xf32> to tensor<?x3xf32>
  %w = peer.param "w" normal(1.0) : tensor<3x3xf32>
  %c = peer.linear %b, %w : tensor<?x3xf32>, tensor<3x3xf32>
  %d = tensor.extract_slice %z[1, 0] [2, 4] [2, 1] : tensor<6x4xf32> to tensor<2x4xf32>
  %e = tensor.extract_slice %z[0, 3] [6, 1] [1, 1] : tensor<6x4xf32> to tensor<6xf32>
  %u = tensor.dim %c, %c0 : tensor<?x3xf32>
  %g = tensor.extract_slice %c[0, 1] [%u, 1] [1, 1] : tensor<?x3xf32> to tensor<?x1xf32>
  return %a, %b, %c, %d, %e, %g : tensor<?x2xf32>, tensor<?x3xf32>, tensor<?x3xf32>, tensor<2x4xf32>, tensor<6xf32>, tensor<?x1xf32>
}
// -----
// math on narrow floats
func.func @f(%x: tensor<?x5xbf16> {peer.name = "x"}, %h: tensor<?x5xf16> {peer.name = "h"}) -> (tensor<?x5xbf16> {peer.name = "a"}, tensor<?x5xf16> {peer.name = "b"}) {
  %a = math.exp %x : tensor<?x5xbf16>
  %b = math.tanh %h : tensor<?x5xf16>
  return %a, %b : tensor<?x5xbf16>, tensor<?x5xf16>
}
// -----
// a boolean result
func.func @f(%x: tensor<?x5xf32> {peer.name = "x"}) -> (tensor<?x5xi1> {peer.name = "y"}) {
  %y = arith.cmpf olt, %x, %x : tensor<?x5xf32>
  return %y : tensor<?x5xi1>
}
// -----
// no columns
func.func @f(%x: tensor<?x0xf32> {peer.name = "x"}) -> (tensor<?x3xf32> {peer.name = "y"}) {
  %w = peer.param "w" normal(1.0) : tensor<0x3xf32>
  %y = peer.linear %x, %w : tensor<?x0xf32>, tensor<0x3xf32>
  return %y : tensor<?x3xf32>
}
// -----
// no weights
func.func @f(%x: tensor<?x3xf32> {peer.name = "x"}) -> (tensor<?x3xf32> {peer.name = "y"}) {
  %w = peer.param "w" normal(1.0) : tensor<0x3xf32>
  return %x : tensor<?x3xf32>
}
