// RUN: %peer-pass %s --peer-inline-modules --peer-add-optimizer=accumulate --split-input-file --verify-diagnostics

func.func @loss(%x: tensor<?xf32>) -> tensor<f32> {
  %w = peer.param "w" ones : tensor<f32>
  %m = peer.mean %x : tensor<?xf32>
  // expected-note @+1 {{op 'arith.mulf' makes of a mean over tokens what is none}}
  %s = arith.mulf %m, %m : tensor<f32>
  %r = arith.mulf %s, %w : tensor<f32>
  return %r : tensor<f32>
}
// expected-error @+1 {{cannot have its gradients accumulated: the loss of a batch must be the mean of those of its parts}}
peer.train @step of @loss {optimizer = #peer.sgd}

// -----

func.func @loss(%x: tensor<?xf32>) -> tensor<f32> {
  %w = peer.param "w" ones : tensor<f32>
  %m = peer.mean %x : tensor<?xf32>
  // expected-note @+1 {{op 'arith.divf' makes of a mean over tokens what is none}}
  %r = arith.divf %w, %m : tensor<f32>
  return %r : tensor<f32>
}
// expected-error @+1 {{cannot have its gradients accumulated: the loss of a batch must be the mean of those of its parts}}
peer.train @step of @loss {optimizer = #peer.sgd}

// -----

// Statistics over tokens that are no batch norm's.
func.func @loss(%x: tensor<?x4xf32>, %t: tensor<?xi32>) -> tensor<f32> {
  %g = peer.param "gain" ones : tensor<4xf32>
  // expected-note @+1 {{op 'peer.batch_stats' may mix tokens}}
  %m, %v = peer.batch_stats %x : tensor<?x4xf32>
  %n = peer.batch_norm %x, %g, %g, %m, %v {batch_statistics} : tensor<?x4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>
  %l = peer.cross_entropy %n, %t : tensor<?x4xf32>, tensor<?xi32>
  %r = peer.mean %l : tensor<?xf32>
  return %r : tensor<f32>
}
// expected-error @+1 {{cannot have its gradients accumulated: the loss of a batch must be the mean of those of its parts}}
peer.train @step of @loss {optimizer = #peer.sgd}

// -----

// A batch of a fixed size has no parts.
func.func @loss(%x: tensor<4x8xf32>, %i: tensor<4x1x2xi32>, %w: tensor<4x1x2xf32>, %t: tensor<4xi32>) -> tensor<f32> {
  %p = peer.param "pool" zeros : tensor<16x2x8xf32>
  // expected-error @+1 {{selects the same experts for all tokens: gradients of 'pool' cannot be accumulated row by row}}
  %y = peer.mix %x, %i, %w, %p relu : tensor<4x8xf32>, tensor<4x1x2xi32>, tensor<4x1x2xf32>, tensor<16x2x8xf32>
  %l = peer.cross_entropy %y, %t : tensor<4x8xf32>, tensor<4xi32>
  %m = peer.mean %l : tensor<4xf32>
  return %m : tensor<f32>
}
peer.train @step of @loss {optimizer = #peer.sgd<lazy = true>}

// -----

// Four tokens choose experts together.
func.func @loss(%x: tensor<?x8xf32>, %i: tensor<?x1x2xi32>, %w: tensor<?x1x2xf32>, %t: tensor<?xi32>) -> tensor<f32> {
  %p = peer.param "pool" zeros : tensor<16x2x8xf32>
  %x4 = peer.reshape %x to tensor<?x32xf32> : tensor<?x8xf32>
  %x1 = peer.slice %x4 along 1 from 0 size 8 : tensor<?x32xf32>
  %i4 = peer.reshape %i to tensor<?x4x2xi32> : tensor<?x1x2xi32>
  %w4 = peer.reshape %w to tensor<?x4x2xf32> : tensor<?x1x2xf32>
  // expected-error @+1 {{has a row for 4 tokens: gradients of 'pool' cannot be accumulated row by row}}
  %y = peer.mix %x1, %i4, %w4, %p relu : tensor<?x8xf32>, tensor<?x4x2xi32>, tensor<?x4x2xf32>, tensor<16x2x8xf32>
  %s = peer.reduce sum %y along [1] : tensor<?x8xf32>
  %m = peer.mean %s : tensor<?xf32>
  return %m : tensor<f32>
}
peer.train @step of @loss {optimizer = #peer.sgd<lazy = true>}

// -----

// A row of a token and a half.
func.func @loss(%x: tensor<?x8xf32>) -> tensor<f32> {
  %p = peer.param "gain" ones : tensor<f32>
  %x2 = peer.reshape %x to tensor<?x4xf32> : tensor<?x8xf32>
  // expected-note @+1 {{op 'peer.reshape' joins rows of several tokens}}
  %y = peer.reshape %x2 to tensor<?x12xf32> : tensor<?x4xf32>
  %s = peer.reduce sum %y along [1] : tensor<?x12xf32>
  %m = peer.mean %s : tensor<?xf32>
  %r = arith.mulf %m, %p : tensor<f32>
  return %r : tensor<f32>
}
// expected-error @+1 {{cannot have its gradients accumulated: the loss of a batch must be the mean of those of its parts}}
peer.train @step of @loss {optimizer = #peer.sgd}

// -----

// expected-note @+1 {{this has the same name}}
func.func @step_update(%x: tensor<?xf32>) -> tensor<?xf32> {
  return %x : tensor<?xf32>
}
func.func @loss(%x: tensor<?xf32>) -> tensor<f32> {
  %m = peer.mean %x : tensor<?xf32>
  return %m : tensor<f32>
}
// expected-error @+1 {{makes an entry 'step_update' to accumulate gradients; rename the other one}}
peer.train @step of @loss {optimizer = #peer.sgd}

// -----

// A gradient's sum has a name of its own.
func.func @loss(%x: tensor<?x8xf32>, %t: tensor<?xi32>) -> tensor<f32> {
  // expected-note @+1 {{the other one comes from here}}
  %w = peer.param "w" zeros : tensor<8x8xf32>
  // expected-error @+1 {{entry @step_accumulate has two arguments named 'w.gradient', a parameter and a state that the entry keeps; rename the parameter}}
  %u = peer.param "w.gradient" zeros : tensor<8x8xf32>
  %y = peer.linear %x, %w : tensor<?x8xf32>, tensor<8x8xf32>
  %z = peer.linear %y, %u : tensor<?x8xf32>, tensor<8x8xf32>
  %l = peer.cross_entropy %z, %t : tensor<?x8xf32>, tensor<?xi32>
  %m = peer.mean %l : tensor<?xf32>
  return %m : tensor<f32>
}
peer.train @step of @loss {optimizer = #peer.sgd}

// -----

// expected-error @+1 {{has no 'peer.train', whose gradients could be accumulated}}
module {
  func.func @f(%x: tensor<?xf32>) -> tensor<?xf32> {
    return %x : tensor<?xf32>
  }
}

// -----

// A share of the batch's selections is none of its parts'.
func.func @loss(%x: tensor<?x1x1x4xf32>) -> tensor<f32> {
  %w = peer.param "w" ones : tensor<f32>
  %i, %v = peer.select %x topk<2> : tensor<?x1x1x4xf32>
  // expected-note @+1 {{op 'peer.expert_load' counts what all tokens select}}
  %f = peer.expert_load %i keys 4 : tensor<?x1x2xi32>
  %l = peer.balance_loss %x, %f : tensor<?x1x1x4xf32>, tensor<1x4xf32>
  %m = peer.mean %l : tensor<?xf32>
  %r = arith.mulf %m, %w : tensor<f32>
  return %r : tensor<f32>
}
// expected-error @+1 {{cannot have its gradients accumulated: the loss of a batch must be the mean of those of its parts}}
peer.train @step of @loss {optimizer = #peer.sgd}
