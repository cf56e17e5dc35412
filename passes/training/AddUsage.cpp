//===- AddUsage.cpp - entries count which experts are used ---------------===//

#include "passes/Checks.h"
#include "passes/Entries.h"
#include "passes/Passes.h"

#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;
using namespace peer;

namespace peer {
#define GEN_PASS_DEF_ADDUSAGE
#include "passes/Passes.h.inc"
} // namespace peer

namespace {

/// One histogram of a function: the argument, and its value after the mixes so far.
struct Histogram {
  unsigned argument;
  Value mass;
};

/// The histogram of a mix's pool, added to the function on first use.
Histogram &findHistogram(func::FuncOp function, MixLikeOpInterface mix, ParameterAttr pool,
                         llvm::MapVector<Value, Histogram> &histograms) {
  auto [it, isNew] = histograms.try_emplace(mix.getPool());
  if (!isNew)
    return it->second;
  Builder builder(function);
  SmallVector<NamedAttribute> attributes = {builder.getNamedAttr(attrs::kName, pool.getName()),
                                            builder.getNamedAttr(attrs::kRole, builder.getStringAttr(role::kUsage))};
  // The picture of a product-key layer is its grid of key pairs.
  auto selection = mix.getIdx().getDefiningOp<SelectionOpInterface>();
  if (selection && selection.isGrid()) {
    int64_t side = selection.getNumKeys();
    attributes.push_back(builder.getNamedAttr(attrs::kGrid, builder.getI64ArrayAttr({side, side})));
  }
  unsigned index = function.getNumArguments();
  auto type = RankedTensorType::get({mix.getNumExperts()}, builder.getF64Type());
  (void)function.insertArgument(index, type, builder.getDictionaryAttr(attributes), mix.getLoc());
  it->second = {index, function.getArgument(index)};
  return it->second;
}

/// Counts at `builder`; where a step may be vetoed, by a `scale` that is NaN, only what is not.
LogicalResult countSelected(func::FuncOp function, MixLikeOpInterface mix, OpBuilder &builder, Value scale,
                            llvm::MapVector<Value, Histogram> &histograms) {
  auto pool = dyn_cast<BlockArgument>(mix.getPool());
  ParameterAttr parameter = pool ? getParameter(function, pool.getArgNumber()) : ParameterAttr();
  if (mix.getNumExperts() <= 1 || !parameter)
    return success();
  Histogram &histogram = findHistogram(function, mix, parameter, histograms);
  if (int64_t counted = cast<ShapedType>(histogram.mass.getType()).getDimSize(0); counted != mix.getNumExperts()) {
    InFlightDiagnostic diag = mix->emitError() << "op '" << mix->getName() << "' has a pool of " << mix.getNumExperts()
                                               << " experts, which is one of " << counted
                                               << " before; give both the same rows_per_expert";
    diag.attachNote(function.getArgument(histogram.argument).getLoc()) << "it was used before here";
    return diag;
  }
  Value weights = scale ? zeroIfVetoed(builder, mix.getLoc(), mix.getWeights(), scale) : mix.getWeights();
  histogram.mass =
      UsageOp::create(builder, mix.getLoc(), mix.getIdx(), weights, histogram.mass, ValueRange()).getTotal();
  return success();
}

/// What vetoes a training step; null for other entries.
Value findScale(func::FuncOp function) {
  for (Operation &op : function.getBody().front())
    if (auto update = dyn_cast<UpdateOpInterface>(op))
      return update.getScaleMutable().get();
  return {};
}

LogicalResult addUsage(func::FuncOp function) {
  llvm::MapVector<Value, Histogram> histograms;
  Operation *terminator = function.getBody().front().getTerminator();
  Value scale = findScale(function);
  OpBuilder builder(terminator);
  for (Operation &op : llvm::make_early_inc_range(function.getBody().front().without_terminator())) {
    if (!scale)
      builder.setInsertionPointAfter(&op);
    // A gradient mixes again what was counted.
    auto mix = dyn_cast<MixLikeOpInterface>(op);
    if (mix && isa<DifferentiableOpInterface>(op) && failed(countSelected(function, mix, builder, scale, histograms)))
      return failure();
  }

  for (auto &[pool, histogram] : histograms) {
    SmallVector<NamedAttribute> attributes = {
        builder.getNamedAttr(attrs::kName, function.getArgAttr(histogram.argument, attrs::kName)),
        builder.getNamedAttr(attrs::kUpdates, builder.getI64IntegerAttr(histogram.argument))};
    (void)function.insertResult(function.getNumResults(), histogram.mass.getType(),
                                builder.getDictionaryAttr(attributes));
    terminator->insertOperands(terminator->getNumOperands(), histogram.mass);
  }
  if (!histograms.empty())
    describeEntry(function);
  return success();
}

struct AddUsagePass : peer::impl::AddUsageBase<AddUsagePass> {
  void runOnOperation() override {
    for (func::FuncOp function : getOperation().getOps<func::FuncOp>()) {
      auto kind = function->getAttrOfType<StringAttr>(attrs::kKind);
      bool counts = kind && llvm::is_contained({kind::kLoss, kind::kTrain, kind::kAccumulate}, kind.getValue());
      if (counts && !function.isExternal() && function.getBody().hasOneBlock() && failed(addUsage(function)))
        return signalPassFailure();
    }
  }
};

} // namespace
