//===- AddUsage.cpp - entries count which experts are used ---------------===//

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

void countSelected(func::FuncOp function, MixLikeOpInterface mix, llvm::MapVector<Value, Histogram> &histograms) {
  auto pool = dyn_cast<BlockArgument>(mix.getPool());
  ParameterAttr parameter = pool ? getParameter(function, pool.getArgNumber()) : ParameterAttr();
  if (mix.getNumExperts() <= 1 || !parameter)
    return;
  Histogram &histogram = findHistogram(function, mix, parameter, histograms);
  OpBuilder builder(mix->getContext());
  builder.setInsertionPointAfter(mix);
  histogram.mass =
      UsageOp::create(builder, mix.getLoc(), mix.getIdx(), mix.getWeights(), histogram.mass, ValueRange()).getTotal();
}

void addUsage(func::FuncOp function) {
  llvm::MapVector<Value, Histogram> histograms;
  for (Operation &op : llvm::make_early_inc_range(function.getBody().front())) {
    // A gradient mixes again what was counted.
    auto mix = dyn_cast<MixLikeOpInterface>(op);
    if (mix && isa<DifferentiableOpInterface>(op))
      countSelected(function, mix, histograms);
  }

  Builder builder(function);
  Operation *terminator = function.getBody().front().getTerminator();
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
}

struct AddUsagePass : peer::impl::AddUsageBase<AddUsagePass> {
  void runOnOperation() override {
    for (func::FuncOp function : getOperation().getOps<func::FuncOp>()) {
      auto kind = function->getAttrOfType<StringAttr>(attrs::kKind);
      bool counts = kind && llvm::is_contained({kind::kLoss, kind::kTrain, kind::kAccumulate}, kind.getValue());
      if (counts && !function.isExternal() && function.getBody().hasOneBlock())
        addUsage(function);
    }
  }
};

} // namespace
