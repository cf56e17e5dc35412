// Score, select and gate as one kernel, whose scores are never in memory. Where tiles are few when it runs, their keys are spread
// over blocks; for few tokens known here it is two, with the scores between them.
// RUN: peer-opt %s --target=sm_90 --mlir-print-ir-after=peer-launch-kernels --emit=asm -o %t.ptx 2> %t.blocks
// RUN: FileCheck %s --input-file=%t.blocks
// RUN: FileCheck %s --input-file=%t.ptx --check-prefix=PTX --implicit-check-not=.local --implicit-check-not=.extern --implicit-check-not=atom
// RUN: peer-opt %s --target=sm_90 --emit=kernel | FileCheck %s --check-prefix=HOST
// RUN: peer-opt %s --target=sm_80 --emit=asm | FileCheck %s --check-prefix=PTX --implicit-check-not=.local --implicit-check-not=.extern --implicit-check-not=atom

// A block has 64 tokens of a head and memory for their queries and lists.
// CHECK-LABEL: func.func private @kernel_route(
// CHECK:       arith.cmpi uge, %[[TILES:.*]], %c100
// CHECK-NEXT:  scf.if
// CHECK:       gpu.launch {{.*}} function(@route)
// CHECK-NOT:   memref.view
// CHECK:       gpu.dynamic_shared_memory
// CHECK:       nvvm.cp.async.shared.global
// CHECK:       nvvm.mma.sync
// CHECK:       vote.sync ballot
// CHECK-NOT:   peer.{{route|score|select|gate}}

// bf16 keys and f32 queries: three products of bf16, and the queries' parts by one instruction for two.
// PTX-LABEL: .entry route(
// PTX:       .minnctapersm 2
// PTX:       cp.async.cg.shared.global
// PTX:       cvt.rn.bf16x2.f32
// PTX-COUNT-48: mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32
// PTX:       vote.sync.ballot
// PTX:       shfl.sync.bfly
// PTX:       .entry route_part1(
// PTX-COUNT-48: mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32
// PTX:       .entry route_part2(
// PTX-NOT:   mma.sync
// PTX:       .entry route_0(
func.func @many(%q: tensor<?x8x2x128xf32>, %c: tensor<8x2x1024x128xbf16>) -> (tensor<?x8x16xi32>, tensor<?x8x16xf32>) {
  %s = peer.score %q, %c : tensor<?x8x2x128xf32>, tensor<8x2x1024x128xbf16>
  %i, %v = peer.select %s product_topk<16> : tensor<?x8x2x1024xf32>
  %w = peer.gate %v softmax : tensor<?x8x16xf32>
  return %i, %w : tensor<?x8x16xi32>, tensor<?x8x16xf32>
}

// The host chooses: 8 heads, so 100 tiles are 12.5 times 64 tokens.
// HOST-LABEL: func.func @entry_many(
// HOST:       %[[MANY:.*]] = arith.cmpi uge, %{{.*}}, %c100
// HOST:       scf.if %[[MANY]] {
// HOST:       gpu.launch_func @kernels::@route blocks
// HOST:       } else {
// HOST:       gpu.launch_func @kernels::@route_part1 blocks
// HOST:       gpu.launch_func @kernels::@route_part2 blocks

// Known to be few: 8 tiles of 64 tokens, whose keys are 16 parts each; then 16 rows to a block.
// HOST-LABEL: func.func @entry_some(
// HOST-NOT:   scf.if
// HOST:       gpu.launch_func @kernels::@route_{{[0-9]+}} blocks in (%c128, %c1, %c1)
// HOST-NEXT:  gpu.launch_func @kernels::@route_{{[0-9]+}}_part1 blocks in (%c32, %c1, %c1)
// HOST-NEXT:  call @peer_rt_mark
func.func @some(%q: tensor<64x8x2x128xf32>, %c: tensor<8x2x1024x128xbf16>) -> (tensor<64x8x16xi32>, tensor<64x8x16xf32>) {
  %s = peer.score %q, %c : tensor<64x8x2x128xf32>, tensor<8x2x1024x128xbf16>
  %i, %v = peer.select %s product_topk<16> : tensor<64x8x2x1024xf32>
  %w = peer.gate %v softmax : tensor<64x8x16xf32>
  return %i, %w : tensor<64x8x16xi32>, tensor<64x8x16xf32>
}

// A block for 64 keys of a head and half, then one for each head: 256 + 8.
// CHECK-LABEL: func.func private @kernel_route_1(
// CHECK:       gpu.launch {{.*}} function(@route_1)
// CHECK-NOT:   nvvm.mma.sync
// CHECK:       gpu.launch {{.*}} function(@route_1_part1)
// CHECK-NOT:   nvvm.mma.sync
// CHECK:       return
// HOST-LABEL: func.func @entry_few(
// HOST:       gpu.launch_func @kernels::@route_1 blocks in (%c256, %c1, %c1)
// HOST-NEXT:  gpu.launch_func @kernels::@route_1_part1 blocks in (%c8, %c1, %c1)
// PTX:       .entry route_1(
// PTX:       ld.global.nc.v4.b32
// PTX:       .entry route_1_part1(
func.func @few(%q: tensor<1x8x2x128xf32>, %c: tensor<8x2x1024x128xf32>) -> (tensor<1x8x16xi32>, tensor<1x8x16xf32>) {
  %s = peer.score %q, %c : tensor<1x8x2x128xf32>, tensor<8x2x1024x128xf32>
  %i, %v = peer.select %s product_topk<16> : tensor<1x8x2x1024xf32>
  %w = peer.gate %v softmax : tensor<1x8x16xf32>
  return %i, %w : tensor<1x8x16xi32>, tensor<1x8x16xf32>
}

// Scores that are wanted themselves: blocks for 256 keys of a head and half with 64 tokens.
// HOST-LABEL: func.func @entry_alone(
// HOST:       gpu.launch_func @kernels::@score blocks in (%c64, %c1, %c1)
func.func @alone(%q: tensor<64x8x2x128xf32>, %c: tensor<8x2x1024x128xf32>) -> tensor<64x8x2x1024xf32> {
  %s = peer.score %q, %c : tensor<64x8x2x128xf32>, tensor<8x2x1024x128xf32>
  return %s : tensor<64x8x2x1024xf32>
}
