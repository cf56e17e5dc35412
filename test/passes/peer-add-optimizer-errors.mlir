// RUN: %peer-pass %s --peer-inline-modules --peer-add-optimizer --split-input-file --verify-diagnostics

func.func @loss(%x: tensor<?xf32>) -> tensor<f32> {
  %m = peer.mean %x : tensor<?xf32>
  return %m : tensor<f32>
}
// expected-error @+1 {{sets an optimizer for group 'experts', but no trainable parameter of @loss is in it}}
peer.train @step of @loss {optimizer = #peer.sgd, groups = {experts = #peer.sgd}}

// -----

func.func @loss(%x: tensor<8xf32>) -> tensor<f32> {
  %w = peer.param "w" ones group("experts") : tensor<8xf32>
  %y = arith.mulf %x, %w : tensor<8xf32>
  %m = peer.mean %y : tensor<8xf32>
  return %m : tensor<f32>
}
// expected-error @+1 {{sets an optimizer for group 'expert', but no trainable parameter of @loss is in it; did you mean 'experts'?}}
peer.train @step of @loss {optimizer = #peer.sgd, groups = {expert = #peer.sgd}}

// -----

func.func @loss(%x: tensor<?x8xf32>, %i: tensor<?x1x2xi32>, %w: tensor<?x1x2xf32>, %t: tensor<?xi32>) -> tensor<f32> {
  %p = peer.param "pool" zeros group("experts") : tensor<16x2x8xf32>
  %y = peer.mix %x, %i, %w, %p relu : tensor<?x8xf32>, tensor<?x1x2xi32>, tensor<?x1x2xf32>, tensor<16x2x8xf32>
  // expected-note @+1 {{op 'peer.reshape' reads it}}
  %r = peer.reshape %p to tensor<32x8xf32> : tensor<16x2x8xf32>
  %z = peer.linear %y, %r {transpose_weight} : tensor<?x8xf32>, tensor<32x8xf32>
  %l = peer.cross_entropy %z, %t : tensor<?x32xf32>, tensor<?xi32>
  %m = peer.mean %l : tensor<?xf32>
  return %m : tensor<f32>
}
// expected-error @+1 {{cannot update 'pool' row by row, as group 'experts' asks: it is read as a whole, too; leave 'lazy' out}}
peer.train @step of @loss {optimizer = #peer.sgd, groups = {experts = #peer.sgd<lazy = true>}}

// -----

func.func @loss(%x: tensor<?x8xf32>, %i: tensor<?x1x2xi32>, %w: tensor<?x1x2xf32>, %t: tensor<?xi32>) -> tensor<f32> {
  %p = peer.param "pool" zeros group("experts") : tensor<16x2x8xf32>
  %y = peer.mix %x, %i, %w, %p relu : tensor<?x8xf32>, tensor<?x1x2xi32>, tensor<?x1x2xf32>, tensor<16x2x8xf32>
  %z = peer.mix %y, %i, %w, %p relu {rows_per_expert = 2} : tensor<?x8xf32>, tensor<?x1x2xi32>, tensor<?x1x2xf32>, tensor<16x2x8xf32>
  %l = peer.cross_entropy %z, %t : tensor<?x8xf32>, tensor<?xi32>
  %m = peer.mean %l : tensor<?xf32>
  return %m : tensor<f32>
}
// expected-error @+1 {{cannot update 'pool' row by row, as group 'experts' asks: ops that use it have experts of 1 and of 2 rows; leave 'lazy' out}}
peer.train @step of @loss {optimizer = #peer.sgd, groups = {experts = #peer.sgd<lazy = true>}}

// -----

func.func @loss(%x: tensor<?x8xf32>, %t: tensor<?xi32>) -> tensor<f32> {
  %g = peer.param "gain" ones : tensor<8xf32>
  // expected-error @+1 {{cannot be trained: its running statistics must be parameters marked 'buffer'}}
  %y = peer.batch_norm %x, %g, %g, %g, %g : tensor<?x8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>
  %l = peer.cross_entropy %y, %t : tensor<?x8xf32>, tensor<?xi32>
  %m = peer.mean %l : tensor<?xf32>
  return %m : tensor<f32>
}
peer.train @step of @loss {optimizer = #peer.sgd}

// -----

// A router behind a gate of one learns nothing: it stays as it is, and the description's author is told.
func.func @loss(%x: tensor<?x8xf32>, %t: tensor<?xi32>) -> tensor<f32> {
  %q = peer.reshape %x to tensor<?x1x1x8xf32> : tensor<?x8xf32>
  // expected-warning @+1 {{parameter 'keys' gets no gradient from @loss and is left as it is}}
  %k = peer.param "keys" zeros : tensor<1x1x16x8xf32>
  %s = peer.score %q, %k : tensor<?x1x1x8xf32>, tensor<1x1x16x8xf32>
  %i, %v = peer.select %s topk<2> : tensor<?x1x1x16xf32>
  %w = peer.gate %v one : tensor<?x1x2xf32>
  %p = peer.param "pool" zeros : tensor<16x2x8xf32>
  %y = peer.mix %x, %i, %w, %p relu : tensor<?x8xf32>, tensor<?x1x2xi32>, tensor<?x1x2xf32>, tensor<16x2x8xf32>
  %l = peer.cross_entropy %y, %t : tensor<?x8xf32>, tensor<?xi32>
  %m = peer.mean %l : tensor<?xf32>
  return %m : tensor<f32>
}
peer.train @step of @loss {optimizer = #peer.sgd}

// -----

func.func @loss(%x: tensor<?xf32>) -> tensor<f32> {
  %m = peer.mean %x : tensor<?xf32>
  return %m : tensor<f32>
}
peer.train @step of @loss {optimizer = #peer.sgd}
// expected-error @+1 {{is the second training step of this module, which can have one}}
peer.train @step2 of @loss {optimizer = #peer.adamw}

// -----

func.func @loss(%x: tensor<?x1x1x4xf32>, %t: tensor<?xi32>) -> tensor<f32> {
  %c = peer.param "bias" zeros : tensor<1x4xf32>
  // expected-error @+1 {{cannot be trained: its bias must be a parameter marked 'buffer'}}
  %b = peer.balance_bias %x, %c : tensor<?x1x1x4xf32>, tensor<1x4xf32>
  %i, %u = peer.select %b topk<2> : tensor<?x1x1x4xf32>
  %v = peer.gather %x, %i : tensor<?x1x1x4xf32>, tensor<?x1x2xi32>
  %y = peer.reshape %v to tensor<?x2xf32> : tensor<?x1x2xf32>
  %l = peer.cross_entropy %y, %t : tensor<?x2xf32>, tensor<?xi32>
  %m = peer.mean %l : tensor<?xf32>
  return %m : tensor<f32>
}
peer.train @train_step of @loss {optimizer = #peer.sgd}

// -----

func.func @loss(%x: tensor<?x4xf32>, %t: tensor<?xi32>) -> tensor<f32> {
  %c = peer.param "bias" zeros buffer : tensor<1x4xf32>
  %s = peer.reshape %x to tensor<?x1x1x4xf32> : tensor<?x4xf32>
  // expected-error @+1 {{cannot be trained: its bias follows the one selection by its scores, and there are 0}}
  %b = peer.balance_bias %s, %c : tensor<?x1x1x4xf32>, tensor<1x4xf32>
  %y = peer.reshape %b to tensor<?x4xf32> : tensor<?x1x1x4xf32>
  %l = peer.cross_entropy %y, %t : tensor<?x4xf32>, tensor<?xi32>
  %m = peer.mean %l : tensor<?xf32>
  return %m : tensor<f32>
}
peer.train @train_step of @loss {optimizer = #peer.sgd}

// -----

// A weight that reads the bias would be the bias's to learn.
func.func @loss(%x: tensor<?x1x1x4xf32>, %t: tensor<?xi32>) -> tensor<f32> {
  %k = peer.param "keys" normal(0.5) : tensor<1x1x8x4xf32>
  %c = peer.param "bias" zeros buffer : tensor<1x8xf32>
  %s = peer.score %x, %k : tensor<?x1x1x4xf32>, tensor<1x1x8x4xf32>
  // expected-error @+1 {{op 'peer.balance_bias' has no gradient: its scores are to select by; take the weights from the logits without the bias, by peer.gather}}
  %b = peer.balance_bias %s, %c : tensor<?x1x1x8xf32>, tensor<1x8xf32>
  %i, %v = peer.select %b topk<2> : tensor<?x1x1x8xf32>
  %y = peer.reshape %v to tensor<?x2xf32> : tensor<?x1x2xf32>
  %l = peer.cross_entropy %y, %t : tensor<?x2xf32>, tensor<?xi32>
  %m = peer.mean %l : tensor<?xf32>
  return %m : tensor<f32>
}
peer.train @train_step of @loss {optimizer = #peer.sgd}

// -----

func.func @loss(%x: tensor<?x8xf32>, %i: tensor<?x1x2xi32>, %w: tensor<?x1x2xf32>) -> tensor<f32> {
  %p = peer.param "pool" ones group("experts") : tensor<8x2x8xf32>
  %part = peer.slice %p along 0 from 0 size 4 : tensor<8x2x8xf32>
  %y = peer.mix %x, %i, %w, %part gelu : tensor<?x8xf32>, tensor<?x1x2xi32>, tensor<?x1x2xf32>, tensor<4x2x8xf32>
  %r = peer.reduce sum %y along [1] : tensor<?x8xf32>
  %m = peer.mean %r : tensor<?xf32>
  return %m : tensor<f32>
}
// expected-error @+1 {{cannot update 'pool' row by row, as group 'experts' asks: the pool that an op reads is a part of it; leave 'lazy' out}}
peer.train @train_step of @loss {optimizer = #peer.sgd, groups = {experts = #peer.sgd<lazy = true>}}

// -----

func.func @loss(%x: tensor<8xf32>) -> tensor<f32> {
  %w = peer.param "w" ones : tensor<8xf32>
  %f = peer.param "f" ones group("experts") frozen : tensor<8xf32>
  %y = arith.mulf %x, %w : tensor<8xf32>
  %z = arith.mulf %y, %f : tensor<8xf32>
  %m = peer.mean %z : tensor<8xf32>
  return %m : tensor<f32>
}
// expected-error @+1 {{sets an optimizer for group 'experts', but no trainable parameter of @loss is in it: what is in it is frozen}}
peer.train @step of @loss {optimizer = #peer.sgd, groups = {experts = #peer.sgd}}

// -----

func.func @loss(%x: tensor<8xf32>) -> tensor<f32> {
  %f = peer.param "f" ones frozen : tensor<8xf32>
  %y = arith.mulf %x, %f : tensor<8xf32>
  %m = peer.mean %y : tensor<8xf32>
  return %m : tensor<f32>
}
// expected-error @+1 {{has nothing to train: what @loss depends on is frozen}}
peer.train @step of @loss {optimizer = #peer.sgd}

// -----

// A frozen parameter is none that training moves without a gradient, either.
func.func @loss(%x: tensor<?x8xf32>, %t: tensor<?xi32>) -> tensor<f32> {
  %g = peer.param "gain" ones : tensor<8xf32>
  %f = peer.param "statistics" ones frozen : tensor<8xf32>
  // expected-error @+1 {{cannot be trained: its running statistics must be parameters marked 'buffer'}}
  %y = peer.batch_norm %x, %g, %g, %f, %f : tensor<?x8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>
  %l = peer.cross_entropy %y, %t : tensor<?x8xf32>, tensor<?xi32>
  %m = peer.mean %l : tensor<?xf32>
  return %m : tensor<f32>
}
peer.train @step of @loss {optimizer = #peer.sgd}
