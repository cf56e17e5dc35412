// Ops that mix experts of many rows, or sum the gradient of their pool, take pairs by expert: by the rule, or as a person wants it.
// RUN: %peer-pass %s --peer-choose-mix-forms | FileCheck %s --check-prefixes=CHECK,AUTO
// RUN: %peer-pass %s --peer-choose-mix-forms=form=grouped | FileCheck %s --check-prefixes=CHECK,GROUPED
// RUN: %peer-pass %s --peer-choose-mix-forms=form=tokens | FileCheck %s --check-prefixes=CHECK,TOKENS

// CHECK-LABEL: @mixes
// AUTO:    peer.mix {{.*}} gelu {peer.group_from = 4 : i64, rows_per_expert = 16 : i64}
// AUTO:    peer.mix {{.*}} gelu {rows_per_expert = 8 : i64}
// GROUPED: peer.mix {{.*}} gelu {peer.group_from = 1 : i64, rows_per_expert = 16 : i64}
// GROUPED: peer.mix {{.*}} gelu {peer.group_from = 1 : i64, rows_per_expert = 8 : i64}
// TOKENS:  peer.mix {{.*}} gelu {peer.group_from = 0 : i64, rows_per_expert = 16 : i64}
// TOKENS:  peer.mix {{.*}} gelu {peer.group_from = 0 : i64, rows_per_expert = 8 : i64}
func.func @mixes(%x: tensor<?x8xf32>, %i: tensor<?x1x2xi32>, %w: tensor<?x1x2xf32>, %p: tensor<64x2x8xf32>)
    -> (tensor<?x8xf32>, tensor<?x8xf32>) {
  %0 = peer.mix %x, %i, %w, %p gelu {rows_per_expert = 16 : i64}
      : tensor<?x8xf32>, tensor<?x1x2xi32>, tensor<?x1x2xf32>, tensor<64x2x8xf32>
  %1 = peer.mix %x, %i, %w, %p gelu {rows_per_expert = 8 : i64}
      : tensor<?x8xf32>, tensor<?x1x2xi32>, tensor<?x1x2xf32>, tensor<64x2x8xf32>
  return %0, %1 : tensor<?x8xf32>, tensor<?x8xf32>
}

// CHECK-LABEL: @gradients
// AUTO:    peer.mix_grad {{.*}} {peer.group_from = 4 : i64
// AUTO:    peer.pool_grad {{.*}} {peer.experts = 4 : i64, peer.group_from = 4 : i64
// GROUPED: peer.mix_grad {{.*}} {peer.group_from = 1 : i64
// GROUPED: peer.pool_grad {{.*}} {peer.experts = 4 : i64, peer.group_from = 1 : i64
// TOKENS:  peer.mix_grad {{.*}} {peer.group_from = 0 : i64
// TOKENS:  peer.pool_grad {{.*}} {peer.experts = 4 : i64, peer.group_from = 0 : i64
func.func @gradients(%x: tensor<5x8xf32>, %i: tensor<5x1x2xi32>, %w: tensor<5x1x2xf32>, %p: tensor<64x2x8xf32>,
                     %dy: tensor<5x8xf32>) -> tensor<64x2x8xf32> {
  %dx, %dw, %c = peer.mix_grad %x, %i, %w, %p, %dy gelu {rows_per_expert = 16 : i64}
      : tensor<5x8xf32>, tensor<5x1x2xi32>, tensor<5x1x2xf32>, tensor<64x2x8xf32>, tensor<5x8xf32>
  %o, %s, %n = peer.sort_pairs %i experts 4 : tensor<5x1x2xi32>
  %dp = peer.pool_grad %i, %o, %s, %n, %c, %x, %dy {rows = 64 : i64}
      : tensor<5x1x2xi32>, tensor<10xi32>, tensor<10xi32>, tensor<2xi32>, tensor<5x1x2x16x2xf32>, tensor<5x8xf32>, tensor<5x8xf32>
  return %dp : tensor<64x2x8xf32>
}
