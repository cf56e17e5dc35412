// RUN: peer-opt %s --one-shot-bufferize --verify-diagnostics --split-input-file

func.func @no_destination(%x: tensor<?x8xf32>) -> f32 {
  // expected-error @+2 {{failed to bufferize op}}
  // expected-error @+1 {{has no destinations; run --peer-to-destinations before bufferization}}
  %y = peer.activation %x relu : tensor<?x8xf32>
  %c0 = arith.constant 0 : index
  %e = tensor.extract %y[%c0, %c0] : tensor<?x8xf32>
  return %e : f32
}
