// One arena per entry: buffers whose lives do not overlap share a place.
// RUN: %peer-pass %s --peer-plan-memory --canonicalize --cse | FileCheck %s
func.func private @use(memref<?x8xf32>, memref<?x8xf32>)
func.func private @use_fixed(memref<64xf32>)

// %c begins where %a has ended: it takes its place. %b lives with both and has its own, behind the first, at a multiple of
// 256 bytes. Sizes are computed before the arena is asked for.
// CHECK-LABEL: func.func @in_turn(
// CHECK-SAME:    %[[X:[a-z0-9]*]]: memref<?x8xf32>
// CHECK:       %[[T:.*]] = memref.dim %[[X]]
// CHECK:       %[[BYTES:.*]] = arith.muli %[[T]], %c32
// CHECK:       %[[SECOND:.*]] = arith.muli {{.*}}, %c256
// CHECK:       %[[ALL:.*]] = arith.addi %[[SECOND]]
// CHECK:       %[[ARENA:.*]], {{.*}} = gpu.alloc async {{.*}} (%[[ALL]]) : memref<?xi8>
// CHECK-NOT:   gpu.alloc
// CHECK:       %[[A:.*]] = memref.view %[[ARENA]][%c0][%[[T]]]
// CHECK:       call @use(%[[X]], %[[A]])
// CHECK:       %[[B:.*]] = memref.view %[[ARENA]][%[[SECOND]]][%[[T]]]
// CHECK:       call @use(%[[A]], %[[B]])
// CHECK:       call @use(%[[B]], %[[A]])
// CHECK-NEXT:  gpu.wait
// CHECK-NEXT:  gpu.dealloc {{.*}} %[[ARENA]]
func.func @in_turn(%x: memref<?x8xf32>) {
  %c0 = arith.constant 0 : index
  %t = memref.dim %x, %c0 : memref<?x8xf32>
  %a = memref.alloc(%t) : memref<?x8xf32>
  call @use(%x, %a) : (memref<?x8xf32>, memref<?x8xf32>) -> ()
  %b = memref.alloc(%t) : memref<?x8xf32>
  call @use(%a, %b) : (memref<?x8xf32>, memref<?x8xf32>) -> ()
  memref.dealloc %a : memref<?x8xf32>
  %c = memref.alloc(%t) : memref<?x8xf32>
  call @use(%b, %c) : (memref<?x8xf32>, memref<?x8xf32>) -> ()
  memref.dealloc %b : memref<?x8xf32>
  memref.dealloc %c : memref<?x8xf32>
  return
}

// One place for both; it is as large as the larger of them, which depends on the number of tokens.
// CHECK-LABEL: func.func @larger_follows(
// CHECK:       %[[BYTES:.*]] = arith.muli {{.*}}, %c32
// CHECK:       %[[LARGER:.*]] = arith.maxui %[[BYTES]], %c256
// CHECK:       %[[BLOCKS:.*]] = arith.ceildivui %[[LARGER]], %c256
// CHECK:       %[[ALL:.*]] = arith.muli %[[BLOCKS]], %c256
// CHECK:       gpu.alloc async {{.*}} (%[[ALL]])
// CHECK:       memref.view {{.*}}[%c0][] : memref<?xi8> to memref<64xf32>
// CHECK:       memref.view {{.*}}[%c0][{{.*}}] : memref<?xi8> to memref<?x8xf32>
func.func @larger_follows(%x: memref<?x8xf32>) {
  %c0 = arith.constant 0 : index
  %t = memref.dim %x, %c0 : memref<?x8xf32>
  %a = memref.alloc() : memref<64xf32>
  call @use_fixed(%a) : (memref<64xf32>) -> ()
  memref.dealloc %a : memref<64xf32>
  %b = memref.alloc(%t) : memref<?x8xf32>
  call @use(%x, %b) : (memref<?x8xf32>, memref<?x8xf32>) -> ()
  memref.dealloc %b : memref<?x8xf32>
  return
}

