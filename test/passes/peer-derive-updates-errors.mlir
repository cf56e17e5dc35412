// RUN: %peer-pass %s --peer-inline-modules --peer-derive-updates --peer-differentiate --split-input-file --verify-diagnostics

func.func @f(%x: tensor<?x8xf32>, %i: tensor<?x1x2xi32>, %w: tensor<?x1x2xf32>) -> tensor<?x8xf32> {
  %p = peer.param "experts" zeros : tensor<16x2x8xf32>
  %y = peer.mix %x, %i, %w, %p gelu : tensor<?x8xf32>, tensor<?x1x2xi32>, tensor<?x1x2xf32>, tensor<16x2x8xf32>
  return %y : tensor<?x8xf32>
}
// expected-error @+1 {{updates 'expert', which no function of this module has for a parameter; did you mean 'experts'?}}
peer.update_rows @update of "expert" {optimizer = #peer.sgd<lazy>}

// -----

func.func @f(%x: tensor<?x8xf32>) -> tensor<?x4xf32> {
  %p = peer.param "weight" zeros : tensor<8x4xf32>
  %y = peer.linear %x, %p : tensor<?x8xf32>, tensor<8x4xf32>
  return %y : tensor<?x4xf32>
}
// expected-error @+1 {{updates 'weight' row by row, but no op selects rows of it; a gradient of the whole is what there is}}
peer.update_rows @update of "weight" {optimizer = #peer.sgd<lazy>}

// -----

func.func @f(%x: tensor<?x8xf32>, %i: tensor<?x1x2xi32>, %w: tensor<?x1x2xf32>) -> tensor<?x8xf32> {
  %p = peer.param "experts" zeros buffer : tensor<16x2x8xf32>
  %y = peer.mix %x, %i, %w, %p gelu : tensor<?x8xf32>, tensor<?x1x2xi32>, tensor<?x1x2xf32>, tensor<16x2x8xf32>
  return %y : tensor<?x8xf32>
}
// expected-error @+1 {{cannot update 'experts', which is not trained}}
peer.update_rows @update of "experts" {optimizer = #peer.sgd<lazy>}

// -----

func.func @f(%x: tensor<?x8xf32>, %i: tensor<?x1x2xi32>, %w: tensor<?x1x2xf32>) -> tensor<?x8xf32> {
  %p = peer.param "experts" zeros frozen : tensor<16x2x8xf32>
  %y = peer.mix %x, %i, %w, %p gelu : tensor<?x8xf32>, tensor<?x1x2xi32>, tensor<?x1x2xf32>, tensor<16x2x8xf32>
  return %y : tensor<?x8xf32>
}
// expected-error @+1 {{cannot update 'experts', which is frozen}}
peer.update_rows @update of "experts" {optimizer = #peer.sgd<lazy>}

// -----

func.func @f(%x: tensor<?x8xf32>, %i: tensor<?x1x2xi32>, %w: tensor<?x1x2xf32>) -> tensor<?x8xf32> {
  %p = peer.param "experts" zeros : tensor<16x2x8xf32>
  %y = peer.mix %x, %i, %w, %p gelu : tensor<?x8xf32>, tensor<?x1x2xi32>, tensor<?x1x2xf32>, tensor<16x2x8xf32>
  %z = peer.mix %y, %i, %w, %p gelu {rows_per_expert = 2} : tensor<?x8xf32>, tensor<?x1x2xi32>, tensor<?x1x2xf32>, tensor<16x2x8xf32>
  return %z : tensor<?x8xf32>
}
// expected-error @+1 {{cannot update 'experts' from pairs of all its uses, whose experts have 2 and 1 rows; give both the same rows_per_expert}}
peer.update_rows @update of "experts" {optimizer = #peer.sgd<lazy>}

// -----

func.func @f(%x: tensor<?x8xf32>, %i: tensor<?x1x2xi32>, %w: tensor<?x1x2xf32>) -> (tensor<?x8xf32>, tensor<16x2x8xf32>) {
  %p = peer.param "experts" zeros : tensor<16x2x8xf32>
  %y = peer.mix %x, %i, %w, %p gelu : tensor<?x8xf32>, tensor<?x1x2xi32>, tensor<?x1x2xf32>, tensor<16x2x8xf32>
  // expected-note @+1 {{op 'arith.negf' reads it}}
  %n = arith.negf %p : tensor<16x2x8xf32>
  return %y, %n : tensor<?x8xf32>, tensor<16x2x8xf32>
}
// expected-error @+1 {{cannot give the gradient of 'experts' as pairs, since it is read as a whole, too; leave 'rows' out}}
peer.gradient @g of @f {rows}
