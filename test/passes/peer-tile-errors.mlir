// RUN: not peer-opt %s --peer-tile="sizes=linear:t=64;mix" 2>&1 | FileCheck %s --check-prefix=ENTRY
// RUN: not peer-opt %s --peer-tile="sizes=linear:t=none" 2>&1 | FileCheck %s --check-prefix=SIZE
// RUN: not peer-opt %s --peer-tile="sizes=linear:t=0" 2>&1 | FileCheck %s --check-prefix=ZERO

// ENTRY: error: expected kernel:loop=size,... in tile sizes, got 'mix'
// SIZE: error: expected loop=size with a positive size in tile sizes, got 't=none'
// ZERO: error: expected loop=size with a positive size in tile sizes, got 't=0'
func.func @f(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  return %x : tensor<?x8xf32>
}
