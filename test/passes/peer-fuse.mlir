// RUN: %peer-pass %s --peer-fuse --canonicalize | FileCheck %s

// The gradient of the scores is never formed: only the selected keys take part.
// CHECK-LABEL: func.func @product_topk(
// CHECK-SAME:    %[[IDX:[a-z0-9]+]]: tensor<?x4x3xi32>, %[[DVAL:[a-z0-9]+]]: tensor<?x4x3xf32>
// CHECK-SAME:    %[[KEYS:[a-z0-9]+]]: tensor<4x2x32x8xf32>, %[[Q:[a-z0-9]+]]: tensor<?x4x2x8xf32>
// CHECK-NOT:     peer.select_grad
// CHECK:         %[[DQ:.*]] = peer.route_query_grad %[[IDX]], %[[DVAL]], %[[KEYS]]  product_topk<3>
// CHECK:         %[[DK:.*]] = peer.route_key_grad %[[IDX]], %[[DVAL]], %[[Q]]  product_topk<3> n 32 :
// CHECK:         return %[[DQ]], %[[DK]]
func.func @product_topk(%idx: tensor<?x4x3xi32>, %dval: tensor<?x4x3xf32>, %keys: tensor<4x2x32x8xf32>,
                        %q: tensor<?x4x2x8xf32>) -> (tensor<?x4x2x8xf32>, tensor<4x2x32x8xf32>) {
  %dl = peer.select_grad %idx, %dval product_topk<3> n 32 : tensor<?x4x3xi32>, tensor<?x4x3xf32>
  %dq = peer.score_query_grad %dl, %keys : tensor<?x4x2x32xf32>, tensor<4x2x32x8xf32>
  %dk = peer.score_key_grad %dl, %q : tensor<?x4x2x32xf32>, tensor<?x4x2x8xf32>
  return %dq, %dk : tensor<?x4x2x8xf32>, tensor<4x2x32x8xf32>
}

// CHECK-LABEL: func.func @topk_shared(
// CHECK-NOT:     peer.select_grad
// CHECK:         peer.route_key_grad %{{.*}}  topk<3> n 32 shared : {{.*}}
func.func @topk_shared(%idx: tensor<?x4x3xi32>, %dval: tensor<?x4x3xf32>, %q: tensor<?x4x1x8xf32>) -> tensor<1x1x32x8xf32> {
  %dl = peer.select_grad %idx, %dval topk<3> n 32 : tensor<?x4x3xi32>, tensor<?x4x3xf32>
  %dk = peer.score_key_grad %dl, %q shared : tensor<?x4x1x32xf32>, tensor<?x4x1x8xf32>
  return %dk : tensor<1x1x32x8xf32>
}

// Every key is selected under `all`: the dense form stays.
// CHECK-LABEL: func.func @all(
// CHECK:         peer.select_grad
// CHECK:         peer.score_key_grad
func.func @all(%idx: tensor<?x1x5xi32>, %dval: tensor<?x1x5xf32>, %q: tensor<?x1x1x8xf32>) -> tensor<1x1x5x8xf32> {
  %dl = peer.select_grad %idx, %dval all n 5 : tensor<?x1x5xi32>, tensor<?x1x5xf32>
  %dk = peer.score_key_grad %dl, %q : tensor<?x1x1x5xf32>, tensor<?x1x1x8xf32>
  return %dk : tensor<1x1x5x8xf32>
}

// CHECK-LABEL: func.func @reshapes(
// CHECK-SAME:    %[[X:.*]]: tensor<?x12xf32>
// CHECK:         %[[Y:.*]] = peer.reshape %[[X]] to tensor<?x2x2xf32> : tensor<?x12xf32>
// CHECK-NEXT:    return %[[X]], %[[Y]]
func.func @reshapes(%x: tensor<?x12xf32>) -> (tensor<?x12xf32>, tensor<?x2x2xf32>) {
  %a = peer.reshape %x to tensor<?x4xf32> : tensor<?x12xf32>
  %b = peer.reshape %a to tensor<?x12xf32> : tensor<?x4xf32>
  %c = peer.reshape %a to tensor<?x2x2xf32> : tensor<?x4xf32>
  return %b, %c : tensor<?x12xf32>, tensor<?x2x2xf32>
}

