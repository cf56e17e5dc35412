// RUN: %peer-pass %s --split-input-file --verify-diagnostics --peer-upcycle="experts=4 top-k=2"
// RUN: %peer-pass %s --split-input-file --verify-diagnostics --peer-moefy="experts=4 top-k=2"

// A name that the converted layer would need is taken.
func.func @model(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %u = peer.param "ffw.up.weight" normal(0.2) : tensor<8x16xf32>
  %h = peer.linear %x, %u : tensor<?x8xf32>, tensor<8x16xf32>
  %a = peer.activation %h relu : tensor<?x16xf32>
  %d = peer.param "ffw.down.weight" normal(0.2) : tensor<16x8xf32>
  // expected-error@+1 {{the model has a parameter 'ffw.router' already, which the converted layer would add}}
  %y = peer.linear %a, %d : tensor<?x16xf32>, tensor<16x8xf32>
  %r = peer.param "ffw.router" normal(0.2) : tensor<8x8xf32>
  %z = peer.linear %y, %r : tensor<?x8xf32>, tensor<8x8xf32>
  return %z : tensor<?x8xf32>
}

// -----

module {
  // expected-error@+1 {{the model has no dense feed-forward layer: expected peer.linear, peer.activation (times a second peer.linear) and peer.linear, without biases, with parameters of their own}}
  func.func @model(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
    %w = peer.param "w" normal(0.2) : tensor<8x8xf32>
    %y = peer.linear %x, %w : tensor<?x8xf32>, tensor<8x8xf32>
    return %y : tensor<?x8xf32>
  }
}
