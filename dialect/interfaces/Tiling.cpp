//===- Tiling.cpp - tiling and shape reification of graph ops ------------===//
//
// All of it is read off the index notation: which slice of each operand a tile
// of the loops reads, and which slice of each result it computes.
//
//===----------------------------------------------------------------------===//

#include "dialect/interfaces/Tiling.h"

#include "dialect/interfaces/Destinations.h"
#include "dialect/interfaces/GraphOpModels.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/Interfaces/TilingInterface.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace peer;

using OffsetsAndSizes = std::pair<SmallVector<OpFoldResult>, SmallVector<OpFoldResult>>;

OpFoldResult peer::scaleIndex(OpBuilder &builder, Location loc, OpFoldResult index, int64_t scale) {
  if (scale == 1)
    return index;
  return affine::makeComposedFoldedAffineApply(builder, loc, builder.getAffineSymbolExpr(0) * scale, {index});
}

OpFoldResult peer::getLoopSize(OpBuilder &builder, GraphOpInterface op, const IndexLoop &loop) {
  OpFoldResult size = getTensorDim(builder, op->getLoc(), op->getOperand(loop.input), loop.dim);
  if (loop.scale == 1)
    return size;
  return affine::makeComposedFoldedAffineApply(builder, op->getLoc(),
                                               builder.getAffineSymbolExpr(0).floorDiv(loop.scale), {size});
}

/// The loops that may be tiled. An op that updates an input in place offers
/// none: the input would have to be the loop's destination, which the tiling
/// driver cannot be told.
static SmallVector<unsigned> getOfferedLoops(GraphOpInterface op, const IndexNotation &notation) {
  // A reshape keeps its result type in an attribute and costs nothing: it stays whole.
  if (op.isView())
    return {};
  for (unsigned output = 0, end = op->getNumResults(); output < end; ++output)
    if (op.getTiedInput(output))
      return {};
  return notation.tileableLoops();
}

/// The part of `tensor`, walked as `dims`, that belongs to the tile of the loops.
static OffsetsAndSizes getSlice(OpBuilder &builder, Location loc, const IndexNotation &notation, const IndexDims &dims,
                                Value tensor, ArrayRef<OpFoldResult> loopOffsets, ArrayRef<OpFoldResult> loopSizes) {
  SmallVector<unsigned> tileable = notation.tileableLoops();
  auto type = cast<RankedTensorType>(tensor.getType());
  OffsetsAndSizes slice;
  for (auto [position, dim] : llvm::enumerate(dims)) {
    if (notation.isWhole(dim, type.getDimSize(position))) {
      slice.first.push_back(builder.getIndexAttr(0));
      slice.second.push_back(getTensorDim(builder, loc, tensor, position));
      continue;
    }
    unsigned loop = llvm::find(tileable, unsigned(dim.loop)) - tileable.begin();
    slice.first.push_back(scaleIndex(builder, loc, loopOffsets[loop], dim.scale));
    slice.second.push_back(scaleIndex(builder, loc, loopSizes[loop], dim.scale));
  }
  return slice;
}

/// Extracts the part of `tensor` that belongs to the tile; the tensor itself where
/// all its dimensions are whole.
static Value extractTile(OpBuilder &builder, Location loc, const IndexNotation &notation, const IndexDims &dims,
                         Value tensor, ArrayRef<OpFoldResult> loopOffsets, ArrayRef<OpFoldResult> loopSizes,
                         SmallVectorImpl<Operation *> &generatedSlices) {
  auto type = cast<RankedTensorType>(tensor.getType());
  bool whole = llvm::all_of(llvm::enumerate(dims),
                            [&](auto dim) { return notation.isWhole(dim.value(), type.getDimSize(dim.index())); });
  if (whole)
    return tensor;
  auto [offsets, sizes] = getSlice(builder, loc, notation, dims, tensor, loopOffsets, loopSizes);
  SmallVector<OpFoldResult> strides(offsets.size(), builder.getIndexAttr(1));
  auto slice = tensor::ExtractSliceOp::create(builder, loc, tensor, offsets, sizes, strides);
  generatedSlices.push_back(slice);
  return slice;
}

