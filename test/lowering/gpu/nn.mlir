// RUN: peer-opt %s --internal-ops --target=sm_90 --emit=kernel -o - | FileCheck %s
// RUN: peer-opt %s --internal-ops --target=sm_90 --emit=asm -o %t.ptx && FileCheck %s --check-prefix=PTX < %t.ptx
// RUN: not grep -E '\.local|\.extern' %t.ptx

// One row per warp, four elements per lane.
// PTX-LABEL: .entry rms_norm(
// PTX:         ld.global.v4
// PTX:         shfl.sync.bfly
// PTX:         st.global.v4
// A sum over tokens: chunks of rows, then the chunks' sums, each added up over the warps of a block.
// PTX-LABEL: .entry rms_norm_weight_grad(
// PTX:         ld.global.v4
// PTX:         st.shared.v4
// PTX:         bar.sync
// PTX-LABEL: .entry rms_norm_weight_grad_part1(
// PTX:         ld.global.v4
// CHECK-LABEL: func.func @entry_norm(
// CHECK:         gpu.launch_func @kernels::@rms_norm blocks
// CHECK:         gpu.launch_func @kernels::@rms_norm_weight_grad blocks
// CHECK:         gpu.launch_func @kernels::@rms_norm_weight_grad_part1 blocks
func.func @norm(%x: tensor<?x256xf32> {peer.name = "x"}, %w: tensor<256xf32> {peer.name = "w"},
    %r: tensor<?xf32> {peer.name = "r"}) -> (tensor<?x256xf32> {peer.name = "y"}, tensor<256xf32> {peer.name = "dw"}) {
  %y = peer.rms_norm %x, %w : tensor<?x256xf32>, tensor<256xf32>
  %dw = peer.rms_norm_weight_grad %x, %r, %y : tensor<?x256xf32>, tensor<?xf32>, tensor<?x256xf32>
  return %y, %dw : tensor<?x256xf32>, tensor<256xf32>
}

// Rows that are not aligned are read one element at a time.
// PTX-LABEL: .entry layer_norm(
// PTX-NOT:     .v4
// PTX:         ld.global.b32
// CHECK-LABEL: func.func @entry_unaligned(
func.func @unaligned(%x: tensor<?x37xf32> {peer.name = "x"}, %w: tensor<37xf32> {peer.name = "w"})
    -> (tensor<?x37xf32> {peer.name = "y"}) {
  %y = peer.layer_norm %x, %w, %w : tensor<?x37xf32>, tensor<37xf32>, tensor<37xf32>
  return %y : tensor<?x37xf32>
}

// A long row of logits has a block.
// PTX-LABEL: .entry cross_entropy(
// PTX:         ld.global.v4
// PTX:         bar.sync
// CHECK-LABEL: func.func @entry_loss(
// CHECK:         gpu.launch_func @kernels::@cross_entropy blocks in (%[[T:.*]], %
// CHECK:         gpu.launch_func @kernels::@mean blocks
// CHECK:         gpu.launch_func @kernels::@mean_part1 blocks
func.func @loss(%l: tensor<?x50000xf32> {peer.name = "l"}, %t: tensor<?xi32> {peer.name = "t"})
    -> (tensor<f32> {peer.name = "m"}) {
  %e = peer.cross_entropy %l, %t : tensor<?x50000xf32>, tensor<?xi32>
  %m = peer.mean %e : tensor<?xf32>
  return %m : tensor<f32>
}

// A small table: a copy for each range of tokens, and their sums. A large one is written in place.
// PTX-LABEL: .entry embedding_grad(
// PTX-NOT:     atom
// PTX:         vote.sync.ballot
// CHECK-LABEL: func.func @entry_tables(
// CHECK:         gpu.launch_func @kernels::@embedding_grad blocks
// CHECK:         gpu.launch_func @kernels::@embedding_grad_part1 blocks
// CHECK:         gpu.launch_func @kernels::@embedding_grad_0 blocks
// CHECK-NOT:     gpu.launch_func @kernels::@embedding_grad_0_part1
func.func @tables(%t: tensor<?xi32> {peer.name = "t"}, %dy: tensor<?x256xf32> {peer.name = "dy"})
    -> (tensor<256x256xf32> {peer.name = "small"}, tensor<50000x256xf32> {peer.name = "large"}) {
  %s = peer.embedding_grad %t, %dy {rows = 256 : i64} : tensor<?xi32>, tensor<?x256xf32>
  %l = peer.embedding_grad %t, %dy {rows = 50000 : i64} : tensor<?xi32>, tensor<?x256xf32>
  return %s, %l : tensor<256x256xf32>, tensor<50000x256xf32>
}

// PTX-LABEL: .entry elementwise(
// PTX-COUNT-2: ld.global.v4
// PTX:         st.global.v4
// CHECK-LABEL: func.func @entry_sum(
func.func @sum(%x: tensor<?x256xf32> {peer.name = "x"}, %z: tensor<?x256xf32> {peer.name = "z"}) -> (tensor<?x256xf32> {peer.name = "y"}) {
  %y = arith.addf %x, %z : tensor<?x256xf32>
  return %y : tensor<?x256xf32>
}

// Few channels: chunks of rows have threads of their own. Up to 132 * 4 * 32 of them, the host says; short sequences never do.
// CHECK-LABEL: func.func @entry_scan(
// CHECK:         %[[FEW:.*]] = arith.cmpi ule, %{{.*}}, %c66 : index
// CHECK:         scf.if %[[FEW]] {
// CHECK:           gpu.launch_func @kernels::@selective_scan blocks
// CHECK:           gpu.launch_func @kernels::@selective_scan_part1 blocks
// CHECK:           gpu.launch_func @kernels::@selective_scan_part2 blocks
// CHECK:         } else {
// CHECK:           gpu.launch_func @kernels::@selective_scan_part3 blocks
func.func @scan(%x: tensor<?x256xf32> {peer.name = "x"}, %a: tensor<4x256xf32> {peer.name = "a"}, %b: tensor<?x4xf32> {peer.name = "b"})
    -> (tensor<?x256xf32> {peer.name = "y"}) {
  %y = peer.selective_scan %x, %x, %a, %b, %b context 256 : tensor<?x256xf32>, tensor<?x256xf32>, tensor<4x256xf32>, tensor<?x4xf32>, tensor<?x4xf32>
  return %y : tensor<?x256xf32>
}

// CHECK-LABEL: func.func @entry_short_scan(
// CHECK:         gpu.launch_func {{.*}}selective_scan
// CHECK-NOT:     gpu.launch_func
// CHECK:         return
func.func @short_scan(%x: tensor<?x256xf32> {peer.name = "x"}, %a: tensor<4x256xf32> {peer.name = "a"}, %b: tensor<?x4xf32> {peer.name = "b"})
    -> (tensor<?x256xf32> {peer.name = "y"}) {
  %y = peer.selective_scan %x, %x, %a, %b, %b context 64 : tensor<?x256xf32>, tensor<?x256xf32>, tensor<4x256xf32>, tensor<?x4xf32>, tensor<?x4xf32>
  return %y : tensor<?x256xf32>
}
