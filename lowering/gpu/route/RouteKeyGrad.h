//===- RouteKeyGrad.h - gradients through the selected keys --------------===//

#ifndef PEER_LOWERING_GPU_ROUTE_ROUTEKEYGRAD_H
#define PEER_LOWERING_GPU_ROUTE_ROUTEKEYGRAD_H

#include "lowering/gpu/block/LaneRows.h"

namespace peer::device {

/// Elements of a row per lane at most, where only sums stay in registers.
inline constexpr int64_t kMostOfRoute = 16;

/// sums + scale * row for the rows that the lanes of `mask` (i32) list: each lane has the scale of its row, `rowAt` gives the
/// position in `buffer` of the row that a lane (i32) lists.
Values addListedRows(BlockBuilder &b, const LaneRow &row, mlir::Value mask, mlir::ValueRange sums,
                     mlir::Value listedScale, mlir::Value buffer,
                     llvm::function_ref<Values(mlir::Value position)> rowAt);

} // namespace peer::device

#endif // PEER_LOWERING_GPU_ROUTE_ROUTEKEYGRAD_H
