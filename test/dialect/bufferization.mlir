// RUN: peer-opt %s --pass-pipeline='builtin.module(func.func(peer-fuse,peer-tile{sizes="route:t=64,h=1;mix:t=32"},peer-decompose-routes,peer-to-destinations),eliminate-empty-tensors,one-shot-bufferize{bufferize-function-boundaries function-boundary-type-conversion=identity-layout-map},canonicalize,cse,canonicalize)' --split-input-file | FileCheck %s

// One scratch of scores per tile; all else is written where it belongs, and nothing is copied.
// CHECK-LABEL: func.func @layer(
// CHECK-SAME:    %[[X:[a-z0-9]+]]: memref<?x256xf32>, %[[Q:[a-z0-9]+]]: memref<?x8x2x128xf32>, %[[KEYS:[a-z0-9]+]]: memref<8x2x1024x128xf32>, %[[POOL:[a-z0-9]+]]:
// CHECK-NOT:   memref.copy
// CHECK-DAG:   %[[IDX:.*]] = memref.alloc({{.*}}) {{.*}} : memref<?x8x16xi32>
// CHECK-DAG:   %[[W:.*]] = memref.alloc({{.*}}) {{.*}} : memref<?x8x16xf32>
// CHECK:       scf.forall
// CHECK-NOT:     memref.copy
// CHECK:         %[[S:.*]] = memref.alloc({{.*}}) {{.*}} : memref<?x1x2x1024xf32>
// CHECK:         peer.score {{.*}} outs(%[[S]] :
// CHECK:         %[[IT:.*]] = memref.subview %[[IDX]]
// CHECK:         %[[V:.*]] = memref.alloc({{.*}}) {{.*}} : memref<?x1x16xf32>
// CHECK:         peer.select %[[S]] product_topk<16> outs(%[[IT]], %[[V]] :
// CHECK:         %[[WT:.*]] = memref.subview %[[W]]
// CHECK:         peer.gate %[[V]] softmax outs(%[[WT]] :
// CHECK-NOT:     memref.copy
// CHECK:       %[[Y:.*]] = memref.alloc({{.*}}) {{.*}} : memref<?x256xf32>
// CHECK:       scf.forall
// CHECK:         %[[YT:.*]] = memref.subview %[[Y]]
// CHECK:         peer.mix %{{.*}}, %{{.*}}, %{{.*}}, %[[POOL]] gelu outs(%[[YT]] :
// CHECK-NOT:     memref.copy
// CHECK:       return %[[Y]]
func.func @layer(%x: tensor<?x256xf32>, %q: tensor<?x8x2x128xf32>, %keys: tensor<8x2x1024x128xf32>,
                 %pool: tensor<65536x2x256xf32>) -> tensor<?x256xf32> {
  %s = peer.score %q, %keys : tensor<?x8x2x128xf32>, tensor<8x2x1024x128xf32>
  %idx, %val = peer.select %s product_topk<16> : tensor<?x8x2x1024xf32>
  %w = peer.gate %val softmax : tensor<?x8x16xf32>
  %y = peer.mix %x, %idx, %w, %pool gelu
     : tensor<?x256xf32>, tensor<?x8x16xi32>, tensor<?x8x16xf32>, tensor<65536x2x256xf32>
  return %y : tensor<?x256xf32>
}

// -----

