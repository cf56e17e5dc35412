// Attention and its gradient on the tensor cores; wider heads than registers hold are left to plain loops.
// RUN: peer-opt %s --internal-ops --target=sm_90 --mlir-print-ir-after=peer-lower-to-blocks --emit=asm -o %t.ptx 2> %t.blocks
// RUN: FileCheck %s --input-file=%t.blocks
// RUN: FileCheck %s --input-file=%t.ptx --check-prefix=PTX
// Nothing in thread-local memory, nothing to link.
// RUN: FileCheck %s --input-file=%t.ptx --check-prefix=CLEAN
// CLEAN-NOT: .local
// CLEAN-NOT: .extern

// CHECK-LABEL: func.func private @kernel_attention(
// CHECK: gpu.launch {{.*}} function(@attention)
// CHECK: nvvm.mma.sync
// CHECK-NOT: gpu.launch
// CHECK-LABEL: func.func private @kernel_attention_grad(
// CHECK: gpu.launch {{.*}} function(@attention_grad)
// CHECK: nvvm.mma.sync
// CHECK: gpu.launch {{.*}} function(@attention_grad_part1)
// CHECK: nvvm.mma.sync
// CHECK-NOT: gpu.launch
// PTX-DAG: .entry attention_grad_part1(
// PTX-DAG: cp.async.cg.shared.global [{{.*}}], [{{.*}}], 16
// PTX-DAG: mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32
func.func @train(%q: tensor<?x256xf32> {peer.name = "q"}, %k: tensor<?x256xf32> {peer.name = "k"},
                 %v: tensor<?x256xf32> {peer.name = "v"}, %dy: tensor<?x256xf32> {peer.name = "dy"})
    -> (tensor<?x256xf32> {peer.name = "y"}, tensor<?x256xf32> {peer.name = "dq"}, tensor<?x256xf32> {peer.name = "dk"},
        tensor<?x256xf32> {peer.name = "dv"}) {
  %y = peer.attention %q, %k, %v heads 8 context 128 : tensor<?x256xf32>, tensor<?x256xf32>, tensor<?x256xf32>
  %g:3 = peer.attention_grad %q, %k, %v, %dy {heads = 8 : i64, context_length = 128 : i64}
      : tensor<?x256xf32>, tensor<?x256xf32>, tensor<?x256xf32>, tensor<?x256xf32>
  return %y, %g#0, %g#1, %g#2 : tensor<?x256xf32>, tensor<?x256xf32>, tensor<?x256xf32>, tensor<?x256xf32>
}

// A token over a long cache: several blocks for each head, then their sums. No matrix products.
// CHECK-LABEL: func.func private @kernel_cached_attention(
// CHECK: gpu.launch {{.*}} function(@cached_attention)
// CHECK-NOT: nvvm.mma.sync
// CHECK: gpu.launch {{.*}} function(@cached_attention_part1)
// CHECK-NOT: gpu.launch
func.func @decode(%q: tensor<1x256xf32> {peer.name = "q"}, %k: tensor<1x256xf32> {peer.name = "k"},
                  %v: tensor<1x256xf32> {peer.name = "v"}, %keys: tensor<1024x256xf32> {peer.name = "keys"},
                  %values: tensor<1024x256xf32> {peer.name = "values"}, %position: tensor<i32> {peer.name = "position"})
    -> (tensor<1x256xf32> {peer.name = "y"}, tensor<1024x256xf32> {peer.name = "keys_after"},
        tensor<1024x256xf32> {peer.name = "values_after"}) {
  %r:3 = peer.cached_attention %q, %k, %v, %keys, %values, %position {heads = 8 : i64}
      : tensor<1x256xf32>, tensor<1x256xf32>, tensor<1x256xf32>, tensor<1024x256xf32>, tensor<1024x256xf32>, tensor<i32>
  return %r#0, %r#1, %r#2 : tensor<1x256xf32>, tensor<1024x256xf32>, tensor<1024x256xf32>
}

// CHECK-LABEL: func.func private @kernel_attention_0(
// CHECK: gpu.launch {{.*}} function(@attention_0)
// CHECK-NOT: nvvm.mma.sync
func.func @wide(%q: tensor<?x520xf32> {peer.name = "q"}, %k: tensor<?x520xf32> {peer.name = "k"},
                %v: tensor<?x520xf32> {peer.name = "v"}) -> (tensor<?x520xf32> {peer.name = "y"}) {
  %y = peer.attention %q, %k, %v heads 4 context 16 : tensor<?x520xf32>, tensor<?x520xf32>, tensor<?x520xf32>
  return %y : tensor<?x520xf32>
}