/// A tile of attention holds some of the heads, each as wide as before.
static void setHeadsOfTile(GraphOpInterface whole, Operation *tiled) {
  llvm::TypeSwitch<Operation *>(tiled).Case<AttentionOp, AttentionGradOp>([&](auto tile) {
    auto columns = [](auto op) { return cast<ShapedType>(op.getQuery().getType()).getDimSize(1); };
    auto op = cast<decltype(tile)>(whole.getOperation());
    if (!ShapedType::isDynamic(columns(tile)))
      tile.setHeads(columns(tile) / (columns(op) / op.getHeads()));
  });
}

/// The op on the tile's slices, its result types inferred again.
static FailureOr<TilingResult> createTile(OpBuilder &builder, GraphOpInterface op, ArrayRef<OpFoldResult> offsets,
                                          ArrayRef<OpFoldResult> sizes) {
  if (op->getNumResults() == 0)
    return op.emitOpError("in buffer form cannot be tiled");
  Location loc = op->getLoc();
  IndexNotation notation = IndexNotation::of(op);
  TilingResult tile;
  SmallVector<Value> operands;
  for (auto [dims, input] : llvm::zip(notation.inputs, op->getOperands()))
    operands.push_back(extractTile(builder, loc, notation, dims, input, offsets, sizes, tile.generatedSlices));
  if (!op.getOutsMutable().empty())
    for (auto [output, dims] : llvm::enumerate(notation.outputs))
      if (!op.getTiedInput(output))
        operands.push_back(extractTile(builder, loc, notation, dims, getDestination(op, output)->get(), offsets, sizes,
                                       tile.generatedSlices));
  // The result types are those of the whole op until the tile's attributes say what they are.
  OperationState state(loc, op->getName(), operands, op->getResultTypes(), op->getAttrs());
  Operation *tiled = builder.create(state);
  setHeadsOfTile(op, tiled);
  SmallVector<Type> types;
  if (failed(cast<InferTypeOpInterface>(tiled).inferReturnTypes(
          op->getContext(), loc, operands, tiled->getDiscardableAttrDictionary(), tiled->getPropertiesStorage(),
          tiled->getRegions(), types)))
    return op.emitOpError("has no result types for a tile of its operands");
  for (auto [result, type] : llvm::zip(tiled->getResults(), types))
    result.setType(type);
  tile.tiledOps.push_back(tiled);
  llvm::append_range(tile.tiledValues, tiled->getResults());
  return tile;
}

/// Whether a slice of `tensor` takes dimension `dim` from end to end. Where that cannot be
/// seen (a dynamic size), it does not.
static bool takesAll(Value tensor, unsigned dim, OpFoldResult offset, OpFoldResult size) {
  int64_t staticSize = cast<RankedTensorType>(tensor.getType()).getDimSize(dim);
  return isZeroInteger(offset) && !ShapedType::isDynamic(staticSize) && isConstantIntValue(size, staticSize);
}

/// Whether the tile of the loops that belongs to a slice of `tensor` is known: whole dimensions
/// taken whole, and loops that step one element at a time.
static bool hasTileOf(const IndexNotation &notation, const IndexDims &dims, Value tensor,
                      ArrayRef<OpFoldResult> offsets, ArrayRef<OpFoldResult> sizes) {
  auto type = cast<RankedTensorType>(tensor.getType());
  for (auto [position, dim] : llvm::enumerate(dims)) {
    bool whole = notation.isWhole(dim, type.getDimSize(position));
    if (whole ? !takesAll(tensor, position, offsets[position], sizes[position]) : dim.scale != 1)
      return false;
  }
  return true;
}

