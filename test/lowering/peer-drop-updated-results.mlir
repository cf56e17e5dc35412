// RUN: %peer-pass %s --peer-drop-updated-results --split-input-file --verify-diagnostics | FileCheck %s

// What was updated in place is its argument, seen through casts; the loss stays.
// CHECK-LABEL: func.func @in_place(
// CHECK-SAME:    %[[P:.*]]: memref<64x8xf32>, %[[L:.*]]: memref<f32>) -> memref<f32> {
// CHECK-NOT:   memref.copy
// CHECK:       return %[[L]] : memref<f32>
func.func @in_place(%p: memref<64x8xf32>, %loss: memref<f32>)
    -> (memref<f32>, memref<64x8xf32, strided<[?, ?], offset: ?>> {peer.updates = 0 : i64}) {
  %c = memref.cast %p : memref<64x8xf32> to memref<64x8xf32, strided<[?, ?], offset: ?>>
  return %loss, %c : memref<f32>, memref<64x8xf32, strided<[?, ?], offset: ?>>
}

// -----

// Running statistics are small and computed beside their argument.
// CHECK-LABEL: func.func @copied(
// CHECK-SAME:    %[[MEAN:.*]]: memref<128xf32>) {
// CHECK:       %[[NEW:.*]] = memref.alloc
// CHECK:       memref.copy %[[NEW]], %[[MEAN]]
// CHECK-NEXT:  return{{$}}
func.func @copied(%mean: memref<128xf32>) -> (memref<128xf32> {peer.updates = 0 : i64}) {
  %new = memref.alloc() : memref<128xf32>
  return %new : memref<128xf32>
}

// -----

// Other results and external functions are left alone.
// CHECK-LABEL: func.func private @external(
// CHECK-SAME:    memref<4xf32>) -> (memref<4xf32> {peer.updates = 0 : i64})
func.func private @external(memref<4xf32>) -> (memref<4xf32> {peer.updates = 0 : i64})
// CHECK-LABEL: func.func @plain(
// CHECK:       return %{{.*}} : memref<4xf32>
func.func @plain(%x: memref<4xf32>) -> memref<4xf32> {
  return %x : memref<4xf32>
}

// -----

// A copy of a table would double the memory and the time of a step.
// expected-error @+1 {{result 0 of @table should update argument 0 in place, but was computed elsewhere}}
func.func @table(%p: memref<4096x8xf32>) -> (memref<4096x8xf32> {peer.updates = 0 : i64}) {
  %new = memref.alloc() : memref<4096x8xf32>
  return %new : memref<4096x8xf32>
}

// -----

// How large a dynamic one is nobody knows.
// expected-error @+1 {{result 0 of @dynamic should update argument 0 in place, but was computed elsewhere}}
func.func @dynamic(%p: memref<?xf32>, %n: index) -> (memref<?xf32> {peer.updates = 0 : i64}) {
  %new = memref.alloc(%n) : memref<?xf32>
  return %new : memref<?xf32>
}
