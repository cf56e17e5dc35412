//===- Reject.h - what emitters of the nn ops do not take ----------------===//

#ifndef PEER_LOWERING_GPU_NN_REJECT_H
#define PEER_LOWERING_GPU_NN_REJECT_H

#include "lowering/gpu/Emitters.h"

namespace peer::device {

/// Whether row lengths are known: then lanes have work of equal length.
template <typename OpTy>
const char *rejectDynamicRows(OpTy op) {
  return mlir::cast<mlir::MemRefType>(getOutputAt(op, 0).getType()).isDynamicDim(1) ? "has rows of dynamic length"
                                                                                    : nullptr;
}

template <typename OpTy>
const char *rejectDynamicColumns(OpTy op) {
  return mlir::cast<mlir::MemRefType>(op->getOperand(0).getType()).isDynamicDim(1) ? "has rows of dynamic length"
                                                                                   : nullptr;
}

} // namespace peer::device

#endif // PEER_LOWERING_GPU_NN_REJECT_H
