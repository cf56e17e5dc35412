// RUN: not peer-opt %s --peer-lower-to-vectors 2>&1 | FileCheck %s
// RUN: not peer-opt %s --peer-lower-to-loops 2>&1 | FileCheck %s

func.func @value_form(%x: tensor<?x8xf32>, %w: tensor<8xf32>) -> tensor<?x8xf32> {
  // CHECK: 'peer.rms_norm' op could not be lowered: is it in buffer form
  %y = peer.rms_norm %x, %w : tensor<?x8xf32>, tensor<8xf32>
  return %y : tensor<?x8xf32>
}
