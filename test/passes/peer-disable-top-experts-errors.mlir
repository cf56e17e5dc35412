// RUN: %peer-pass %s --split-input-file --verify-diagnostics --peer-disable-top-experts=count=3

func.func @few(%s: tensor<?x1x1x8xf32>) -> tensor<?x1x6xi32> attributes {peer.kind = "loss"} {
  // expected-error@+1 {{op 'peer.select' selects 6 of 8 experts: expected at most 2 to be disabled, got 3}}
  %i, %v = peer.select %s topk<6> : tensor<?x1x1x8xf32>
  return %i : tensor<?x1x6xi32>
}

// -----

func.func @few_of_a_grid(%s: tensor<?x1x2x8xf32>) -> tensor<?x1x6xi32> attributes {peer.kind = "loss"} {
  // expected-error@+1 {{op 'peer.select' selects 6 of 64 experts, of which it can rank 8: expected at most 2 to be disabled, got 3}}
  %i, %v = peer.select %s product_topk<6> : tensor<?x1x2x8xf32>
  return %i : tensor<?x1x6xi32>
}

// -----

func.func @few_of_all(%s: tensor<?x1x1x3xf32>) -> tensor<?x1x3xi32> attributes {peer.kind = "loss"} {
  // expected-error@+1 {{op 'peer.select' selects 1 or more of 3 experts: expected at most 2 to be disabled, got 3}}
  %i, %v = peer.select %s all : tensor<?x1x1x3xf32>
  return %i : tensor<?x1x3xi32>
}

// -----

func.func @choosing(%s: tensor<?x1x1x8xf32>) -> tensor<?x1x8xi32> attributes {peer.kind = "loss"} {
  // expected-error@+1 {{op 'peer.select' lets experts choose tokens: a token has no best one to disable}}
  %i, %v = peer.select %s expert_choice<2.0> : tensor<?x1x1x8xf32>
  return %i : tensor<?x1x8xi32>
}

// -----

func.func @hashed(%x: tensor<?x8xf32>, %t: tensor<?xi32>, %p: tensor<6x2x8xf32>) -> tensor<?x8xf32> attributes {peer.kind = "loss"} {
  // expected-error@+1 {{op 'peer.hash' gives experts without scores: a token has no next best ones to take the place of those that are disabled}}
  %i, %w = peer.hash %t experts 6 : tensor<?xi32>
  %y = peer.mix %x, %i, %w, %p relu : tensor<?x8xf32>, tensor<?x1x1xi32>, tensor<?x1x1xf32>, tensor<6x2x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// expected-error@+1 {{the model selects no experts by scores: there are no best ones to disable}}
func.func @dense(%x: tensor<?x8xf32>) -> tensor<?x8xf32> attributes {peer.kind = "loss"} {
  return %x : tensor<?x8xf32>
}