/// The tile of the loops that belongs to a slice of `tensor`. Loops that do not walk it run whole.
static LogicalResult getLoopTile(OpBuilder &builder, GraphOpInterface op, const IndexNotation &notation,
                                 const IndexDims &dims, Value tensor, ArrayRef<OpFoldResult> offsets,
                                 ArrayRef<OpFoldResult> sizes, SmallVectorImpl<OpFoldResult> &loopOffsets,
                                 SmallVectorImpl<OpFoldResult> &loopSizes) {
  if (!hasTileOf(notation, dims, tensor, offsets, sizes))
    return failure();
  auto type = cast<RankedTensorType>(tensor.getType());
  for (unsigned loop : notation.tileableLoops()) {
    auto *dim = llvm::find_if(dims, [&](const IndexDim &d) {
      return d.loop == int(loop) && !notation.isWhole(d, type.getDimSize(&d - dims.begin()));
    });
    if (dim == dims.end()) {
      loopOffsets.push_back(builder.getIndexAttr(0));
      loopSizes.push_back(getLoopSize(builder, op, notation.loops[loop]));
      continue;
    }
    loopOffsets.push_back(offsets[dim - dims.begin()]);
    loopSizes.push_back(sizes[dim - dims.begin()]);
  }
  return success();
}

namespace {
template <typename OpTy>
struct GraphOpTiling : TilingInterface::ExternalModel<GraphOpTiling<OpTy>, OpTy> {
  SmallVector<utils::IteratorType> getLoopIteratorTypes(Operation *op) const {
    auto graphOp = cast<GraphOpInterface>(op);
    size_t loops = getOfferedLoops(graphOp, IndexNotation::of(graphOp)).size();
    return SmallVector<utils::IteratorType>(loops, utils::IteratorType::parallel);
  }

  SmallVector<Range> getIterationDomain(Operation *op, OpBuilder &builder) const {
    auto graphOp = cast<GraphOpInterface>(op);
    IndexNotation notation = IndexNotation::of(graphOp);
    SmallVector<Range> domain;
    for (unsigned loop : getOfferedLoops(graphOp, notation))
      domain.push_back(
          {builder.getIndexAttr(0), getLoopSize(builder, graphOp, notation.loops[loop]), builder.getIndexAttr(1)});
    return domain;
  }

  FailureOr<TilingResult> getTiledImplementation(Operation *op, OpBuilder &builder, ArrayRef<OpFoldResult> offsets,
                                                 ArrayRef<OpFoldResult> sizes) const {
    return createTile(builder, cast<GraphOpInterface>(op), offsets, sizes);
  }

  LogicalResult getResultTilePosition(Operation *op, OpBuilder &builder, unsigned resultNumber,
                                      ArrayRef<OpFoldResult> offsets, ArrayRef<OpFoldResult> sizes,
                                      SmallVector<OpFoldResult> &resultOffsets,
                                      SmallVector<OpFoldResult> &resultSizes) const {
    IndexNotation notation = IndexNotation::of(cast<GraphOpInterface>(op));
    std::tie(resultOffsets, resultSizes) = getSlice(builder, op->getLoc(), notation, notation.outputs[resultNumber],
                                                    op->getResult(resultNumber), offsets, sizes);
    return success();
  }

  FailureOr<TilingResult> generateResultTileValue(Operation *op, OpBuilder &builder, unsigned resultNumber,
                                                  ArrayRef<OpFoldResult> offsets, ArrayRef<OpFoldResult> sizes) const {
    SmallVector<OpFoldResult> loopOffsets, loopSizes;
    if (failed(getIterationDomainTileFromResultTile(op, builder, resultNumber, offsets, sizes, loopOffsets, loopSizes)))
      return failure();
    FailureOr<TilingResult> tile = createTile(builder, cast<GraphOpInterface>(op), loopOffsets, loopSizes);
    if (failed(tile))
      return failure();
    // The driver wants the one value that was asked for.
    tile->tiledValues = {tile->tiledValues[resultNumber]};
    return tile;
  }

  LogicalResult getIterationDomainTileFromResultTile(Operation *op, OpBuilder &builder, unsigned resultNumber,
                                                     ArrayRef<OpFoldResult> offsets, ArrayRef<OpFoldResult> sizes,
                                                     SmallVectorImpl<OpFoldResult> &loopOffsets,
                                                     SmallVectorImpl<OpFoldResult> &loopSizes) const {
    auto graphOp = cast<GraphOpInterface>(op);
    IndexNotation notation = IndexNotation::of(graphOp);
    return getLoopTile(builder, graphOp, notation, notation.outputs[resultNumber], op->getResult(resultNumber), offsets,
                       sizes, loopOffsets, loopSizes);
  }

