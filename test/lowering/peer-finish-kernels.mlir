// Shared memory is aligned to the widest access; what an emitter noted on an op is said of its kernel.
// RUN: %peer-pass %s --peer-finish-kernels | FileCheck %s --implicit-check-not=peer.blocks
gpu.module @kernels {
  // CHECK-LABEL: gpu.func @noted(
  // CHECK-SAME:    workgroup(%[[TILE:[a-z0-9]*]] : memref<64xf32, {{.*}}> {llvm.align = 16 : i64},
  // CHECK-SAME:    : memref<3xi8, {{.*}}> {llvm.align = 16 : i64})
  // CHECK-SAME:    nvvm.minctasm = 2 : i32
  // CHECK:       memref.store %{{.*}}, %[[TILE]]
  gpu.func @noted(%x: f32, %i: index, %some: i1)
      workgroup(%tile: memref<64xf32, #gpu.address_space<workgroup>>, %flags: memref<3xi8, #gpu.address_space<workgroup>>) kernel {
    scf.if %some {
      memref.store %x, %tile[%i] {peer.blocks = 2 : i32} : memref<64xf32, #gpu.address_space<workgroup>>
    }
    gpu.return
  }

  // Nothing to say: the assembler chooses.
  // CHECK-LABEL: gpu.func @plain(
  // CHECK-NOT:   llvm.align
  // CHECK-NOT:   nvvm.minctasm
  // CHECK:       gpu.return
  gpu.func @plain(%x: f32, %to: memref<8xf32>, %i: index) kernel {
    memref.store %x, %to[%i] : memref<8xf32>
    gpu.return
  }
}
