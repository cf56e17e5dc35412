// RUN: %peer-pass %s --peer-free-buffers --split-input-file --verify-diagnostics | FileCheck %s

// A buffer is freed after its last use, by a view or in a loop, too; what is returned is not.
// CHECK-LABEL: func.func @entry(
// CHECK:         %[[A:.*]] = memref.alloc() : memref<8xf32>
// CHECK:         %[[B:.*]] = memref.alloc() : memref<8xf32>
// CHECK:         call @kernel(%{{.*}}, %[[A]])
// CHECK-NEXT:    %[[V:.*]] = memref.expand_shape %[[A]]
// CHECK-NEXT:    scf.for
// CHECK-NEXT:      %[[C:.*]] = memref.alloc() : memref<2x4xf32>
// CHECK-NEXT:      memref.copy %[[V]], %[[C]]
// CHECK-NEXT:      memref.dealloc %[[C]]
// CHECK-NEXT:    }
// CHECK-NEXT:    memref.dealloc %[[A]]
// CHECK-NEXT:    call @kernel(%{{.*}}, %[[B]])
// CHECK-NEXT:    return %[[B]]
func.func private @kernel(memref<8xf32>, memref<8xf32>)
func.func @entry(%x: memref<8xf32>, %n: index) -> memref<8xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %a = memref.alloc() : memref<8xf32>
  %b = memref.alloc() : memref<8xf32>
  call @kernel(%x, %a) : (memref<8xf32>, memref<8xf32>) -> ()
  %v = memref.expand_shape %a [[0, 1]] output_shape [2, 4] : memref<8xf32> into memref<2x4xf32>
  scf.for %i = %c0 to %n step %c1 {
    %c = memref.alloc() : memref<2x4xf32>
    memref.copy %v, %c : memref<2x4xf32> to memref<2x4xf32>
  }
  call @kernel(%x, %b) : (memref<8xf32>, memref<8xf32>) -> ()
  return %b : memref<8xf32>
}

// -----

// A result that is an argument, or another result, is a copy.
// CHECK-LABEL: func.func @same(
// CHECK-SAME:    %[[X:.*]]: memref<?xf32>
// CHECK:         %[[A:.*]] = memref.alloc() : memref<8xf32>
// CHECK:         %[[SIZE:.*]] = memref.dim %[[X]]
// CHECK:         %[[OF_X:.*]] = memref.alloc(%[[SIZE]])
// CHECK-NEXT:    memref.copy %[[X]], %[[OF_X]]
// CHECK:         %[[OF_A:.*]] = memref.alloc() : memref<8xf32>
// CHECK-NEXT:    memref.copy %[[A]], %[[OF_A]]
// CHECK-NEXT:    return %[[OF_X]], %[[A]], %[[OF_A]]
func.func @same(%x: memref<?xf32>) -> (memref<?xf32>, memref<8xf32>, memref<8xf32>) {
  %a = memref.alloc() : memref<8xf32>
  return %x, %a, %a : memref<?xf32>, memref<8xf32>, memref<8xf32>
}

// -----

// A block that several places share frees what all of them hand over, where it needs it last; what one of them keeps, or has as an
// argument, stays its caller's. What a block returns is its caller's.
// CHECK-LABEL: func.func @blocks(
// CHECK:         %[[A:.*]] = call @block(
// CHECK-NEXT:    %[[B:.*]] = call @block(%[[A]], %{{.*}})
// CHECK-NEXT:    return %[[B]]
// CHECK-LABEL: func.func private @block(
// CHECK-SAME:    %[[Y:.*]]: memref<8xf32>, %[[W:.*]]: memref<8xf32>)
// CHECK:         %[[Z:.*]] = memref.alloc()
// CHECK-NEXT:    call @kernel(%[[Y]], %[[Z]])
// CHECK-NEXT:    memref.dealloc %[[Y]]
// CHECK-NEXT:    call @kernel(%[[W]], %[[Z]])
// CHECK-NEXT:    return %[[Z]]
func.func private @kernel(memref<8xf32>, memref<8xf32>)
func.func @blocks(%w: memref<8xf32>) -> memref<8xf32> {
  %first = memref.alloc() : memref<8xf32>
  call @kernel(%w, %first) : (memref<8xf32>, memref<8xf32>) -> ()
  %a = call @block(%first, %w) : (memref<8xf32>, memref<8xf32>) -> memref<8xf32>
  %b = call @block(%a, %w) : (memref<8xf32>, memref<8xf32>) -> memref<8xf32>
  return %b : memref<8xf32>
}
func.func private @block(%y: memref<8xf32>, %w: memref<8xf32>) -> memref<8xf32> attributes {peer.block} {
  %z = memref.alloc() : memref<8xf32>
  call @kernel(%y, %z) : (memref<8xf32>, memref<8xf32>) -> ()
  call @kernel(%w, %z) : (memref<8xf32>, memref<8xf32>) -> ()
  return %z : memref<8xf32>
}

// -----

// CHECK-LABEL: func.func @kept(
// CHECK:         %[[A:.*]] = call @block(
// CHECK-NEXT:    memref.dealloc
// CHECK-NEXT:    %[[B:.*]] = call @block(%[[A]])
// CHECK-NEXT:    call @kernel(%[[A]], %[[B]])
// CHECK-NEXT:    memref.dealloc %[[A]]
// CHECK-NEXT:    return %[[B]]
// CHECK-LABEL: func.func private @block(
// CHECK-NOT:     memref.dealloc
func.func private @kernel(memref<8xf32>, memref<8xf32>)
func.func @kept(%x: memref<8xf32>) -> memref<8xf32> {
  %first = memref.alloc() : memref<8xf32>
  %a = call @block(%first) : (memref<8xf32>) -> memref<8xf32>
  %b = call @block(%a) : (memref<8xf32>) -> memref<8xf32>
  call @kernel(%a, %b) : (memref<8xf32>, memref<8xf32>) -> ()
  return %b : memref<8xf32>
}
func.func private @block(%y: memref<8xf32>) -> memref<8xf32> attributes {peer.block} {
  %z = memref.alloc() : memref<8xf32>
  call @kernel(%y, %z) : (memref<8xf32>, memref<8xf32>) -> ()
  return %z : memref<8xf32>
}

// -----

func.func @leaves(%c: i1, %x: memref<8xf32>) {
  %a = scf.if %c -> memref<8xf32> {
    %b = memref.alloc() : memref<8xf32>
    // expected-error @+1 {{hands on a buffer that is allocated in the same region}}
    scf.yield %b : memref<8xf32>
  } else {
    scf.yield %x : memref<8xf32>
  }
  memref.copy %a, %x : memref<8xf32> to memref<8xf32>
  return
}
