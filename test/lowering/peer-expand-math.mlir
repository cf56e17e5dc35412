// RUN: %peer-pass %s --peer-expand-math | FileCheck %s

// Vector math stays vector code: polynomials, no call per lane.
// CHECK-LABEL: func.func @polynomials(
// CHECK-NOT:   math.exp
// CHECK-NOT:   math.erf
// CHECK-NOT:   math.log
// CHECK:       math.fma {{.*}} : vector<16xf32>
// CHECK:       return
func.func @polynomials(%x: vector<16xf32>) -> (vector<16xf32>, vector<16xf32>, vector<16xf32>) {
  %e = math.exp %x : vector<16xf32>
  %f = math.erf %x : vector<16xf32>
  %l = math.log %x : vector<16xf32>
  return %e, %f, %l : vector<16xf32>, vector<16xf32>, vector<16xf32>
}

// The polynomial of sin and cos is wrong for angles in the thousands, which rotary positions reach.
// CHECK-LABEL: func.func @angles(
// CHECK:       math.sin
// CHECK:       math.cos
func.func @angles(%x: f32) -> (f32, f32) {
  %s = math.sin %x : f32
  %c = math.cos %x : f32
  return %s, %c : f32, f32
}

// CHECK-LABEL: func.func @hardware(
// CHECK-NEXT:  math.sqrt
// CHECK-NEXT:  math.fma
func.func @hardware(%x: vector<16xf32>) -> vector<16xf32> {
  %s = math.sqrt %x : vector<16xf32>
  %f = math.fma %s, %x, %x : vector<16xf32>
  return %f : vector<16xf32>
}

// Rounding to bf16 is a call of compiler-rt where the CPU has no instruction for it; integer code does it anywhere.
// CHECK-LABEL: func.func @bf16(
// CHECK-NOT:   arith.truncf
// CHECK-NOT:   arith.extf
// CHECK:       arith.shrui
// CHECK:       arith.shli
func.func @bf16(%x: vector<16xf32>, %y: vector<16xbf16>) -> (vector<16xbf16>, vector<16xf32>) {
  %t = arith.truncf %x : vector<16xf32> to vector<16xbf16>
  %e = arith.extf %y : vector<16xbf16> to vector<16xf32>
  return %t, %e : vector<16xbf16>, vector<16xf32>
}
