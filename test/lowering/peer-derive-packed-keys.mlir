// RUN: peer-opt %s --peer-derive-packed-keys | FileCheck %s

// Two routes by one parameter share what is packed, in all entries.

// CHECK:      func.func @twice(%{{.*}}, %{{.*}}, %[[PACKED:.*]]: tensor<1x1x7232xi8> {peer.name = "keys", peer.role = "derived"})
// CHECK-COUNT-2: packed(%[[PACKED]] : tensor<1x1x7232xi8>)
func.func @twice(%q: tensor<?x1x1x16xf32> {peer.name = "q", peer.role = "input"},
                 %keys: tensor<1x1x64x16xf32> {peer.name = "keys", peer.role = "parameter", peer.parameter = #peer.parameter<"K", normal(0.02), "default", true>})
    -> (tensor<?x1x4xf32> {peer.name = "w"}, tensor<?x1x2xf32> {peer.name = "u"}) attributes {peer.kind = "forward"} {
  %i, %w = peer.route %q, %keys topk<4> gate softmax : tensor<?x1x1x16xf32>, tensor<1x1x64x16xf32>
  %j, %u = peer.route %q, %keys topk<2> gate softmax : tensor<?x1x1x16xf32>, tensor<1x1x64x16xf32>
  return %w, %u : tensor<?x1x4xf32>, tensor<?x1x2xf32>
}

// What is no parameter, and what vectors do not take, stays as it is.

// CHECK:      func.func @others(
// CHECK-NOT:    packed(
func.func @others(%q: tensor<?x1x1x16xf32> {peer.name = "q", peer.role = "input"},
                  %given: tensor<1x1x64x16xf32> {peer.name = "given", peer.role = "input"},
                  %few: tensor<1x1x8x16xf32> {peer.name = "few", peer.role = "parameter", peer.parameter = #peer.parameter<"K", normal(0.02), "default", true>})
    -> (tensor<?x1x4xf32> {peer.name = "w"}, tensor<?x1x4xf32> {peer.name = "u"}) attributes {peer.kind = "forward"} {
  %i, %w = peer.route %q, %given topk<4> gate softmax : tensor<?x1x1x16xf32>, tensor<1x1x64x16xf32>
  %j, %u = peer.route %q, %few topk<4> gate softmax : tensor<?x1x1x16xf32>, tensor<1x1x8x16xf32>
  return %w, %u : tensor<?x1x4xf32>, tensor<?x1x4xf32>
}

// Behind the entries, which say in which order parameters are listed.

// CHECK:      func.func @"derive:1"(%[[KEYS:.*]]: tensor<1x1x64x16xf32> {{{.*}}peer.name = "keys", {{.*}}peer.role = "parameter"})
// CHECK-SAME:   -> (tensor<1x1x7232xi8> {peer.name = "keys"}) attributes {peer.kind = "derive"}
// CHECK-NEXT:   %[[P:.*]] = peer.pack_keys %[[KEYS]] : tensor<1x1x64x16xf32>
// CHECK-NEXT:   return %[[P]]
// CHECK-NOT:  derive:2
