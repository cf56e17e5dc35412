// Products of bf16 stay where their op does, are said to be gone where weights are stored in fewer bits, and are refused where experts would take their place.
// RUN: %peer-pass %s --peer-pesc="experts=4 top-k=2 adapter=3" | FileCheck %s --check-prefix=STAYS
// RUN: %peer-pass %s --peer-upcycle="form=peer experts=4 top-k=2" | FileCheck %s --check-prefix=BESIDE
// RUN: %peer-pass %s --peer-matformer="widths=4" | FileCheck %s --check-prefix=NARROW
// RUN: %peer-pass %s --peer-quantize="plan=%t.json" | FileCheck %s --check-prefix=STORED
// RUN: FileCheck %s --check-prefix=REPORT --input-file=%t.json
// RUN: not %peer-pass %s --peer-moefy="experts=4 top-k=1" -o /dev/null 2>&1 | FileCheck %s --check-prefix=REFUSED
// RUN: not %peer-pass %s --peer-dsmoe="experts=4" -o /dev/null 2>&1 | FileCheck %s --check-prefix=REFUSED
// RUN: not %peer-pass %s --peer-upcycle="experts=4 top-k=2" -o /dev/null 2>&1 | FileCheck %s --check-prefix=REFUSED
// REFUSED: [[@LINE+18]]:8: error: expected a layer without 'products', whose weights are the same: experts, which it would become, have products of f32

// STAYS: peer.linear %{{.*}} {products = bf16} : tensor<?x32xf32>, tensor<32x64xf32>
// STAYS: peer.linear %{{.*}} {products = bf16, transpose_weight} : tensor<?x64xf32>, tensor<32x64xf32>

// What chooses experts is scored in f32.
// BESIDE: peer.linear %{{.*}} {products = bf16} : tensor<?x32xf32>, tensor<32x64xf32>
// BESIDE: peer.linear %{{.*}} {products = bf16, transpose_weight} : tensor<?x64xf32>, tensor<32x64xf32>
// BESIDE: peer.linear %{{[^{]*}} : tensor<?x32xf32>, tensor<32x{{[0-9]+}}xf32>

// NARROW: peer.linear %{{.*}} {products = bf16} : tensor<?x32xf32>, tensor<32x4xf32>
// NARROW: peer.linear %{{.*}} {products = bf16, transpose_weight} : tensor<?x4xf32>, tensor<32x4xf32>

// STORED-COUNT-2: peer.quantized_linear
// REPORT-COUNT-2: "products": "f32",

func.func @dense(%x: tensor<?x32xf32>) -> tensor<?x32xf32> {
  %u = peer.param "up" normal(0.2) : tensor<32x64xf32>
  %h = peer.linear %x, %u {products = bf16} : tensor<?x32xf32>, tensor<32x64xf32>
  %a = peer.activation %h gelu : tensor<?x64xf32>
  %d = peer.param "down" normal(0.2) : tensor<32x64xf32>
  %y = peer.linear %a, %d {products = bf16, transpose_weight} : tensor<?x64xf32>, tensor<32x64xf32>
  return %y : tensor<?x32xf32>
}
