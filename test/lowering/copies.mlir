// RUN: peer-opt %s --target=cpu --emit=kernel | FileCheck %s --check-prefix=CPU
// RUN: peer-opt %s --target=sm_90 --emit=kernel | FileCheck %s --check-prefix=GPU

// What is copied out of a part of a buffer is copied in tiles of rows, which threads and blocks share; a small one is one tile.
// CPU-LABEL: func.func private @kernel_copy(
// CPU:         scf.forall (%{{.*}}) = (0) to (%{{.*}}) step (1024)
// CPU:           memref.subview
// CPU-LABEL: func.func private @kernel_copy_0(
// CPU-NOT:     scf.forall
// GPU:         %[[TILES:.*]] = affine.apply
// GPU:         gpu.launch_func @kernels::@copy blocks in (%[[TILES]], %{{.*}}, %{{.*}})
func.func @f(%x: tensor<?x64xf32>, %y: tensor<8x64xf32>) -> (tensor<?x16xf32>, tensor<8x16xf32>) {
  %c0 = arith.constant 0 : index
  %n = tensor.dim %x, %c0 : tensor<?x64xf32>
  %a = tensor.extract_slice %x[0, 8] [%n, 16] [1, 1] : tensor<?x64xf32> to tensor<?x16xf32>
  %b = tensor.extract_slice %y[0, 8] [8, 16] [1, 1] : tensor<8x64xf32> to tensor<8x16xf32>
  return %a, %b : tensor<?x16xf32>, tensor<8x16xf32>
}
