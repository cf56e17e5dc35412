// Dense products: the library first, then launches by the number of rows.
// RUN: peer-opt %s --target=sm_90 --mlir-print-ir-after=peer-lower-to-blocks --emit=asm -o %t.ptx 2> %t.blocks
// RUN: FileCheck %s --input-file=%t.blocks
// RUN: FileCheck %s --input-file=%t.ptx --check-prefix=PTX
// RUN: peer-opt %s --target=sm_90 --emit=kernel -o %t.kernel
// RUN: FileCheck %s --input-file=%t.kernel --check-prefix=CALL
// Nothing in thread-local memory, nothing to link.
// RUN: FileCheck %s --input-file=%t.ptx --check-prefix=CLEAN
// CLEAN-NOT: .local
// CLEAN-NOT: .extern

// CHECK-LABEL: func.func private @kernel_linear(
// CHECK: %[[DONE:.*]] = call @peer_rt_matmul(
// CHECK: arith.cmpi ne, %[[DONE]]
// One row: the weight is read by 16 bytes.
// CHECK: gpu.launch {{.*}} function(@linear)
// CHECK: llvm.load {{.*}} invariant {{.*}} -> vector<4xf32>
// Few rows, then many; each may share its depth among blocks, whose sums are added up by another launch.
// CHECK: gpu.launch {{.*}} function(@linear_part1)
// CHECK: nvvm.cp.async.shared.global {{.*}}, 16, cache = cg
// CHECK: nvvm.mma.sync {{.*}} multiplicandAPtxType = #nvvm.mma_type<tf32>
// CHECK: gpu.launch {{.*}} function(@linear_part2)
// CHECK-NOT: nvvm.mma.sync
// CHECK: gpu.launch {{.*}} function(@linear_part3)
// CHECK: nvvm.mma.sync
// CHECK: gpu.launch {{.*}} function(@linear_part4)

// PTX-DAG: .visible .entry linear(
// PTX-DAG: ld.global.nc.v4
// PTX-DAG: cp.async.cg.shared.global [{{.*}}], [{{.*}}], 16
// PTX-DAG: mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32
// PTX-DAG: .shared .align 16
// What the library is told: transposes, m, n, k, alpha, each matrix with the distance of its rows, beta.
// CALL-LABEL: func.func @entry_project(
// CALL-DAG: %[[ONE:.*]] = arith.constant 1.0{{.*}} : f32
// CALL-DAG: %[[ZERO:.*]] = arith.constant 0.0{{.*}} : f32
// CALL-DAG: %[[STREAM:.*]] = llvm.mlir.zero : !llvm.ptr
// CALL-DAG: %[[T:.*]] = arith.index_cast %dim{{.*}} : index to i64
// CALL: call @peer_rt_matmul(%[[STREAM]], %c0_i64, %c0_i64, %[[T]], %c512_i64, %c256_i64, %[[ONE]], %{{.*}}, %c256_i64, %{{.*}}, %c512_i64, %[[ZERO]], %{{.*}}, %c512_i64)
func.func @project(%x: tensor<?x256xf32> {peer.name = "x"}, %w: tensor<256x512xf32> {peer.name = "w"})
    -> (tensor<?x512xf32> {peer.name = "y"}) {
  %y = peer.linear %x, %w : tensor<?x256xf32>, tensor<256x512xf32>
  return %y : tensor<?x512xf32>
}

// The number of rows is known: one kernel, and the launch for shared depths.
// CHECK-LABEL: func.func private @kernel_linear_0(
// CHECK: call @peer_rt_matmul(
// CHECK: gpu.launch {{.*}} function(@linear_0)
// CHECK: nvvm.mma.sync
// CHECK: gpu.launch {{.*}} function(@linear_0_part1)
// CHECK-NOT: gpu.launch
// CHECK-LABEL: func.func private @kernel_linear_1(
// CALL-LABEL: func.func @entry_weight_grad(
// CALL: call @peer_rt_matmul(%{{.*}}, %c1_i64, %c0_i64, %c256_i64, %c512_i64, %{{.*}}, %{{.*}}, %{{.*}}, %c256_i64, %{{.*}}, %c512_i64, %{{.*}}, %{{.*}}, %c512_i64)
func.func @weight_grad(%x: tensor<?x256xf32> {peer.name = "x"}, %dy: tensor<?x512xf32> {peer.name = "dy"})
    -> (tensor<256x512xf32> {peer.name = "dw"}) {
  %dw = peer.linear %x, %dy {transpose_x} : tensor<?x256xf32>, tensor<?x512xf32>
  return %dw : tensor<256x512xf32>
}

// Rows of 37 numbers do not lie on multiples of 16 bytes: copies are single numbers.
// CHECK: nvvm.cp.async.shared.global {{.*}}, 4, cache = ca
// CALL-LABEL: func.func @entry_odd(
// CALL: call @peer_rt_matmul(%{{.*}}, %c0_i64, %c0_i64, %c40_i64, %c300_i64, %c37_i64, %{{.*}}, %{{.*}}, %c37_i64, %{{.*}}, %c300_i64, %{{.*}}, %{{.*}}, %c300_i64)
func.func @odd(%x: tensor<40x37xf32> {peer.name = "x"}, %w: tensor<37x300xf32> {peer.name = "w"})
    -> (tensor<40x300xf32> {peer.name = "y"}) {
  %y = peer.linear %x, %w : tensor<40x37xf32>, tensor<37x300xf32>
  return %y : tensor<40x300xf32>
}
