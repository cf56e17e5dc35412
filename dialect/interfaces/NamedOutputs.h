//===- NamedOutputs.h - outputs of graph ops by name ---------------------===//

#ifndef PEER_DIALECT_INTERFACES_NAMEDOUTPUTS_H
#define PEER_DIALECT_INTERFACES_NAMEDOUTPUTS_H

#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"

namespace peer {

/// An output of a graph op by its position: a result in value form; in buffer form what it is written to, which is an input
/// where it is tied to one.
mlir::Value getOutputAt(mlir::Operation *op, unsigned position);

/// An output by its number in the op's definition; null where the op, which then has `hasOutput`, does not have it.
template <typename Op>
mlir::Value getOutput(Op op, unsigned number) {
  unsigned position = number;
  if constexpr (requires { op.hasOutput(number); }) {
    if (!op.hasOutput(number))
      return {};
    for (unsigned earlier = 0; earlier < number; ++earlier)
      position -= !op.hasOutput(earlier);
  }
  return getOutputAt(op, position);
}

/// What dumps call the results. Those beyond the last name, such as an update's states, belong to its group.
template <typename Op>
void nameOutputs(Op op, llvm::ArrayRef<llvm::StringRef> names, mlir::OpAsmSetValueNameFn setName) {
  if (op->getNumResults() == 0)
    return;
  for (auto [number, name] : llvm::enumerate(names))
    if (mlir::Value output = getOutput(op, number))
      setName(output, name);
}

/// The trait that declares the accessors (see PeerOpBase.td).
template <typename Op>
class NamedOutputs : public mlir::OpTrait::TraitBase<Op, NamedOutputs> {};

} // namespace peer

#endif // PEER_DIALECT_INTERFACES_NAMEDOUTPUTS_H