// Rows of 12 and of 8 hold no whole number of each other: the way through 4 stays.
// CHECK-LABEL: func.func @indivisible(
// CHECK-COUNT-2: peer.reshape
func.func @indivisible(%x: tensor<?x12xf32>) -> tensor<?x8xf32> {
  %a = peer.reshape %x to tensor<?x4xf32> : tensor<?x12xf32>
  %b = peer.reshape %a to tensor<?x8xf32> : tensor<?x4xf32>
  return %b : tensor<?x8xf32>
}

// Scores that one selection reads are never formed either. All three ops' results are there where the score stood.
// CHECK-LABEL: func.func @route(
// CHECK-SAME:    %[[Q:[a-z0-9]+]]: tensor<?x4x2x8xf32>, %[[KEYS:[a-z0-9]+]]: tensor<4x2x32x8xf32>, %[[ONES:[a-z0-9]+]]:
// CHECK-NEXT:    %[[R0:.*]], %[[R1:.*]] = peer.route %[[Q]], %[[KEYS]] product_topk<3> gate softmax : tensor<?x4x2x8xf32>, tensor<4x2x32x8xf32>
// CHECK-NEXT:    %[[M:.*]] = peer.usage %[[R0]], %[[ONES]]
// CHECK-NEXT:    return %[[R1]], %[[M]]
func.func @route(%q: tensor<?x4x2x8xf32>, %keys: tensor<4x2x32x8xf32>, %ones: tensor<?x4x3xf32>, %mass: tensor<1024xf32>)
    -> (tensor<?x4x3xf32>, tensor<1024xf32>) {
  %s = peer.score %q, %keys : tensor<?x4x2x8xf32>, tensor<4x2x32x8xf32>
  %idx, %val = peer.select %s product_topk<3> : tensor<?x4x2x32xf32>
  %m = peer.usage %idx, %ones, %mass : tensor<?x4x3xi32>, tensor<?x4x3xf32>, tensor<1024xf32>
  %w = peer.gate %val softmax : tensor<?x4x3xf32>
  return %w, %m : tensor<?x4x3xf32>, tensor<1024xf32>
}

// A gradient reads val: it stays. Keys may be shared, and `all` is a policy like the others.
// CHECK-LABEL: func.func @keeps_val(
// CHECK:         %[[R0:.*]], %[[R1:.*]], %[[R2:.*]] = peer.route %{{.*}}, %{{.*}} all gate sigmoid keep_val : tensor<?x4x1x8xf32>, tensor<1x1x5x8xf32>
// CHECK-NEXT:    %[[D:.*]] = peer.gate_grad %[[R2]], %[[R1]], %{{.*}} sigmoid
// CHECK-NEXT:    return %[[R0]], %[[D]]
func.func @keeps_val(%q: tensor<?x4x1x8xf32>, %keys: tensor<1x1x5x8xf32>, %dw: tensor<?x4x5xf32>) -> (tensor<?x4x5xi32>, tensor<?x4x5xf32>) {
  %s = peer.score %q, %keys : tensor<?x4x1x8xf32>, tensor<1x1x5x8xf32>
  %idx, %val = peer.select %s all : tensor<?x4x1x5xf32>
  %w = peer.gate %val sigmoid : tensor<?x4x5xf32>
  %d = peer.gate_grad %val, %w, %dw sigmoid : tensor<?x4x5xf32>, tensor<?x4x5xf32>, tensor<?x4x5xf32>
  return %idx, %d : tensor<?x4x5xi32>, tensor<?x4x5xf32>
}

// No gate, or one for each of two readers: val is what is wanted.
// CHECK-LABEL: func.func @no_gate(
// CHECK-NEXT:    %[[R0:.*]], %[[R1:.*]] = peer.route %{{.*}}, %{{.*}} topk<3> keep_val : tensor<7x4x1x8xbf16>, tensor<4x1x32x8xbf16>
// CHECK-NEXT:    return %[[R0]], %[[R1]]
func.func @no_gate(%q: tensor<7x4x1x8xbf16>, %keys: tensor<4x1x32x8xbf16>) -> (tensor<7x4x3xi32>, tensor<7x4x3xf32>) {
  %s = peer.score %q, %keys : tensor<7x4x1x8xbf16>, tensor<4x1x32x8xbf16>
  %idx, %val = peer.select %s topk<3> : tensor<7x4x1x32xf32>
  return %idx, %val : tensor<7x4x3xi32>, tensor<7x4x3xf32>
}

