//===- MemoryEffects.h - what graph ops read and write -------------------===//

#ifndef PEER_DIALECT_INTERFACES_MEMORYEFFECTS_H
#define PEER_DIALECT_INTERFACES_MEMORYEFFECTS_H

#include "mlir/IR/OpDefinition.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace peer {

using EffectInstances = llvm::SmallVectorImpl<mlir::SideEffects::EffectInstance<mlir::MemoryEffects::Effect>>;

/// Effects of a graph op: none on tensors; in buffer form inputs are read, outs
/// written, and tied inputs read and written.
void getGraphOpEffects(mlir::Operation *op, EffectInstances &effects);

/// The trait that answers MemoryEffectOpInterface for a graph op.
template <typename Op>
class GraphOpEffects : public mlir::OpTrait::TraitBase<Op, GraphOpEffects> {
public:
  void getEffects(EffectInstances &effects) { getGraphOpEffects(this->getOperation(), effects); }
};

} // namespace peer

#endif // PEER_DIALECT_INTERFACES_MEMORYEFFECTS_H
