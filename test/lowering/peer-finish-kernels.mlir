// Shared memory is aligned to the widest access.
// RUN: %peer-pass %s --peer-finish-kernels | FileCheck %s
gpu.module @kernels {
  // CHECK-LABEL: gpu.func @shared(
  // CHECK-SAME:    workgroup(%[[TILE:[a-z0-9]*]] : memref<64xf32, {{.*}}> {llvm.align = 16 : i64},
  // CHECK-SAME:    : memref<3xi8, {{.*}}> {llvm.align = 16 : i64})
  // CHECK:       memref.store %{{.*}}, %[[TILE]]
  gpu.func @shared(%x: f32, %i: index, %some: i1)
      workgroup(%tile: memref<64xf32, #gpu.address_space<workgroup>>, %flags: memref<3xi8, #gpu.address_space<workgroup>>) kernel {
    scf.if %some {
      memref.store %x, %tile[%i] : memref<64xf32, #gpu.address_space<workgroup>>
    }
    gpu.return
  }

  // CHECK-LABEL: gpu.func @plain(
  // CHECK-NOT:   llvm.align
  // CHECK:       gpu.return
  gpu.func @plain(%x: f32, %to: memref<8xf32>, %i: index) kernel {
    memref.store %x, %to[%i] : memref<8xf32>
    gpu.return
  }
}