// What the caller gets is apart from the arena, which is freed before.
// CHECK-LABEL: func.func @returned(
// CHECK:       %[[ARENA:.*]], {{.*}} = gpu.alloc async {{.*}} (%c256) : memref<?xi8>
// CHECK:       %[[R:.*]], {{.*}} = gpu.alloc async {{.*}} : memref<?x8xf32>
// CHECK:       gpu.dealloc {{.*}} %[[ARENA]]
// CHECK-NOT:   gpu.dealloc
// CHECK:       return %[[R]]
func.func @returned(%x: memref<?x8xf32>) -> memref<?x8xf32> {
  %c0 = arith.constant 0 : index
  %t = memref.dim %x, %c0 : memref<?x8xf32>
  %a = memref.alloc() : memref<64xf32>
  call @use_fixed(%a) : (memref<64xf32>) -> ()
  %r = memref.alloc(%t) : memref<?x8xf32>
  call @use(%x, %r) : (memref<?x8xf32>, memref<?x8xf32>) -> ()
  memref.dealloc %a : memref<64xf32>
  return %r : memref<?x8xf32>
}

// A size that is computed late, out of sizes of arguments, is computed first.
// CHECK-LABEL: func.func @late_size(
// CHECK:       %[[BLOCKS:.*]] = arith.ceildivui {{.*}}, %c64
// CHECK:       gpu.alloc async {{.*}} : memref<?xi8>
// CHECK:       call @use
// CHECK:       memref.view {{.*}}[%c0][%[[BLOCKS]]]
func.func @late_size(%x: memref<?x8xf32>) {
  %c0 = arith.constant 0 : index
  %c64 = arith.constant 64 : index
  call @use(%x, %x) : (memref<?x8xf32>, memref<?x8xf32>) -> ()
  %t = memref.dim %x, %c0 : memref<?x8xf32>
  %blocks = arith.ceildivui %t, %c64 : index
  %a = memref.alloc(%blocks) : memref<?x8xf32>
  call @use(%x, %a) : (memref<?x8xf32>, memref<?x8xf32>) -> ()
  memref.dealloc %a : memref<?x8xf32>
  return
}

// Scratch of launches that happen under a condition is in the arena, too, and apart from what lives around it.
// CHECK-LABEL: func.func @regime(
// CHECK:       %[[FIRST:.*]] = memref.view %[[ARENA:.*]][%c0]
// CHECK-NEXT:  scf.if
// CHECK-NEXT:    %[[ONE:.*]] = memref.view %[[ARENA]][%{{[0-9]+}}]
// CHECK-NEXT:    func.call @use(%[[FIRST]], %[[ONE]])
// CHECK-NEXT:  } else {
// CHECK-NEXT:    %[[OTHER:.*]] = memref.view %[[ARENA]][%{{[0-9]+}}]
// CHECK-NEXT:    func.call @use(%[[FIRST]], %[[OTHER]])
// CHECK-NEXT:  }
func.func @regime(%x: memref<?x8xf32>, %few: i1) {
  %c0 = arith.constant 0 : index
  %t = memref.dim %x, %c0 : memref<?x8xf32>
  %a = memref.alloc(%t) : memref<?x8xf32>
  scf.if %few {
    %b = memref.alloc(%t) : memref<?x8xf32>
    func.call @use(%a, %b) : (memref<?x8xf32>, memref<?x8xf32>) -> ()
    memref.dealloc %b : memref<?x8xf32>
  } else {
    %b = memref.alloc(%t) : memref<?x8xf32>
    func.call @use(%a, %b) : (memref<?x8xf32>, memref<?x8xf32>) -> ()
    memref.dealloc %b : memref<?x8xf32>
  }
  memref.dealloc %a : memref<?x8xf32>
  return
}

// A size that is read from memory cannot be known first: the buffer is allocated by itself.
// CHECK-LABEL: func.func @loaded_size(
// CHECK:       %[[N:.*]] = memref.load
// CHECK:       %[[ALONE:.*]], {{.*}} = gpu.alloc async {{.*}} (%[[N]]) : memref<?x8xf32>
// CHECK:       call @use({{.*}}, %[[ALONE]])
// CHECK:       gpu.dealloc {{.*}} %[[ALONE]]
func.func @loaded_size(%x: memref<?x8xf32>, %n: memref<index>) {
  call @use(%x, %x) : (memref<?x8xf32>, memref<?x8xf32>) -> ()
  %t = memref.load %n[] : memref<index>
  %a = memref.alloc(%t) : memref<?x8xf32>
  call @use(%x, %a) : (memref<?x8xf32>, memref<?x8xf32>) -> ()
  memref.dealloc %a : memref<?x8xf32>
  return
}

// CHECK-LABEL: func.func @nothing(
// CHECK-NOT:   gpu.
// CHECK:       return
func.func @nothing(%x: memref<?x8xf32>) {
  call @use(%x, %x) : (memref<?x8xf32>, memref<?x8xf32>) -> ()
  return
}
