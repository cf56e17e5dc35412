// Ops inside launches become the code of a block of threads.
// RUN: %peer-pass %s --peer-lower-to-blocks --cse | FileCheck %s --check-prefixes=CHECK,WARP
// RUN: %peer-pass %s --peer-lower-to-blocks=plain-loops=true --cse | FileCheck %s --check-prefixes=CHECK,PLAIN

// Elementwise ops and copies are spread over the threads of the block, neighbours side by side.
// CHECK-LABEL: func.func @spread(
// CHECK-NOT:   linalg.generic
// CHECK:       gpu.launch
// CHECK:       %[[ME:.*]] = gpu.thread_id x
// CHECK:       scf.for %{{.*}} = %[[ME]] to %{{.*}} step %c256
// CHECK:         arith.addf
// CHECK:       gpu.barrier
// CHECK:       scf.for %{{.*}} = %{{.*}} to %{{.*}} step %c256
// CHECK-NOT:   memref.copy
// CHECK:       gpu.terminator
func.func @spread(%x: memref<?x8xf32>, %y: memref<?x8xf32>, %blocks: index) {
  %c1 = arith.constant 1 : index
  %c256 = arith.constant 256 : index
  gpu.launch blocks(%bx, %by, %bz) in (%gx = %blocks, %gy = %c1, %gz = %c1) threads(%tx, %ty, %tz) in (%sx = %c256, %sy = %c1, %sz = %c1) {
    linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>],
                    iterator_types = ["parallel", "parallel"]} ins(%x : memref<?x8xf32>) outs(%y : memref<?x8xf32>) {
    ^bb0(%in: f32, %out: f32):
      %s = arith.addf %in, %in : f32
      linalg.yield %s : f32
    }
    gpu.barrier
    memref.copy %y, %x : memref<?x8xf32> to memref<?x8xf32>
    gpu.terminator
  }
  return
}

// A warp per row. What one of its lanes wrote in a walk over the row the others may read after it, and the other way round.
// CHECK-LABEL: func.func @rows(
// WARP:         scf.for {{.*}} iter_args
// WARP:           vector.load
// WARP:         nvvm.bar.warp.sync
// WARP:         gpu.shuffle {{ *}}xor
// WARP:         scf.for
// WARP:           vector.store {{.*}} : memref<?x40xf32>, vector<4xf32>
// WARP-NEXT:    }
// WARP-NEXT:    nvvm.bar.warp.sync
func.func @rows(%x: memref<?x40xf32>, %w: memref<40xf32>, %y: memref<?x40xf32>, %blocks: index) {
  %c1 = arith.constant 1 : index
  %c256 = arith.constant 256 : index
  gpu.launch blocks(%bx, %by, %bz) in (%gx = %blocks, %gy = %c1, %gz = %c1) threads(%tx, %ty, %tz) in (%sx = %c256, %sy = %c1, %sz = %c1) {
    peer.rms_norm %x, %w outs(%y : memref<?x40xf32>) : memref<?x40xf32>, memref<40xf32>
    gpu.terminator
  }
  return
}

// What no emitter takes is done by one thread, in plain loops.
// CHECK-LABEL: func.func @plain(
// PLAIN:       %[[ME:.*]] = gpu.thread_id x
// PLAIN:       %[[FIRST:.*]] = arith.cmpi eq, %[[ME]], %c0
// PLAIN-NEXT:  scf.if %[[FIRST]] {
// PLAIN:         scf.for
// PLAIN:           memref.load
// PLAIN:         memref.store
// PLAIN:       gpu.terminator
// CHECK-NOT:   peer.mean
func.func @plain(%x: memref<?xf32>, %m: memref<f32>, %blocks: index) {
  %c1 = arith.constant 1 : index
  %c256 = arith.constant 256 : index
  gpu.launch blocks(%bx, %by, %bz) in (%gx = %blocks, %gy = %c1, %gz = %c1) threads(%tx, %ty, %tz) in (%sx = %c256, %sy = %c1, %sz = %c1) {
    peer.mean %x outs(%m : memref<f32>) : memref<?xf32>
    gpu.terminator
  }
  return
}

// Kernels have no heap: what plain loops allocate is the block's part of a buffer of the host.
// CHECK-LABEL: func.func @heap(
// PLAIN-SAME:    %[[BLOCKS:[a-z0-9]*]]: index
// PLAIN:       %[[BYTES:.*]] = arith.muli %[[BLOCKS]], %c256
// PLAIN:       %[[SCRATCH:.*]] = memref.alloc(%[[BYTES]]) {{.*}} : memref<?xi8>
// PLAIN:       gpu.launch blocks(%[[BLOCK:[^,]*]],
// PLAIN-NOT:     memref.alloc
// PLAIN:         %[[MINE:.*]] = arith.muli %[[BLOCK]], %c256
// PLAIN:         memref.view %[[SCRATCH]][%[[MINE]]][] : memref<?xi8> to memref<64xi32>
// PLAIN-NOT:     memref.dealloc
// PLAIN:         gpu.terminator
// PLAIN-NEXT:  }
// PLAIN-NEXT:  memref.dealloc %[[SCRATCH]]
func.func @heap(%i: memref<?x2x4xi32>, %order: memref<?xi32>, %starts: memref<?xi32>, %count: memref<2xi32>, %blocks: index) {
  %c1 = arith.constant 1 : index
  %c256 = arith.constant 256 : index
  gpu.launch blocks(%bx, %by, %bz) in (%gx = %blocks, %gy = %c1, %gz = %c1) threads(%tx, %ty, %tz) in (%sx = %c256, %sy = %c1, %sz = %c1) {
    peer.sort_pairs %i experts 64 outs(%order, %starts, %count : memref<?xi32>, memref<?xi32>, memref<2xi32>) : memref<?x2x4xi32>
    gpu.terminator
  }
  return
}