  bool isOpFusableWithConsumerSlice(Operation *op, unsigned resultNumber, ArrayRef<OpFoldResult> offsets,
                                    ArrayRef<OpFoldResult> sizes) const {
    auto graphOp = cast<GraphOpInterface>(op);
    IndexNotation notation = IndexNotation::of(graphOp);
    return !getOfferedLoops(graphOp, notation).empty() &&
           hasTileOf(notation, notation.outputs[resultNumber], op->getResult(resultNumber), offsets, sizes);
  }

  FailureOr<TilingResult> getTiledImplementationFromOperandTiles(Operation *op, OpBuilder &builder,
                                                                 ArrayRef<unsigned> operands,
                                                                 ArrayRef<SmallVector<OpFoldResult>> offsets,
                                                                 ArrayRef<SmallVector<OpFoldResult>> sizes) const {
    SmallVector<OpFoldResult> loopOffsets, loopSizes;
    if (failed(getIterationDomainTileFromOperandTiles(op, builder, operands, offsets, sizes, loopOffsets, loopSizes)))
      return failure();
    return createTile(builder, cast<GraphOpInterface>(op), loopOffsets, loopSizes);
  }

  LogicalResult getIterationDomainTileFromOperandTiles(Operation *op, OpBuilder &builder, ArrayRef<unsigned> operands,
                                                       ArrayRef<SmallVector<OpFoldResult>> offsets,
                                                       ArrayRef<SmallVector<OpFoldResult>> sizes,
                                                       SmallVectorImpl<OpFoldResult> &loopOffsets,
                                                       SmallVectorImpl<OpFoldResult> &loopSizes) const {
    auto graphOp = cast<GraphOpInterface>(op);
    IndexNotation notation = IndexNotation::of(graphOp);
    // Several slices would have to agree on one tile; one is enough for all fusions that are made.
    if (operands.size() != 1 || operands.front() >= notation.inputs.size())
      return failure();
    return getLoopTile(builder, graphOp, notation, notation.inputs[operands.front()], op->getOperand(operands.front()),
                       offsets.front(), sizes.front(), loopOffsets, loopSizes);
  }

  bool isOpFusableWithProducerSlices(Operation *op, ArrayRef<unsigned> operands,
                                     ArrayRef<SmallVector<OpFoldResult>> offsets,
                                     ArrayRef<SmallVector<OpFoldResult>> sizes) const {
    auto graphOp = cast<GraphOpInterface>(op);
    IndexNotation notation = IndexNotation::of(graphOp);
    return operands.size() == 1 && operands.front() < notation.inputs.size() &&
           !getOfferedLoops(graphOp, notation).empty() &&
           hasTileOf(notation, notation.inputs[operands.front()], op->getOperand(operands.front()), offsets.front(),
                     sizes.front());
  }
};

template <typename OpTy>
struct GraphOpShapes : ReifyRankedShapedTypeOpInterface::ExternalModel<GraphOpShapes<OpTy>, OpTy> {
  LogicalResult reifyResultShapes(Operation *op, OpBuilder &builder, ReifiedRankedShapedTypeDims &shapes) const {
    auto graphOp = cast<GraphOpInterface>(op);
    IndexNotation notation = IndexNotation::of(graphOp);
    for (OpResult result : op->getResults()) {
      unsigned output = result.getResultNumber();
      auto type = cast<RankedTensorType>(result.getType());
      for (auto [position, dim] : llvm::enumerate(notation.outputs[output]))
        if (type.isDynamicDim(position) && dim.loop < 0 && !graphOp.getTiedInput(output))
          return failure();
      shapes.push_back(getOutputSizes(builder, graphOp, output));
    }
    return success();
  }
};
} // namespace

void peer::registerTilingExternalModels(DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *context, PeerDialect *) {
    context->loadDialect<affine::AffineDialect>();
    detail::attachToGraphOps<GraphOpTiling>(context);
    detail::attachToGraphOps<GraphOpShapes>(context);
  });
}