// CHECK-LABEL: func.func @two_gates(
// CHECK:         %[[R0:.*]], %[[R1:.*]] = peer.route %{{.*}} topk<3> keep_val :
// CHECK-DAG:     peer.gate %[[R1]] relu
// CHECK-DAG:     peer.gate %[[R1]] one
func.func @two_gates(%q: tensor<?x4x1x8xf32>, %keys: tensor<4x1x32x8xf32>) -> (tensor<?x4x3xf32>, tensor<?x4x3xf32>) {
  %s = peer.score %q, %keys : tensor<?x4x1x8xf32>, tensor<4x1x32x8xf32>
  %idx, %val = peer.select %s topk<3> : tensor<?x4x1x32xf32>
  %a = peer.gate %val relu : tensor<?x4x3xf32>
  %b = peer.gate %val one : tensor<?x4x3xf32>
  return %a, %b : tensor<?x4x3xf32>, tensor<?x4x3xf32>
}

// Logits that something else reads are formed anyway, and so are those of two selections.
// CHECK-LABEL: func.func @logits_are_wanted(
// CHECK-NOT:     peer.route
// CHECK:         return
func.func @logits_are_wanted(%q: tensor<?x4x1x8xf32>, %keys: tensor<4x1x32x8xf32>)
    -> (tensor<?x4x1x32xf32>, tensor<?x4x3xf32>, tensor<?x4x2xf32>, tensor<?x4x3xf32>) {
  %s = peer.score %q, %keys : tensor<?x4x1x8xf32>, tensor<4x1x32x8xf32>
  %idx, %val = peer.select %s topk<3> : tensor<?x4x1x32xf32>
  %w = peer.gate %val softmax : tensor<?x4x3xf32>
  %t = peer.score %q, %keys : tensor<?x4x1x8xf32>, tensor<4x1x32x8xf32>
  %i, %u = peer.select %t topk<2> : tensor<?x4x1x32xf32>
  %j, %v = peer.select %t topk<3> : tensor<?x4x1x32xf32>
  return %s, %w, %u, %v : tensor<?x4x1x32xf32>, tensor<?x4x3xf32>, tensor<?x4x2xf32>, tensor<?x4x3xf32>
}

// Logits that do not come from a score right away (noise was added).
// CHECK-LABEL: func.func @not_a_score(
// CHECK-NOT:     peer.route
// CHECK:         return
func.func @not_a_score(%q: tensor<?x4x1x8xf32>, %keys: tensor<4x1x32x8xf32>, %noise: tensor<?x4x1x32xf32>) -> tensor<?x4x3xf32> {
  %s = peer.score %q, %keys : tensor<?x4x1x8xf32>, tensor<4x1x32x8xf32>
  %n = arith.addf %s, %noise : tensor<?x4x1x32xf32>
  %idx, %val = peer.select %n topk<3> : tensor<?x4x1x32xf32>
  %w = peer.gate %val softmax : tensor<?x4x3xf32>
  return %w : tensor<?x4x3xf32>
}

// A route selects for each token alone, by what its policy says.
// CHECK-LABEL: func.func @no_route(
// CHECK-NOT:     peer.route
func.func @no_route(%q: tensor<?x4x1x8xf32>, %keys: tensor<4x1x32x8xf32>, %t: tensor<f32>) -> (tensor<?x4x32xi32>, tensor<?x4x3xf32>) {
  %r = peer.score %q, %keys : tensor<?x4x1x8xf32>, tensor<4x1x32x8xf32>
  %i, %v = peer.select %r expert_choice<2.0> : tensor<?x4x1x32xf32>
  %s = peer.score %q, %keys : tensor<?x4x1x8xf32>, tensor<4x1x32x8xf32>
  %j, %u = peer.select %s, %t top_p<max = 3> : tensor<?x4x1x32xf32>, tensor<f32>
  return %i, %u : tensor<?x4x32xi32>, tensor<?x4x3xf32>
}
