// RUN: %peer-pass %s --split-input-file --peer-saturate-conversions | FileCheck %s

#row = affine_map<(d0) -> (d0)>

// The largest f32 below 2^31 is 2^31 - 128.
// CHECK-LABEL: func.func @signed
// CHECK-DAG:   %[[LOW:.*]] = arith.constant -2.14748365E+9 : f32
// CHECK-DAG:   %[[HIGH:.*]] = arith.constant 2.14748352E+9 : f32
// CHECK:       %[[ABOVE:.*]] = arith.maxnumf %{{.*}}, %[[LOW]] : f32
// CHECK:       %[[INSIDE:.*]] = arith.minnumf %[[ABOVE]], %[[HIGH]] : f32
// CHECK:       arith.fptosi %[[INSIDE]] : f32 to i32
func.func @signed(%x: tensor<?xf32>, %out: tensor<?xi32>) -> tensor<?xi32> {
  %0 = linalg.generic {indexing_maps = [#row, #row], iterator_types = ["parallel"]}
      ins(%x : tensor<?xf32>) outs(%out : tensor<?xi32>) {
  ^bb0(%a: f32, %o: i32):
    %i = arith.fptosi %a : f32 to i32
    linalg.yield %i : i32
  } -> tensor<?xi32>
  return %0 : tensor<?xi32>
}

// -----

#row = affine_map<(d0) -> (d0)>

// CHECK-LABEL: func.func @unsigned
// CHECK-DAG:   arith.constant 0.000000e+00 : f16
// CHECK-DAG:   arith.constant 2.550000e+02 : f16
// CHECK:       arith.fptoui %{{.*}} : f16 to i8
func.func @unsigned(%x: tensor<?xf16>, %out: tensor<?xi8>) -> tensor<?xi8> {
  %0 = linalg.generic {indexing_maps = [#row, #row], iterator_types = ["parallel"]}
      ins(%x : tensor<?xf16>) outs(%out : tensor<?xi8>) {
  ^bb0(%a: f16, %o: i8):
    %i = arith.fptoui %a : f16 to i8
    linalg.yield %i : i8
  } -> tensor<?xi8>
  return %0 : tensor<?xi8>
}
