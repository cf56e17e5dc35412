// A mix and its token pass: launches by the number of tokens, rows by 16-byte accesses into registers.
// RUN: peer-opt %s --internal-ops --target=sm_90 --mlir-print-ir-after=peer-launch-kernels --emit=asm -o %t.ptx 2> %t.launches
// RUN: FileCheck %s --input-file=%t.launches
// RUN: FileCheck %s --input-file=%t.ptx --check-prefix=PTX --implicit-check-not=.local --implicit-check-not=.extern --implicit-check-not=atom --implicit-check-not=red.global
// RUN: peer-opt %s --internal-ops --target=sm_80 --mlir-print-ir-after=peer-launch-kernels --emit=asm 2> %t.fewer | FileCheck %s --check-prefix=PTX --implicit-check-not=.local --implicit-check-not=.extern --implicit-check-not=atom --implicit-check-not=red.global

// A warp per token from 2048 tokens on, a block per token from 64 on, then several blocks and a launch that adds them up.
// CHECK-LABEL: func.func private @kernel_mix(
// CHECK:       %[[MANY:.*]] = arith.cmpi sge, %{{.*}}, %c2048
// CHECK:       scf.if %[[MANY]]
// CHECK:         gpu.launch {{.*}} %c128{{.*}} function(@mix)
// CHECK:         vote.sync ballot
// CHECK:       %[[SOME:.*]] = arith.cmpi sge, %{{.*}}, %c64
// CHECK:       scf.if %[[SOME]]
// CHECK:         gpu.launch {{.*}} %c256{{.*}} function(@mix_part1)
// CHECK:         gpu.barrier
// CHECK:       memref.alloc(%{{.*}}) {{.*}} : memref<?x256xf32>
// CHECK:       gpu.launch {{.*}} function(@mix_part2)
// CHECK:       gpu.launch {{.*}} function(@mix_part3)
// CHECK-NOT:   peer.mix

// 108 multiprocessors are filled by fewer.
// RUN: FileCheck %s --input-file=%t.fewer --check-prefix=FEWER
// FEWER-LABEL: func.func private @kernel_mix(
// FEWER:       %[[MANY:.*]] = arith.cmpi sge, %{{.*}}, %c1024
// FEWER:       scf.if %[[MANY]]
// FEWER:       arith.cmpi sge, %{{.*}}, %c32

// A number of tokens that is known leaves one regime; rows of 1024 are shared by two warps, which exchange dots.
// CHECK-LABEL: func.func private @kernel_mix_grad(
// CHECK-NOT:   scf.if
// CHECK:       gpu.launch {{.*}} %c64{{.*}} function(@mix_grad)
// CHECK:       gpu.barrier
// CHECK-NOT:   function(@mix_grad_part1)

// Four rows of two vectors are under way before the first is used.
// PTX-LABEL: .entry mix(
// PTX:       .maxntid 128
// PTX:       .minnctapersm
// PTX:       vote.sync.ballot
// PTX:       shfl.sync.idx
// PTX-COUNT-8: ld.global.nc.v4
// PTX:       shfl.sync.bfly
// PTX:       st.global.v4
// PTX-LABEL: .entry mix_grad(
// PTX-DAG:   ld.global.nc.v4
// PTX-DAG:   st.shared
// PTX-DAG:   bar.sync
// PTX-DAG:   ld.shared
func.func @f(%x: tensor<?x256xf32> {peer.name = "x"}, %i: tensor<?x8x16xi32> {peer.name = "i"},
             %w: tensor<?x8x16xf32> {peer.name = "w"}, %p: tensor<4096x2x256xbf16> {peer.name = "p"})
    -> (tensor<?x256xf32> {peer.name = "y"}) {
  %y = peer.mix %x, %i, %w, %p gelu : tensor<?x256xf32>, tensor<?x8x16xi32>, tensor<?x8x16xf32>, tensor<4096x2x256xbf16>
  return %y : tensor<?x256xf32>
}

func.func @g(%x: tensor<4096x1024xf32> {peer.name = "x"}, %i: tensor<4096x8x16xi32> {peer.name = "i"},
             %w: tensor<4096x8x16xf32> {peer.name = "w"}, %p: tensor<4096x2x1024xbf16> {peer.name = "p"},
             %dy: tensor<4096x1024xf32> {peer.name = "dy"})
    -> (tensor<4096x1024xf32> {peer.name = "dx"}, tensor<4096x8x16xf32> {peer.name = "dw"},
        tensor<4096x8x16x1x2xf32> {peer.name = "c"}) {
  %dx, %dw, %c = peer.mix_grad %x, %i, %w, %p, %dy gelu : tensor<4096x1024xf32>, tensor<4096x8x16xi32>,
      tensor<4096x8x16xf32>, tensor<4096x2x1024xbf16>, tensor<4096x1024xf32>
  return %dx, %dw, %c : tensor<4096x1024xf32>, tensor<4096x8x16xf32>, tensor<4096x8x16x1x2xf32>
}
