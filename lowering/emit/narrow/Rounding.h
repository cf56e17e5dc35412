//===- Rounding.h - what is kept in bf16 ---------------------------------===//

#ifndef PEER_LOWERING_EMIT_NARROW_ROUNDING_H
#define PEER_LOWERING_EMIT_NARROW_ROUNDING_H

#include "lowering/emit/RoutingBuilder.h"

namespace peer {

/// The seed of what a step, a rank-0 f32, rounds by chance: an i32.
mlir::Value emitSeed(LoopBuilder &b, mlir::Value step);
/// New values of table[at...], for each of some tables of one shape, as these store them: those of bf16 ones are rounded up or
/// down, by chance, so that their mean is what was to be stored. The bits of chance follow from the seed, the element and the
/// place among the bf16 tables alone. Without a seed stores round to the nearest. What is finite stays so. Vectors lie at multiples of their
/// lanes in each `run` of elements, by default the last dimension.
Values emitRounded(LoopBuilder &b, mlir::Value seed, mlir::ValueRange updated, mlir::ValueRange tables,
                   mlir::ValueRange at, int64_t run = 0);

} // namespace peer

#endif // PEER_LOWERING_EMIT_NARROW_ROUNDING_H
