// Equal kernels become one, the first; launches of the others launch that. Names and locations do not count, all else does.
// RUN: %peer-pass %s --peer-merge-kernels | FileCheck %s
module attributes {gpu.container_module} {
gpu.module @kernels {
  // CHECK:     gpu.func @double(
  gpu.func @double(%x: memref<8xf32>) kernel attributes {known_block_size = array<i32: 32, 1, 1>} {
    %t = gpu.thread_id x
    %v = memref.load %x[%t] : memref<8xf32>
    %s = arith.addf %v, %v : f32
    memref.store %s, %x[%t] : memref<8xf32>
    gpu.return
  }
  // CHECK-NOT: @double_2
  gpu.func @double_2(%y: memref<8xf32>) kernel attributes {known_block_size = array<i32: 32, 1, 1>} {
    %i = gpu.thread_id x
    %a = memref.load %y[%i] : memref<8xf32>
    %b = arith.addf %a, %a : f32
    memref.store %b, %y[%i] : memref<8xf32>
    gpu.return
  }
  // CHECK:     gpu.func @other_threads(
  gpu.func @other_threads(%x: memref<8xf32>) kernel attributes {known_block_size = array<i32: 64, 1, 1>} {
    %t = gpu.thread_id x
    %v = memref.load %x[%t] : memref<8xf32>
    %s = arith.addf %v, %v : f32
    memref.store %s, %x[%t] : memref<8xf32>
    gpu.return
  }
  // CHECK:     gpu.func @other_type(
  gpu.func @other_type(%x: memref<9xf32>) kernel attributes {known_block_size = array<i32: 32, 1, 1>} {
    %t = gpu.thread_id x
    %v = memref.load %x[%t] : memref<9xf32>
    %s = arith.addf %v, %v : f32
    memref.store %s, %x[%t] : memref<9xf32>
    gpu.return
  }
  // Ops alike, operands not.
  // CHECK:     gpu.func @other_operand(
  gpu.func @other_operand(%x: memref<8xf32>) kernel attributes {known_block_size = array<i32: 32, 1, 1>} {
    %t = gpu.thread_id x
    %v = memref.load %x[%t] : memref<8xf32>
    %s = arith.addf %v, %v : f32
    memref.store %v, %x[%t] : memref<8xf32>
    gpu.return
  }
}

// CHECK-LABEL: func.func @entry(
// CHECK:         gpu.launch_func @kernels::@double blocks
// CHECK:         gpu.launch_func @kernels::@double blocks
// CHECK:         gpu.launch_func @kernels::@other_threads blocks
// CHECK:         gpu.launch_func @kernels::@other_type blocks
// CHECK:         gpu.launch_func @kernels::@other_operand blocks
func.func @entry(%x: memref<8xf32>, %y: memref<9xf32>) {
  %c1 = arith.constant 1 : index
  %c32 = arith.constant 32 : index
  %c64 = arith.constant 64 : index
  gpu.launch_func @kernels::@double blocks in (%c1, %c1, %c1) threads in (%c32, %c1, %c1) args(%x : memref<8xf32>)
  gpu.launch_func @kernels::@double_2 blocks in (%c1, %c1, %c1) threads in (%c32, %c1, %c1) args(%x : memref<8xf32>)
  gpu.launch_func @kernels::@other_threads blocks in (%c1, %c1, %c1) threads in (%c64, %c1, %c1) args(%x : memref<8xf32>)
  gpu.launch_func @kernels::@other_type blocks in (%c1, %c1, %c1) threads in (%c32, %c1, %c1) args(%y : memref<9xf32>)
  gpu.launch_func @kernels::@other_operand blocks in (%c1, %c1, %c1) threads in (%c32, %c1, %c1) args(%x : memref<8xf32>)
  return
}
}
