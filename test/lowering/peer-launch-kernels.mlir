// Each outlined kernel becomes launches: loops over tiles a grid, whole ops what their emitters choose.
// RUN: split-file %s %t
// RUN: %peer-pass %t/good.mlir --peer-launch-kernels | FileCheck %s --check-prefixes=CHECK,GRIDS
// RUN: %peer-pass %t/good.mlir --peer-launch-kernels=plain-loops=true | FileCheck %s --check-prefixes=CHECK,PLAIN
// RUN: not %peer-pass %t/unbounded.mlir --peer-launch-kernels -o /dev/null 2>&1 | FileCheck %s --check-prefix=UNBOUNDED

//--- good.mlir
// A block per tile, none if there is no tile; a barrier between what writes and what reads. The tile's local buffer is the
// block's part of one that the host allocates, as large as a whole tile needs it.
// CHECK-LABEL: func.func private @kernel_double(
// CHECK-SAME:    %{{[a-z0-9]*}}: memref<?x16xf32>, %{{[a-z0-9]*}}: memref<?x16xf32>, %[[T:[a-z0-9]*]]: index
// CHECK:       %[[TILES:.*]] = affine.apply #{{.*}}()[%[[T]]]
// CHECK:       %[[BYTES:.*]] = arith.muli %[[TILES]], %c4096
// CHECK:       %[[SCRATCH:.*]] = memref.alloc(%[[BYTES]]) {{.*}} : memref<?xi8>
// CHECK:       %[[ANY:.*]] = arith.cmpi ne, %[[TILES]], %c0
// CHECK-NEXT:  scf.if %[[ANY]]
// CHECK:       gpu.launch blocks(%[[BLOCK:.*]], %{{.*}}, %{{.*}}) in (%{{.*}} = %[[TILES]], {{.*}} = %c256{{.*}} module(@kernels) function(@double)
// CHECK:       arith.muli %[[BLOCK]], %c64
// CHECK:       %[[OFFSET:.*]] = arith.muli %[[BLOCK]], %c4096
// CHECK-NEXT:  %[[LOCAL:.*]] = memref.view %[[SCRATCH]][%[[OFFSET]]]
// CHECK-NEXT:  linalg.generic {{.*}} outs(%[[LOCAL]]
// CHECK:       gpu.barrier
// CHECK-NEXT:  memref.copy %[[LOCAL]]
// CHECK-NEXT:  gpu.terminator
// CHECK:       memref.dealloc %[[SCRATCH]]
func.func private @kernel_double(%x: memref<?x16xf32>, %y: memref<?x16xf32>, %t: index) {
  scf.forall (%i) = (0) to (%t) step (64) {
    %rows = affine.min affine_map<(d0)[s0] -> (-d0 + s0, 64)>(%i)[%t]
    %a = memref.subview %x[%i, 0] [%rows, 16] [1, 1] : memref<?x16xf32> to memref<?x16xf32, strided<[16, 1], offset: ?>>
    %b = memref.subview %y[%i, 0] [%rows, 16] [1, 1] : memref<?x16xf32> to memref<?x16xf32, strided<[16, 1], offset: ?>>
    %local = memref.alloc(%rows) : memref<?x16xf32>
    linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>],
                    iterator_types = ["parallel", "parallel"]}
        ins(%a : memref<?x16xf32, strided<[16, 1], offset: ?>>) outs(%local : memref<?x16xf32>) {
    ^bb0(%in: f32, %out: f32):
      %s = arith.addf %in, %in : f32
      linalg.yield %s : f32
    }
    memref.copy %local, %b : memref<?x16xf32> to memref<?x16xf32, strided<[16, 1], offset: ?>>
    memref.dealloc %local : memref<?x16xf32>
  }
  return
}

// An op that was left whole and has no grid emitter is one block.
// CHECK-LABEL: func.func private @kernel_mean(
// PLAIN:       gpu.launch blocks({{.*}}) in (%{{.*}} = %c1, {{.*}} function(@mean)
// PLAIN-NEXT:    peer.mean
func.func private @kernel_mean(%x: memref<?xf32>, %m: memref<f32>) {
  peer.mean %x outs(%m : memref<f32>) : memref<?xf32>
  return
}

// One that has an emitter is launched by it; its launches are numbered.
// CHECK-LABEL: func.func private @kernel_linear(
// GRIDS-NOT:   peer.linear
// GRIDS:       gpu.launch {{.*}} function(@linear)
// GRIDS:       gpu.launch {{.*}} function(@linear_part1)
// PLAIN-COUNT-1: gpu.launch
// PLAIN-NEXT:    peer.linear
func.func private @kernel_linear(%x: memref<?x64xf32>, %w: memref<64x64xf32>, %y: memref<?x64xf32>) {
  peer.linear %x, %w outs(%y : memref<?x64xf32>) : memref<?x64xf32>, memref<64x64xf32>
  return
}

// A table of constants is read where the kernel runs.
// CHECK-LABEL: func.func private @kernel_table(
// CHECK:       gpu.launch
// CHECK-NEXT:    memref.get_global @table
memref.global "private" constant @table : memref<4xf32> = dense<[1.0, 2.0, 3.0, 4.0]>
func.func private @kernel_table(%y: memref<?xf32>, %t: index) {
  %table = memref.get_global @table : memref<4xf32>
  scf.forall (%i) in (%t) {
    %c0 = arith.constant 0 : index
    %v = memref.load %table[%c0] : memref<4xf32>
    memref.store %v, %y[%i] : memref<?xf32>
  }
  return
}

// Copies of an entry stay on the device.
// CHECK-LABEL: func.func @entry(
// CHECK-NEXT:  call @kernel_double
// CHECK-NEXT:  %[[START:.*]] = gpu.wait async
// CHECK-NEXT:  gpu.memcpy async [%[[START]]] %{{.*}}, %{{.*}} : memref<?x16xf32>, memref<?x16xf32>
// CHECK-NOT:   memref.copy
func.func @entry(%x: memref<?x16xf32>, %y: memref<?x16xf32>, %t: index) {
  call @kernel_double(%x, %y, %t) : (memref<?x16xf32>, memref<?x16xf32>, index) -> ()
  memref.copy %y, %x : memref<?x16xf32> to memref<?x16xf32>
  return
}

//--- unbounded.mlir
// What a tile needs for itself has to be known.
// UNBOUNDED: error: {{.*}}a tile's local buffer has no constant bound in dimension 0
func.func private @kernel_unbounded(%x: memref<?xf32>, %n: index, %t: index) {
  scf.forall (%i) in (%t) {
    %local = memref.alloc(%n) : memref<?xf32>
    memref.copy %x, %local : memref<?xf32> to memref<?xf32>
    memref.copy %local, %x : memref<?xf32> to memref<?xf32>
    memref.dealloc %local : memref<?xf32>
  }
  return
}
