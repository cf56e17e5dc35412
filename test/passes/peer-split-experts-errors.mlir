// RUN: %peer-pass %s --peer-split-experts="factor=2" --split-input-file --verify-diagnostics
// RUN: not %peer-pass %s --peer-split-experts="factor=1" --split-input-file -o /dev/null 2>&1 | FileCheck %s --check-prefix=FACTOR
// FACTOR: error: expected factor between 2 and 65536, got 1

!x = tensor<?x8xf32>  !q = tensor<?x1x1x8xf32>  !c = tensor<1x1x4x8xf32>  !s = tensor<?x1x1x4xf32>  !i = tensor<?x1x2xi32>  !w = tensor<?x1x2xf32>  !p = tensor<16x2x8xf32>
func.func @top_p(%x: !x) -> !x {
  %c = peer.param "router" normal(0.2) : !c
  %q = peer.reshape %x to tensor<?x1x1x8xf32> : !x
  %s = peer.score %q, %c : !q, !c
  // expected-error @+1 {{the policy top_p may select some parts of an expert and not others}}
  %i, %v = peer.select %s top_p<0.9, max = 2> : !s
  %w = peer.gate %v softmax : !w
  %p = peer.param "experts" normal(0.2) : !p
  %y = peer.mix %x, %i, %w, %p gelu {rows_per_expert = 4} : !x, !i, !w, !p
  return %y : !x
}

// -----

!x = tensor<?x8xf32>  !q = tensor<?x1x1x8xf32>  !c = tensor<1x1x4x8xf32>  !s = tensor<?x1x1x4xf32>  !i = tensor<?x1x2xi32>  !w = tensor<?x1x2xf32>  !p = tensor<16x2x8xf32>
func.func @z_loss(%x: !x) -> (!x, tensor<?xf32>) {
  %c = peer.param "router" normal(0.2) : !c
  %q = peer.reshape %x to tensor<?x1x1x8xf32> : !x
  %s = peer.score %q, %c : !q, !c
  %i, %v = peer.select %s topk<2> : !s
  %w = peer.gate %v softmax : !w
  %p = peer.param "experts" normal(0.2) : !p
  %y = peer.mix %x, %i, %w, %p gelu {rows_per_expert = 4} : !x, !i, !w, !p
  // expected-error @+1 {{op 'peer.z_loss' reads what a router says, and would compute something else of parts of experts}}
  %z = peer.z_loss %s : !s
  return %y, %z : !x, tensor<?xf32>
}

// -----

!x = tensor<?x8xf32>  !q = tensor<?x1x1x8xf32>  !c = tensor<1x1x4x8xf32>  !s = tensor<?x1x1x4xf32>  !i = tensor<?x1x2xi32>  !w = tensor<?x1x2xf32>  !p = tensor<16x2x8xf32>
func.func @shown(%x: !x) -> (!x, !w) {
  %c = peer.param "router" normal(0.2) : !c
  %q = peer.reshape %x to tensor<?x1x1x8xf32> : !x
  %s = peer.score %q, %c : !q, !c
  %i, %v = peer.select %s topk<2> : !s
  %w = peer.gate %v softmax : !w
  %p = peer.param "experts" normal(0.2) : !p
  %y = peer.mix %x, %i, %w, %p gelu {rows_per_expert = 4} : !x, !i, !w, !p
  // expected-error @+1 {{entry @shown returns what a router says, which would be of another size}}
  return %y, %w : !x, !w
}

// -----

// The values of a pool that two layers share would be multiplied for one of them only.
!x = tensor<?x8xf32>  !q = tensor<?x1x1x8xf32>  !c = tensor<1x1x4x8xf32>  !s = tensor<?x1x1x4xf32>  !i = tensor<?x1x2xi32>  !w = tensor<?x1x2xf32>  !p = tensor<16x2x8xf32>
func.func @shared(%x: !x, %idx: !i, %weights: !w) -> !x {
  %c = peer.param "router" normal(0.2) : !c
  %q = peer.reshape %x to tensor<?x1x1x8xf32> : !x
  %s = peer.score %q, %c : !q, !c
  %i, %v = peer.select %s topk<2> : !s
  %w = peer.gate %v softmax : !w
  %p = peer.param "experts" normal(0.2) : !p
  %y = peer.mix %x, %i, %w, %p gelu {rows_per_expert = 4} : !x, !i, !w, !p
  // expected-error @+1 {{parameter 'experts' of a layer that is converted is used here, too}}
  %z = peer.mix %y, %idx, %weights, %p gelu {rows_per_expert = 4} : !x, !i, !w, !p
  return %z : !x
}
