//===- FP8.h - floating-point numbers of a byte ---------------------------===//

#ifndef PEER_LOWERING_EMIT_NARROW_FP8_H
#define PEER_LOWERING_EMIT_NARROW_FP8_H

#include "lowering/emit/LoopBuilder.h"

namespace peer {

/// An f8E4M3FN, or its bits as an i8, as f32: exactly, NaN as NaN. Scalars and vectors.
mlir::Value widenFP8(LoopBuilder &b, mlir::Value number);

} // namespace peer

#endif // PEER_LOWERING_EMIT_NARROW_FP8_H