// Parameter and states are updated in the arguments themselves.
// CHECK-LABEL: func.func @update(
// CHECK-SAME:    %[[P:[a-z0-9]+]]: memref<64x2x8xf32>{{.*}}, %[[G:[a-z0-9]+]]: memref<64x2x8xf32>, %[[M:[a-z0-9]+]]: memref<64x2x8xf32>{{.*}}, %[[V:[a-z0-9]+]]: memref<64x2x8xf32>{{[^%]*}}, %[[C:[a-z0-9]+]]: memref<f32>)
// CHECK-NOT:   alloc
// CHECK-NOT:   copy
// CHECK:       peer.update %[[P]], %[[G]], %[[C]], %[[C]], %[[C]], %[[M]], %[[V]]
// CHECK:       return %[[P]], %[[M]], %[[V]]
func.func @update(%p: tensor<64x2x8xf32> {bufferization.writable = true}, %g: tensor<64x2x8xf32>,
                  %m: tensor<64x2x8xf32> {bufferization.writable = true},
                  %v: tensor<64x2x8xf32> {bufferization.writable = true}, %c: tensor<f32>)
    -> (tensor<64x2x8xf32>, tensor<64x2x8xf32>, tensor<64x2x8xf32>) {
  %new:3 = peer.update %p, %g, %c, %c, %c, %m, %v {optimizer = #peer.adamw<>}
     : tensor<64x2x8xf32>, tensor<64x2x8xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<64x2x8xf32>, tensor<64x2x8xf32>
  return %new#0, %new#1, %new#2 : tensor<64x2x8xf32>, tensor<64x2x8xf32>, tensor<64x2x8xf32>
}

// -----

// CHECK-LABEL: func.func @row_update(
// CHECK-SAME:    %[[POOL:[a-z0-9]+]]: memref<64x2x8xf32>
// CHECK-NOT:   copy
// CHECK:       peer.sort_pairs
// CHECK-NOT:   copy
// CHECK:       peer.row_update %[[POOL]],
// CHECK:       return %[[POOL]]
func.func @row_update(%pool: tensor<64x2x8xf32> {bufferization.writable = true}, %idx: tensor<?x2x2xi32>,
                      %coef: tensor<?x2x2x1x2xf32>, %x: tensor<?x8xf32>, %c: tensor<f32>) -> tensor<64x2x8xf32> {
  %o:3 = peer.sort_pairs %idx experts 64 : tensor<?x2x2xi32>
  %new = peer.row_update %pool, %idx, %o#0, %o#1, %o#2, %coef, %x, %x, %c, %c, %c {optimizer = #peer.sgd<lazy = true>}
     : tensor<64x2x8xf32>, tensor<?x2x2xi32>, tensor<?xi32>, tensor<?xi32>, tensor<2xi32>, tensor<?x2x2x1x2xf32>,
       tensor<?x8xf32>, tensor<?x8xf32>, tensor<f32>, tensor<f32>, tensor<f32>
  return %new : tensor<64x2x8xf32>
}

// -----

// CHECK-LABEL: func.func @usage(
// CHECK-SAME:    %[[I:[a-z0-9]+]]: memref<?x4x2xi32>, %[[W:[a-z0-9]+]]: memref<?x4x2xf32>, %[[M:[a-z0-9]+]]: memref<64xf32>
// CHECK-NOT:   alloc
// CHECK-NOT:   copy
// CHECK:       peer.usage %[[I]], %[[W]], %[[M]]
// CHECK:       return %[[M]]
func.func @usage(%idx: tensor<?x4x2xi32>, %w: tensor<?x4x2xf32>, %mass: tensor<64xf32> {bufferization.writable = true})
    -> tensor<64xf32> {
  %m = peer.usage %idx, %w, %mass : tensor<?x4x2xi32>, tensor<?x4x2xf32>, tensor<64xf32>
  return %m : tensor<64xf32>
}

// -----

// CHECK-LABEL: func.func @cached_attention(
// CHECK-SAME:    %[[Q:[a-z0-9]+]]: memref<?x8xf32>, %[[K:[a-z0-9]+]]: memref<16x8xf32>{{.*}}, %[[V:[a-z0-9]+]]: memref<16x8xf32>{{[^%]*}}, %[[AT:[a-z0-9]+]]: memref<i32>)
// CHECK-NOT:   copy
// CHECK:       %[[O:.*]] = memref.alloc
// CHECK-NOT:   alloc
// CHECK:       peer.cached_attention %[[Q]], %[[Q]], %[[Q]], %[[K]], %[[V]], %[[AT]], %[[O]]
// CHECK:       return %[[O]], %[[K]], %[[V]]
func.func @cached_attention(%q: tensor<?x8xf32>, %k: tensor<16x8xf32> {bufferization.writable = true},
                            %v: tensor<16x8xf32> {bufferization.writable = true}, %at: tensor<i32>)
    -> (tensor<?x8xf32>, tensor<16x8xf32>, tensor<16x8xf32>) {
  %o:3 = peer.cached_attention %q, %q, %q, %k, %v, %at {heads = 2 : i64}
     : tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>, tensor<16x8xf32>, tensor<16x8xf32>, tensor<i32>
  return %o#0, %o#1, %o#2 : tensor<?x8xf32>, tensor<16x8xf32>, tensor<16x8xf32>
}

// -----

// Whoever still reads the old value gets a copy of it: updating in place would be wrong.
// CHECK-LABEL: func.func @old_value(
// CHECK:       memref.copy
// CHECK:       peer.usage
func.func @old_value(%idx: tensor<?x4x2xi32>, %w: tensor<?x4x2xf32>, %mass: tensor<64xf32> {bufferization.writable = true})
    -> (tensor<64xf32>, tensor<64xf32>) {
  %m = peer.usage %idx, %w, %mass : tensor<?x4x2xi32>, tensor<?x4x2xf32>, tensor<64xf32>
  return %m, %mass : tensor<64xf32>, tensor<64xf32>
}
