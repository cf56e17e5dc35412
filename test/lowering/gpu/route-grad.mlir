// Gradients of gate and route: keys are gathered, selections sorted by key, nothing is added atomically.
// RUN: peer-opt %s --internal-ops --target=sm_90 --mlir-print-ir-after=peer-launch-kernels --emit=asm -o %t.ptx 2> %t.launches
// RUN: FileCheck %s --input-file=%t.launches
// RUN: FileCheck %s --input-file=%t.ptx --check-prefix=PTX --implicit-check-not=.local --implicit-check-not=.extern --implicit-check-not=atom --implicit-check-not=red.global

// CHECK-LABEL: func.func private @kernel_route_query_grad(
// CHECK:       gpu.launch {{.*}} function(@route_query_grad)
// CHECK-NOT:   function(@route_query_grad_part1)

// Count, places, sort, sums: a block of one warp per tile, one block per head and half, one block per key.
// CHECK-LABEL: func.func private @kernel_route_key_grad(
// CHECK:       gpu.launch {{.*}} %c32{{.*}} function(@route_key_grad)
// CHECK:       match.sync any
// CHECK:       gpu.launch {{.*}} %c16{{.*}} %c512{{.*}} function(@route_key_grad_part1)
// CHECK:       gpu.launch {{.*}} %c32{{.*}} function(@route_key_grad_part2)
// CHECK:       match.sync any
// CHECK:       gpu.launch {{.*}} %c1024{{.*}} %c256{{.*}} function(@route_key_grad_part3)

// Sixteen lanes share a row of sixteen selections.
// CHECK-LABEL: func.func private @kernel_gate_grad(
// CHECK:       gpu.launch {{.*}} function(@gate_grad)
// CHECK-COUNT-4: gpu.shuffle xor
// CHECK-NOT:   gpu.shuffle

// PTX-DAG: .entry route_query_grad(
// PTX-DAG: .entry route_key_grad_part3(
// PTX-DAG: .entry gate_grad(
// PTX-DAG: ld.global.nc.v4
// PTX-DAG: match.any.sync
func.func @f(%i: tensor<?x8x16xi32> {peer.name = "i"}, %d: tensor<?x8x16xf32> {peer.name = "d"},
             %k: tensor<8x2x64x128xf32> {peer.name = "k"}, %q: tensor<?x8x2x128xf32> {peer.name = "q"},
             %v: tensor<?x8x16xf32> {peer.name = "v"})
    -> (tensor<?x8x2x128xf32> {peer.name = "dq"}, tensor<8x2x64x128xf32> {peer.name = "dk"},
        tensor<?x8x16xf32> {peer.name = "dv"}) {
  %dq = peer.route_query_grad %i, %d, %k product_topk<16> : tensor<?x8x16xi32>, tensor<?x8x16xf32>, tensor<8x2x64x128xf32>
  %dk = peer.route_key_grad %i, %d, %q product_topk<16> n 64 : tensor<?x8x16xi32>, tensor<?x8x16xf32>, tensor<?x8x2x128xf32>
  %dv = peer.gate_grad %v, %d, %v softmax : tensor<?x8x16xf32>, tensor<?x8x16xf32>, tensor<?x8x16xf32>
  return %dq, %dk, %dv : tensor<?x8x2x128xf32>, tensor<8x2x64x128xf32>, tensor<?x8x16xf32>
}
