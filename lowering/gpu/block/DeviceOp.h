//===- DeviceOp.h - operations of the device that the host waits for -----===//

#ifndef PEER_LOWERING_GPU_BLOCK_DEVICEOP_H
#define PEER_LOWERING_GPU_BLOCK_DEVICEOP_H

#include "lowering/emit/LoopBuilder.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"

namespace peer::device {

/// Emits an operation of the device: `emit` creates it, given the type of its token and the token that it starts after.
/// In form it is asynchronous and waited for; on which stream it happens, and when, is the runtime's own affair.
template <typename Emit>
auto emitAndWait(LoopBuilder &host, Emit emit) {
  auto token = mlir::gpu::AsyncTokenType::get(host.getContext());
  mlir::Value start = mlir::gpu::WaitOp::create(host, token, mlir::ValueRange()).getAsyncToken();
  auto op = emit(token, start);
  mlir::gpu::WaitOp::create(host, mlir::Type(), op.getAsyncToken());
  return op;
}

} // namespace peer::device

#endif // PEER_LOWERING_GPU_BLOCK_DEVICEOP_H
