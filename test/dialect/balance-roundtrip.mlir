// RUN: %peer-pass %s | %peer-pass - | FileCheck %s

// CHECK-LABEL: func.func @losses(
func.func @losses(%s: tensor<?x2x2x64xf32>, %i: tensor<?x2x3xi32>, %d: tensor<?xf32>) {
  // CHECK: %[[F:.*]] = peer.expert_load %{{.*}} keys 64 halves 2 : tensor<?x2x3xi32>
  %f = peer.expert_load %i keys 64 halves 2 : tensor<?x2x3xi32>
  // CHECK: peer.expert_load %{{.*}} first keys 64 : tensor<?x2x3xi32>
  %g = peer.expert_load %i first keys 64 : tensor<?x2x3xi32>
  // CHECK: peer.balance_loss %{{.*}}, %[[F]] : tensor<?x2x2x64xf32>, tensor<2x64xf32>
  %l = peer.balance_loss %s, %f : tensor<?x2x2x64xf32>, tensor<2x64xf32>
  // CHECK: peer.mean %{{.*}} : tensor<?xf32>
  %m = peer.mean %l : tensor<?xf32>
  // CHECK: peer.balance_loss_grad %{{.*}}, %{{.*}}, %{{.*}} : tensor<?x2x2x64xf32>, tensor<2x64xf32>, tensor<?xf32>
  %dl = peer.balance_loss_grad %s, %f, %d : tensor<?x2x2x64xf32>, tensor<2x64xf32>, tensor<?xf32>
  // CHECK: peer.z_loss %{{.*}} : tensor<?x2x2x64xf32>
  %z = peer.z_loss %s : tensor<?x2x2x64xf32>
  // CHECK: peer.z_loss_grad %{{.*}}, %{{.*}} : tensor<?x2x2x64xf32>, tensor<?xf32>
  %dz = peer.z_loss_grad %s, %d : tensor<?x2x2x64xf32>, tensor<?xf32>
  return
}

// CHECK-LABEL: func.func @bias(
func.func @bias(%s: tensor<?x2x2x64xf32>, %b: tensor<2x64xf32>) -> tensor<?x2x3xf32> {
  // CHECK: peer.balance_bias %{{.*}}, %{{.*}} {rate = 5.000000e-01 : f32} : tensor<?x2x2x64xf32>, tensor<2x64xf32>
  %sb = peer.balance_bias %s, %b {rate = 0.5 : f32} : tensor<?x2x2x64xf32>, tensor<2x64xf32>
  %i, %u = peer.select %sb product_topk<3> : tensor<?x2x2x64xf32>
  // CHECK: peer.gather %{{.*}}, %{{.*}} : tensor<?x2x2x64xf32>, tensor<?x2x3xi32>
  %v = peer.gather %s, %i : tensor<?x2x2x64xf32>, tensor<?x2x3xi32>
  return %v : tensor<?x2x3xf32>
}

// CHECK-LABEL: func.func @capacity(
func.func @capacity(%i: tensor<?x1x3xi32>, %w: tensor<?x1x3xf32>) -> (tensor<?x1x3xi32>, tensor<?x1x3xf32>) {
  // CHECK: %[[I:.*]], %[[W:.*]] = peer.capacity %{{.*}}, %{{.*}} experts 64 factor 1.250000e+00 least 4 by rank : tensor<?x1x3xi32>, tensor<?x1x3xf32>
  %j, %u = peer.capacity %i, %w experts 64 factor 1.25 least 4 by rank : tensor<?x1x3xi32>, tensor<?x1x3xf32>
  // CHECK: peer.capacity %[[I]], %[[W]] experts 64 factor 1.000000e+00 by token : tensor<?x1x3xi32>, tensor<?x1x3xf32>
  %k, %v = peer.capacity %j, %u experts 64 factor 1.0 by token : tensor<?x1x3xi32>, tensor<?x1x3xf32>
  // CHECK: peer.capacity %{{.*}}, %{{.*}} experts 64 factor 2.000000e+00 by probability
  %l, %x = peer.capacity %k, %v experts 64 factor 2.0 by probability : tensor<?x1x3xi32>, tensor<?x1x3xf32>
  return %l, %x : tensor<?x1x3xi32>, tensor<?x1x3xf32>
}
