// The backward of a pool and its optimizer: the launches of the sort's two regimes, rows with 16-byte accesses.
// RUN: peer-opt %s --internal-ops --target=sm_90 --mlir-print-ir-after=peer-launch-kernels --emit=asm -o %t.ptx 2> %t.launches
// RUN: FileCheck %s --input-file=%t.launches
// RUN: FileCheck %s --input-file=%t.ptx --check-prefix=PTX
// Nothing in thread-local memory, nothing to link, no float added by whoever comes first.
// RUN: FileCheck %s --input-file=%t.ptx --check-prefix=CLEAN
// CLEAN-NOT: .local
// CLEAN-NOT: .extern
// CLEAN-NOT: {{[[:space:]](atom|red)[.].*[.](f32|f64|bf16)}}

// One block groups few pairs; else three passes of three launches, and two for the segments.
// CHECK-LABEL: func.func private @kernel_sort_pairs(
// CHECK: scf.if
// CHECK: gpu.launch {{.*}} function(@sort_pairs)
// CHECK: else
// CHECK-COUNT-11: gpu.launch
// CHECK-NOT: gpu.launch
// Shares of long segments, the rows, the sum over blocks.
// CHECK-LABEL: func.func private @kernel_pool_grad_norm(
// CHECK-COUNT-3: gpu.launch
// CHECK-NOT: gpu.launch
// CHECK-LABEL: func.func private @kernel_row_update(
// CHECK-COUNT-2: gpu.launch
// CHECK-NOT: gpu.launch
// CHECK-LABEL: func.func private @kernel_sum_squares(
// CHECK-COUNT-2: gpu.launch
// CHECK-NOT: gpu.launch

// A hash table in shared memory, 2 slots for each of 4096 pairs: an expert's slot, its first pair, its number of pairs.
// PTX-LABEL: .entry sort_pairs(
// PTX: .shared .align 16 .b8 {{.*}}[32768]
// PTX: match.any.sync
// PTX: atom.relaxed.cta.shared.cas.b32
// PTX: atom.shared.min.u32
// PTX: {{atom|red}}.shared.add.u32
// PTX-LABEL: .entry sort_pairs_part3(
// PTX: match.any.sync
// PTX-LABEL: .entry pool_grad_norm(
// PTX: vote.sync.ballot
// Rows of x and dy through the read-only path; the pool, m and v are on their way before them.
// PTX-LABEL: .entry row_update_part1(
// PTX: ld.global.v4.b16
// PTX: ld.global.v4.b32
// PTX: ld.global.v4.b32
// PTX: ld.global.nc.v4.b32
func.func @step(%idx: tensor<?x8x16xi32> {peer.name = "idx"}, %coef: tensor<?x8x16x1x2xf32> {peer.name = "coef"},
                %x: tensor<?x256xf32> {peer.name = "x"}, %dy: tensor<?x256xf32> {peer.name = "dy"},
                %pool: tensor<1048576x2x256xbf16> {peer.name = "pool"}, %m: tensor<1048576x2x256xf32> {peer.name = "m"},
                %v: tensor<1048576x2x256xf32> {peer.name = "v"}, %rate: tensor<f32> {peer.name = "rate"},
                %step: tensor<f32> {peer.name = "step"}, %scale: tensor<f32> {peer.name = "scale"})
    -> (tensor<f32> {peer.name = "norm"}, tensor<1048576x2x256xbf16> {peer.name = "p_new"},
        tensor<1048576x2x256xf32> {peer.name = "m_new"}, tensor<1048576x2x256xf32> {peer.name = "v_new"},
        tensor<f32> {peer.name = "squares"}) {
  %o, %s, %c = peer.sort_pairs %idx experts 1048576 : tensor<?x8x16xi32>
  %norm = peer.pool_grad_norm %idx, %o, %s, %c, %coef, %x, %dy
      : tensor<?x8x16xi32>, tensor<?xi32>, tensor<?xi32>, tensor<2xi32>, tensor<?x8x16x1x2xf32>, tensor<?x256xf32>, tensor<?x256xf32>
  %p:3 = peer.row_update %pool, %idx, %o, %s, %c, %coef, %x, %dy, %rate, %step, %scale, %m, %v {optimizer = #peer.adamw<>}
      : tensor<1048576x2x256xbf16>, tensor<?x8x16xi32>, tensor<?xi32>, tensor<?xi32>, tensor<2xi32>, tensor<?x8x16x1x2xf32>,
        tensor<?x256xf32>, tensor<?x256xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<1048576x2x256xf32>,
        tensor<1048576x2x256xf32>
  %squares = peer.sum_squares %x : tensor<?x256xf32>
  return %norm, %p#0, %p#1, %p#2, %squares : tensor<f32>, tensor<1048576x2x256xbf16>, tensor<1048576x2x256xf32>,
      tensor<1048576x2x256xf32>, tensor<f32>
}
