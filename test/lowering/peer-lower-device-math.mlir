// What polynomials do not replace becomes an instruction: no call of a device library is left.
// RUN: split-file %s %t
// RUN: %peer-pass %t/good.mlir --peer-lower-device-math --cse | FileCheck %s --implicit-check-not=math.
// RUN: not %peer-pass %t/bad.mlir --peer-lower-device-math -o /dev/null 2>&1 | FileCheck %s --check-prefix=BAD

//--- good.mlir
// CHECK-LABEL: func.func @instructions(
// CHECK-SAME:    %[[X:.*]]: f32, %[[V:.*]]: vector<4xf32>
// CHECK-NEXT:  %[[ROOT:.*]] = llvm.call_intrinsic "llvm.sqrt.f32"(%[[X]])
// CHECK-NEXT:  llvm.call_intrinsic "llvm.floor.f32"(%[[X]])
// CHECK-NEXT:  llvm.call_intrinsic "llvm.fabs.f32"(%[[X]])
// CHECK-NEXT:  llvm.call_intrinsic "llvm.fma.v4f32"(%[[V]], %[[V]], %[[V]])
// CHECK-NEXT:  llvm.call_intrinsic "llvm.copysign.f32"(%[[X]], %[[ROOT]])
// CHECK-NEXT:  llvm.call_intrinsic "llvm.rint.f32"(%[[X]])
// CHECK-NEXT:  llvm.call_intrinsic "llvm.ceil.f32"(%[[X]])
// CHECK-NEXT:  llvm.call_intrinsic "llvm.sqrt.f64"
// CHECK-NEXT:  return
func.func @instructions(%x: f32, %v: vector<4xf32>, %d: f64) -> (f32, f32, f32, vector<4xf32>, f32, f32, f32, f64) {
  %0 = math.sqrt %x : f32
  %1 = math.floor %x : f32
  %2 = math.absf %x : f32
  %3 = math.fma %v, %v, %v : vector<4xf32>
  %4 = math.copysign %x, %0 : f32
  %5 = math.roundeven %x : f32
  %6 = math.ceil %x : f32
  %7 = math.sqrt %d : f64
  return %0, %1, %2, %3, %4, %5, %6, %7 : f32, f32, f32, vector<4xf32>, f32, f32, f32, f64
}

// The quarter of the turn is taken off in f64; its lowest bits choose between two polynomials and the sign.
// CHECK-LABEL: func.func @angle(
// CHECK-SAME:    %[[X:.*]]: f32
// CHECK:       %[[WIDE:.*]] = arith.extf %[[X]] : f32 to f64
// CHECK:       %[[QUARTER:.*]] = arith.fptosi {{.*}} : f64 to i64
// CHECK:       %[[REST:.*]] = arith.subf %[[WIDE]]
// CHECK:       arith.truncf %[[REST]] : f64 to f32
// CHECK:       arith.andi %[[QUARTER]], %c1
// CHECK:       %[[SIZE:.*]] = arith.select
// CHECK:       arith.andi %[[QUARTER]], %c2
// CHECK:       %[[NEGATIVE:.*]] = arith.negf %[[SIZE]]
// CHECK:       %[[SINE:.*]] = arith.select {{.*}}, %[[NEGATIVE]], %[[SIZE]]
// CHECK:       return %[[SINE]]
func.func @angle(%x: f32) -> f32 {
  %0 = math.sin %x : f32
  return %0 : f32
}

//--- bad.mlir
// BAD: error: 'math.ctpop' op has no instruction on GPUs
func.func @f(%x: i32) -> i32 {
  %0 = math.ctpop %x : i32
  return %0 : i32
}
