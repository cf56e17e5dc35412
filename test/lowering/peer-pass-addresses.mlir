// Kernels take dense buffers as addresses, with the first size where they read it.
// RUN: %peer-pass %s --peer-pass-addresses | FileCheck %s
module attributes {gpu.container_module} {
gpu.module @kernels {
  // Nobody asks how large %x and %w are; what the types say is constant.
  // CHECK-LABEL: gpu.func @addresses(
  // CHECK-SAME:    %[[N:.*]]: index, %[[X:.*]]: !llvm.ptr, %[[W:.*]]: !llvm.ptr, %[[S:.*]]: !llvm.ptr)
  // CHECK-SAME:    workgroup(%[[TILE:.*]] : memref<4xf32, #gpu.address_space<workgroup>>)
  // CHECK:       %[[NONE:.*]] = llvm.mlir.poison : !llvm.struct<(ptr, ptr, i64, array<2 x i64>, array<2 x i64>)>
  // CHECK-NEXT:  %[[ONE:.*]] = llvm.insertvalue %[[X]], %[[NONE]][0]
  // CHECK-NEXT:  %[[BOTH:.*]] = llvm.insertvalue %[[X]], %[[ONE]][1]
  // CHECK:       %[[OFFSET:.*]] = llvm.mlir.constant(0 : index)
  // CHECK-NEXT:  %[[AT:.*]] = llvm.insertvalue %[[OFFSET]], %[[BOTH]][2]
  // CHECK:       %[[ROW:.*]] = llvm.mlir.constant(8 : index)
  // CHECK-NEXT:  %[[STRIDED:.*]] = llvm.insertvalue %[[ROW]], %[[AT]][4, 0]
  // CHECK:       llvm.insertvalue %{{.*}}[4, 1]
  // CHECK:       %[[ALL:.*]] = llvm.insertvalue %{{.*}}[3, 1]
  // CHECK-NEXT:  %[[BUFFER:.*]] = builtin.unrealized_conversion_cast %[[ALL]] {{.*}} to memref<?x8xf32>
  // CHECK:       memref.load %[[BUFFER]][%[[N]], %{{.*}}] : memref<?x8xf32>
  // CHECK:       memref.store %{{.*}}, %[[TILE]]
  gpu.func @addresses(%n: index, %x: memref<?x8xf32>, %w: memref<4x8xf32>, %s: memref<f32>)
      workgroup(%tile: memref<4xf32, #gpu.address_space<workgroup>>) kernel {
    %i = gpu.thread_id x
    %v = memref.load %x[%n, %i] : memref<?x8xf32>
    memref.store %v, %w[%i, %i] : memref<4x8xf32>
    memref.store %v, %s[] : memref<f32>
    memref.store %v, %tile[%i] : memref<4xf32, #gpu.address_space<workgroup>>
    gpu.return
  }

  // CHECK-LABEL: gpu.func @size_is_read(
  // CHECK-SAME:    %[[X:.*]]: !llvm.ptr, %[[SIZE:.*]]: i64, %{{.*}}: !llvm.ptr)
  // CHECK:       %[[SIZED:.*]] = llvm.insertvalue %[[SIZE]], %{{.*}}[3, 0]
  // CHECK-NEXT:  %[[BUFFER:.*]] = builtin.unrealized_conversion_cast %[[SIZED]]
  // CHECK:       memref.dim %[[BUFFER]]
  gpu.func @size_is_read(%x: memref<?x8xf32>, %to: memref<1xindex>) kernel {
    %c0 = arith.constant 0 : index
    %d = memref.dim %x, %c0 : memref<?x8xf32>
    memref.store %d, %to[%c0] : memref<1xindex>
    gpu.return
  }

  // A stride depends on a size, or the address has an offset: upstream passes what is needed.
  // CHECK-LABEL: gpu.func @as_they_are(
  // CHECK-SAME:    %{{.*}}: memref<2x?xf32>, %{{.*}}: memref<4x4xf32, strided<[8, 1], offset: ?>>)
  gpu.func @as_they_are(%x: memref<2x?xf32>, %y: memref<4x4xf32, strided<[8, 1], offset: ?>>) kernel {
    %i = gpu.thread_id x
    %v = memref.load %x[%i, %i] : memref<2x?xf32>
    memref.store %v, %y[%i, %i] : memref<4x4xf32, strided<[8, 1], offset: ?>>
    gpu.return
  }
}

// Kernels of CPUs are functions, and their parameters take the same forms. So do those of blocks, which have results.
// CHECK-LABEL: func.func private @kernel(
// CHECK-SAME:    %[[N:.*]]: index, %[[X:.*]]: !llvm.ptr, %[[SIZE:.*]]: i64, %{{.*}}: !llvm.ptr)
// CHECK:       llvm.insertvalue %[[SIZE]], %{{.*}}[3, 0]
// CHECK:       memref.load
func.func private @kernel(%n: index, %x: memref<?xf32>, %to: memref<f32>) {
  %c0 = arith.constant 0 : index
  %d = memref.dim %x, %c0 : memref<?xf32>
  %i = arith.minsi %n, %d : index
  %v = memref.load %x[%i] : memref<?xf32>
  memref.store %v, %to[] : memref<f32>
  return
}
// CHECK-LABEL: func.func private @first(%{{.*}}: !llvm.ptr) -> f32
func.func private @first(%x: memref<?xf32>) -> f32 {
  %c0 = arith.constant 0 : index
  %v = memref.load %x[%c0] : memref<?xf32>
  return %v : f32
}
// CHECK-LABEL: func.func @calls(
// CHECK-SAME:    %[[N:.*]]: index, %[[X:.*]]: memref<?xf32>, %[[TO:.*]]: memref<f32>)
// CHECK:       %[[AT:.*]] = memref.extract_aligned_pointer_as_index %[[X]]
// CHECK:       %[[P:.*]] = llvm.inttoptr
// CHECK:       %[[SIZE:.*]] = memref.dim %[[X]], %{{.*}}
// CHECK:       call @kernel(%[[N]], %[[P]], %{{.*}}, %{{.*}}) : (index, !llvm.ptr, i64, !llvm.ptr) -> ()
// CHECK:       call @first(%{{.*}}) : (!llvm.ptr) -> f32
func.func @calls(%n: index, %x: memref<?xf32>, %to: memref<f32>) -> f32 {
  call @kernel(%n, %x, %to) : (index, memref<?xf32>, memref<f32>) -> ()
  %v = call @first(%x) : (memref<?xf32>) -> f32
  return %v : f32
}

// CHECK-LABEL: func.func @entry(
// CHECK-SAME:    %[[X:[a-z0-9]*]]: memref<?x8xf32>
// CHECK:       %[[INDEX:.*]] = memref.extract_aligned_pointer_as_index %[[X]]
// CHECK:       %[[NUMBER:.*]] = arith.index_cast %[[INDEX]] : index to i64
// CHECK:       %[[P:.*]] = llvm.inttoptr %[[NUMBER]]
// CHECK:       gpu.launch_func @kernels::@addresses {{.*}} args(%{{.*}} : index, %[[P]] : !llvm.ptr, %{{.*}} : !llvm.ptr, %{{.*}} : !llvm.ptr)
// CHECK:       %[[SIZE:.*]] = memref.dim %[[X]], %{{.*}}
// CHECK-NEXT:  %[[SIZE64:.*]] = arith.index_cast %[[SIZE]] : index to i64
// CHECK:       gpu.launch_func @kernels::@size_is_read {{.*}} args(%{{.*}} : !llvm.ptr, %[[SIZE64]] : i64, %{{.*}} : !llvm.ptr)
// CHECK:       gpu.launch_func @kernels::@as_they_are {{.*}} args(%{{.*}} : memref<2x?xf32>, %{{.*}} : memref<4x4xf32, strided<[8, 1], offset: ?>>)
func.func @entry(%x: memref<?x8xf32>, %w: memref<4x8xf32>, %s: memref<f32>, %to: memref<1xindex>, %a: memref<2x?xf32>,
                 %b: memref<4x4xf32, strided<[8, 1], offset: ?>>) {
  %c1 = arith.constant 1 : index
  gpu.launch_func @kernels::@addresses blocks in (%c1, %c1, %c1) threads in (%c1, %c1, %c1)
      args(%c1 : index, %x : memref<?x8xf32>, %w : memref<4x8xf32>, %s : memref<f32>)
  gpu.launch_func @kernels::@size_is_read blocks in (%c1, %c1, %c1) threads in (%c1, %c1, %c1)
      args(%x : memref<?x8xf32>, %to : memref<1xindex>)
  gpu.launch_func @kernels::@as_they_are blocks in (%c1, %c1, %c1) threads in (%c1, %c1, %c1)
      args(%a : memref<2x?xf32>, %b : memref<4x4xf32, strided<[8, 1], offset: ?>>)
  return
}
}
