//===- Bufferization.cpp - from value form to buffer form ----------------===//

#include "dialect/interfaces/Bufferization.h"

#include "dialect/interfaces/Destinations.h"
#include "dialect/interfaces/GraphOpModels.h"
#include "dialect/interfaces/IndexNotation.h"

#include "mlir/Dialect/Bufferization/IR/BufferizableOpInterface.h"

using namespace mlir;
using namespace mlir::bufferization;
using namespace peer;

/// Replaces the op by the same op on buffers, without results: each result
/// becomes the buffer that it was written to.
static LogicalResult bufferizeGraphOp(GraphOpInterface op, RewriterBase &rewriter, const BufferizationOptions &options,
                                      const BufferizationState &state) {
  if (lacksDestinations(op))
    return op.emitOpError("has no destinations; run --peer-to-destinations before bufferization");
  OpBuilder::InsertionGuard guard(rewriter);
  rewriter.setInsertionPoint(op);
  SmallVector<Value> buffers;
  for (Value operand : op->getOperands()) {
    if (!isa<TensorType>(operand.getType())) {
      buffers.push_back(operand);
      continue;
    }
    FailureOr<Value> buffer = getBuffer(rewriter, operand, options, state);
    if (failed(buffer))
      return op.emitOpError("has an operand without a buffer: ") << operand;
    buffers.push_back(*buffer);
  }
  SmallVector<Value> results;
  for (OpResult result : op->getResults())
    results.push_back(buffers[getDestination(op, result.getResultNumber())->getOperandNumber()]);
  OperationState bufferForm(op->getLoc(), op->getName(), buffers, TypeRange(), op->getAttrs());
  rewriter.create(bufferForm);
  replaceOpWithBufferizedValues(rewriter, op, results);
  return success();
}

namespace {
template <typename OpTy>
struct GraphOpBufferization : BufferizableOpInterface::ExternalModel<GraphOpBufferization<OpTy>, OpTy> {
  bool bufferizesToMemoryRead(Operation *op, OpOperand &operand, const AnalysisState &) const {
    return operand.getOperandNumber() < getNumInputs(cast<GraphOpInterface>(op));
  }

  bool bufferizesToMemoryWrite(Operation *op, OpOperand &operand, const AnalysisState &) const {
    return getWrittenOutput(cast<GraphOpInterface>(op), operand).has_value();
  }

  AliasingValueList getAliasingValues(Operation *op, OpOperand &operand, const AnalysisState &) const {
    std::optional<unsigned> output = getWrittenOutput(cast<GraphOpInterface>(op), operand);
    if (!output || *output >= op->getNumResults())
      return {};
    return {{op->getOpResult(*output), BufferRelation::Equivalent}};
  }

  LogicalResult bufferize(Operation *op, RewriterBase &rewriter, const BufferizationOptions &options,
                          BufferizationState &state) const {
    return bufferizeGraphOp(cast<GraphOpInterface>(op), rewriter, options, state);
  }
};
} // namespace

void peer::registerBufferizableOpInterfaceExternalModels(DialectRegistry &registry) {
  registry.addExtension(
      +[](MLIRContext *context, PeerDialect *) { detail::attachToGraphOps<GraphOpBufferization>(context); });
}
