// RUN: %peer-pass %s --peer-lower-marks --split-input-file | FileCheck %s

// Each mark is a call with its number; the hook is declared once.
// CHECK-COUNT-1: func.func private @peer_rt_mark(i64)
// CHECK-LABEL: func.func @entry(
// CHECK:       %[[I0:.*]] = arith.constant 0 : i64
// CHECK-NEXT:  call @peer_rt_mark(%[[I0]]) : (i64) -> ()
// CHECK:       %[[I1:.*]] = arith.constant 1 : i64
// CHECK-NEXT:  call @peer_rt_mark(%[[I1]])
// CHECK:       %[[END:.*]] = arith.constant -1 : i64
// CHECK-NEXT:  call @peer_rt_mark(%[[END]])
// CHECK-NOT:   peer.mark
func.func @entry() {
  peer.mark 0 "score" bytes [10, 20] flops [0, 512]
  peer.mark 1 "mix" bytes [0, 64] flops [0, 128]
  peer.mark -1 "" bytes [0, 0] flops [0, 0]
  return
}

// -----

// CHECK-NOT: peer_rt_mark
// CHECK: func.func @no_marks(
// CHECK-NOT: peer_rt_mark
func.func @no_marks() {
  return
}
