func.func @linear(%x: memref<?x8xf32>, %w: memref<8x4xf32>, %y: memref<?x4xf32>) {
  peer.linear %x, %w outs(%y : memref<?x4xf32>) : memref<?x8xf32>, memref<8x4xf32>
  return
}
