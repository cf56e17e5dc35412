// Indices made in many ways. Every entry takes `t` and returns `y`.
!t = tensor<?xi32>  !y = tensor<?x4xf32>  !table = tensor<8x4xf32>  !pick = tensor<?x1x1xi32>  !weight = tensor<?x1x1xf32>
func.func @twice(%t: !t {peer.name = "t"}) -> (!y {peer.name = "y"}) {
  %e = peer.param "e" normal(1.0) : !table
  %u = arith.addi %t, %t : !t
  %y = peer.embedding %u, %e : !t, !table
  return %y : !y
}
// Another shape of an input is the input: its own values are checked, with their position.
func.func @batch(%t: tensor<?x2xi32> {peer.name = "t"}) -> (tensor<?x8xf32> {peer.name = "y"}) {
  %e = peer.param "e" normal(1.0) : !table
  %u = peer.reshape %t to !t : tensor<?x2xi32>
  %y0 = peer.embedding %u, %e : !t, !table
  %y = peer.reshape %y0 to tensor<?x8xf32> : !y
  return %y : tensor<?x8xf32>
}
func.func @wide(%t: tensor<?xi64> {peer.name = "t"}) -> (!y {peer.name = "y"}) {
  %e = peer.param "e" normal(1.0) : !table
  %u = arith.trunci %t : tensor<?xi64> to !t
  %y = peer.embedding %u, %e : !t, !table
  return %y : !y
}
func.func @float(%t: tensor<?xf32> {peer.name = "t"}) -> (!y {peer.name = "y"}) {
  %e = peer.param "e" normal(1.0) : !table
  %u = arith.fptosi %t : tensor<?xf32> to !t
  %y = peer.embedding %u, %e : !t, !table
  return %y : !y
}
// -1 selects no expert.
func.func @experts(%t: !t {peer.name = "t"}, %zero: !t {peer.name = "zero"}) -> (!y {peer.name = "y"}) {
  %e = peer.param "e" normal(1.0) : !table
  %p = peer.param "p" normal(1.0) : tensor<4x1x4xf32>
  %x = peer.embedding %zero, %e : !t, !table
  %k = peer.param "k" normal(1.0) : tensor<1x1x1x4xf32>
  %q = peer.reshape %x to tensor<?x1x1x4xf32> : !y
  %s = peer.score %q, %k : tensor<?x1x1x4xf32>, tensor<1x1x1x4xf32>
  %v = peer.reshape %s to !weight : tensor<?x1x1x1xf32>
  %w = peer.gate %v one : !weight
  %u = arith.addi %t, %t : !t
  %i = peer.reshape %u to !pick : !t
  %y = peer.mix %x, %i, %w, %p relu : !y, !pick, !weight, tensor<4x1x4xf32>
  return %y : !y
}
func.func @targets(%t: !t {peer.name = "t"}, %zero: !t {peer.name = "zero"}) -> (tensor<?xf32> {peer.name = "y"}) {
  %e = peer.param "e" normal(1.0) : !table
  %x = peer.embedding %zero, %e : !t, !table
  %u = arith.addi %t, %t : !t
  %y = peer.cross_entropy %x, %u : !y, !t
  return %y : tensor<?xf32>
}
// One use bounds the input, and with it the other's index.
func.func @proven(%t: !t {peer.name = "t"}) -> (!y {peer.name = "y"}) {
  %e = peer.param "e" normal(1.0) : !table
  %f = peer.param "f" zeros : tensor<4x4xf32>
  %u = arith.addi %t, %t : !t
  %y0 = peer.embedding %u, %e : !t, !table
  %y1 = peer.embedding %t, %f : !t, tensor<4x4xf32>
  %y = arith.addf %y0, %y1 : !y
  return %y : !y
}
