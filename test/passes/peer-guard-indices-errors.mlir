// RUN: %peer-pass %s --split-input-file --verify-diagnostics --pass-pipeline='builtin.module(func.func(peer-guard-indices))'

func.func @nothing(%t: tensor<?xi32>, %e: tensor<0x4xf32>) -> tensor<?x4xf32> {
  // expected-error@+1 {{op 'peer.embedding' takes indices, and there is nothing to index: no value lies in [0, 0)}}
  %y = peer.embedding %t, %e : tensor<?xi32>, tensor<0x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

func.func @made_up(%x: tensor<?x4xf32>, %i: tensor<?x1x2xi32>, %o: tensor<?xi32>, %s: tensor<?xi32>, %n: tensor<2xi32>,
                   %c: tensor<?x1x2x1x1xf32>) -> tensor<4x1x4xf32> {
  // expected-error@+1 {{op 'peer.pool_grad' must get order, starts and count from one peer.sort_pairs}}
  %g = peer.pool_grad %i, %o, %s, %n, %c, %x, %x {rows = 4} : tensor<?x1x2xi32>, tensor<?xi32>, tensor<?xi32>, tensor<2xi32>, tensor<?x1x2x1x1xf32>, tensor<?x4xf32>, tensor<?x4xf32>
  return %g : tensor<4x1x4xf32>
}

// -----

func.func @other_indices(%x: tensor<?x4xf32>, %i: tensor<?x1x2xi32>, %j: tensor<?x1x2xi32>, %c: tensor<?x1x2x1x1xf32>) -> tensor<4x1x4xf32> {
  %o, %s, %n = peer.sort_pairs %j experts 4 : tensor<?x1x2xi32>
  // expected-error@+1 {{op 'peer.pool_grad' must get the indices, and their range, that its peer.sort_pairs has}}
  %g = peer.pool_grad %i, %o, %s, %n, %c, %x, %x {rows = 4} : tensor<?x1x2xi32>, tensor<?xi32>, tensor<?xi32>, tensor<2xi32>, tensor<?x1x2x1x1xf32>, tensor<?x4xf32>, tensor<?x4xf32>
  return %g : tensor<4x1x4xf32>
}
