// How many blocks shall fit on a multiprocessor is noted on a launch and said of its kernel, also of one that was renamed.
// RUN: %peer-pass %s --peer-outline-launches | FileCheck %s --implicit-check-not=peer.blocks
// CHECK-LABEL: func.func @entry(
func.func @entry(%to: memref<8xf32>, %x: f32, %some: i1) {
  %c1 = arith.constant 1 : index
  %c8 = arith.constant 8 : index
  // CHECK: gpu.launch_func @kernels::@f blocks
  gpu.launch blocks(%bx, %by, %bz) in (%gx = %c1, %gy = %c1, %gz = %c1) threads(%tx, %ty, %tz) in (%sx = %c8, %sy = %c1, %sz = %c1)
      module(@kernels) function(@f) {
    memref.store %x, %to[%tx] : memref<8xf32>
    gpu.terminator
  }
  // CHECK: scf.if
  // CHECK: gpu.launch_func @kernels::@[[SECOND:f_[0-9]+]] blocks
  scf.if %some {
    gpu.launch blocks(%bx, %by, %bz) in (%gx = %c1, %gy = %c1, %gz = %c1) threads(%tx, %ty, %tz) in (%sx = %c8, %sy = %c1, %sz = %c1)
        module(@kernels) function(@f) {
      memref.store %x, %to[%tx] : memref<8xf32>
      gpu.terminator
    } {peer.blocks = 2 : i32}
  }
  return
}
// CHECK: gpu.func @f(
// CHECK-NOT: minctasm
// CHECK: gpu.func @[[SECOND]](
// CHECK-SAME: nvvm.minctasm = 2 : i32
