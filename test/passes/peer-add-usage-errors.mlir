// RUN: %peer-pass %s --peer-inline-modules --peer-add-usage "--peer-verify-level=level=graph" --split-input-file --verify-diagnostics

// The use of a pool is counted once: a pool that is cut into experts in two ways has no one count.
func.func @loss(%x: tensor<?x8xf32>, %i: tensor<?x1x2xi32>, %w: tensor<?x1x2xf32>) -> tensor<?x8xf32> attributes {peer.kind = "loss"} {
  %p = peer.param "pool" zeros : tensor<16x2x8xf32>
  // expected-note @+1 {{it was used before here}}
  %a = peer.mix %x, %i, %w, %p relu : tensor<?x8xf32>, tensor<?x1x2xi32>, tensor<?x1x2xf32>, tensor<16x2x8xf32>
  // expected-error @+1 {{op 'peer.mix' has a pool of 8 experts, which is one of 16 before; give both the same rows_per_expert}}
  %b = peer.mix %a, %i, %w, %p relu {rows_per_expert = 2} : tensor<?x8xf32>, tensor<?x1x2xi32>, tensor<?x1x2xf32>, tensor<16x2x8xf32>
  return %b : tensor<?x8xf32>
}

// -----

func.func @one(%x: tensor<?x8xf32>, %i: tensor<?x1x2xi32>, %w: tensor<?x1x2xf32>) -> tensor<?x8xf32> attributes {peer.kind = "loss"} {
  %p = peer.param "pool" zeros : tensor<16x2x8xf32>
  // expected-note @+1 {{the other one comes from here}}
  %a = peer.mix %x, %i, %w, %p relu : tensor<?x8xf32>, tensor<?x1x2xi32>, tensor<?x1x2xf32>, tensor<16x2x8xf32>
  return %a : tensor<?x8xf32>
}
func.func @two(%x: tensor<?x8xf32>, %i: tensor<?x1x2xi32>, %w: tensor<?x1x2xf32>) -> tensor<?x8xf32> attributes {peer.kind = "loss"} {
  %p = peer.param "pool" zeros : tensor<16x2x8xf32>
  // expected-error @+1 {{the pool 'pool' has 4 experts here, in entry @two, and 16 in entry @one, but their use is counted once for all entries; give both the same rows_per_expert}}
  %a = peer.mix %x, %i, %w, %p relu {rows_per_expert = 4} : tensor<?x8xf32>, tensor<?x1x2xi32>, tensor<?x1x2xf32>, tensor<16x2x8xf32>
  return %a : tensor<?x8xf32>
}

// -----

// Nor have two caches of one name.
// expected-note @+1 {{the other one comes from here}}
func.func @one(%x: tensor<8xf32> {peer.name = "x", peer.role = "input"}, %c: tensor<4x8xf32> {peer.name = "cache.0.key", peer.role = "state"}) -> tensor<8xf32> {
  return %x : tensor<8xf32>
}
// expected-error @+1 {{entry @two keeps 'cache.0.key' as 'tensor<8x8xf32>', and entry @one as 'tensor<4x8xf32>', but an artifact has one state of a name; compile them apart}}
func.func @two(%x: tensor<8xf32> {peer.name = "x", peer.role = "input"}, %c: tensor<8x8xf32> {peer.name = "cache.0.key", peer.role = "state"}) -> tensor<8xf32> {
  return %x : tensor<8xf32>
}
