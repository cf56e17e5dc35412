// Rows of int8: the launches of a mix, 16 elements per access and lane, widened byte by byte without conversions.
// RUN: peer-opt %s --target=sm_90 --mlir-print-ir-after=peer-launch-kernels --emit=asm -o %t.ptx 2> %t.launches
// RUN: FileCheck %s --input-file=%t.launches
// RUN: FileCheck %s --input-file=%t.ptx --check-prefix=PTX --implicit-check-not=.local --implicit-check-not=.extern --implicit-check-not=atom --implicit-check-not=cvt.rn.f32.s
// RUN: peer-opt %s --target=sm_80 --emit=asm | FileCheck %s --check-prefix=PTX --implicit-check-not=.local --implicit-check-not=.extern --implicit-check-not=atom --implicit-check-not=cvt.rn.f32.s

// A warp per token from 2048 tokens on, a block per token from 64 on, then several blocks and a launch that adds them up.
// CHECK-LABEL: func.func private @kernel_quantized_mix(
// CHECK:       %[[MANY:.*]] = arith.cmpi sge, %{{.*}}, %c2048
// CHECK:       scf.if %[[MANY]]
// CHECK:         gpu.launch {{.*}} %c128{{.*}} function(@quantized_mix)
// CHECK:       %[[SOME:.*]] = arith.cmpi sge, %{{.*}}, %c64
// CHECK:       scf.if %[[SOME]]
// CHECK:         gpu.launch {{.*}} %c256{{.*}} function(@quantized_mix_part1)
// CHECK:       gpu.launch {{.*}} function(@quantized_mix_part2)
// CHECK:       gpu.launch {{.*}} function(@quantized_mix_part3)
// CHECK-NOT:   peer.quantized_mix

// The scales of 32 rows are read with their indices; then four rows of two vectors of 1024 bytes are under way at once.
// PTX-LABEL: .entry quantized_mix(
// PTX:       .maxntid 128
// PTX-COUNT-2: ld.global.nc.b32
// PTX:       vote.sync.ballot
// PTX-COUNT-16: ld.global.nc.v4
// PTX:       prmt.b32
// PTX:       st.global.v4
// PTX-LABEL: .entry quantized_mix_part1(

// D = 256: 8 bytes per lane, so that all lanes read.
// PTX-LABEL: .entry quantized_mix_0(
// PTX:       ld.global.nc.v2
// PTX:       prmt.b32

// fp8: two bytes become two f16.
// PTX-LABEL: .entry quantized_mix_1(
// PTX:       ld.global.nc.v2
// PTX:       prmt.b32
// PTX:       cvt.f32.f16
func.func @f(%x: tensor<?x1024xf32> {peer.name = "x"}, %i: tensor<?x8x16xi32> {peer.name = "i"},
             %w: tensor<?x8x16xf32> {peer.name = "w"}, %p: tensor<4096x2x1024xi8> {peer.name = "p"},
             %s: tensor<4096x2xf32> {peer.name = "s"}) -> (tensor<?x1024xf32> {peer.name = "y"}) {
  %y = peer.quantized_mix %x, %i, %w, %p, %s gelu : tensor<?x1024xf32>, tensor<?x8x16xi32>, tensor<?x8x16xf32>,
      tensor<4096x2x1024xi8>, tensor<4096x2xf32>
  return %y : tensor<?x1024xf32>
}

func.func @g(%x: tensor<?x256xf32> {peer.name = "x"}, %i: tensor<?x8x16xi32> {peer.name = "i"},
             %w: tensor<?x8x16xf32> {peer.name = "w"}, %p: tensor<4096x2x256xi8> {peer.name = "p"},
             %s: tensor<4096x2xf32> {peer.name = "s"}) -> (tensor<?x256xf32> {peer.name = "y"}) {
  %y = peer.quantized_mix %x, %i, %w, %p, %s gelu : tensor<?x256xf32>, tensor<?x8x16xi32>, tensor<?x8x16xf32>,
      tensor<4096x2x256xi8>, tensor<4096x2xf32>
  return %y : tensor<?x256xf32>
}

func.func @h(%x: tensor<?x256xf32> {peer.name = "x"}, %i: tensor<?x8x16xi32> {peer.name = "i"},
             %w: tensor<?x8x16xf32> {peer.name = "w"}, %p: tensor<4096x2x256xf8E4M3FN> {peer.name = "p"},
             %s: tensor<4096x2xf32> {peer.name = "s"}) -> (tensor<?x256xf32> {peer.name = "y"}) {
  %y = peer.quantized_mix %x, %i, %w, %p, %s gelu : tensor<?x256xf32>, tensor<?x8x16xi32>, tensor<?x8x16xf32>,
      tensor<4096x2x256xf8E4M3FN>, tensor<4096x2xf32>
  return %y : tensor<?x256xf32>
}
