//===- ChooseMixForms.cpp - which ops take their pairs by expert ---------===//

#include "Passes.h"
#include "dialect/PeerOps.h"

namespace peer {
#define GEN_PASS_DEF_CHOOSEMIXFORMS
#include "LoweringPasses.h.inc"
} // namespace peer

using namespace mlir;
using namespace peer;

namespace {
struct ChooseMixFormsPass : peer::impl::ChooseMixFormsBase<ChooseMixFormsPass> {
  using ChooseMixFormsBase::ChooseMixFormsBase;
  void runOnOperation() override {
    auto set = [](Operation *op, StringRef name, int64_t value) {
      op->setAttr(name, IntegerAttr::get(IntegerType::get(op->getContext(), 64), value));
    };
    auto choose = [&](Operation *op, int64_t rowsPerExpert) {
      if (std::optional<int64_t> from = chooseGroupFrom(rowsPerExpert, form))
        set(op, attrs::kGroupFrom, *from);
    };
    getOperation().walk([&](Operation *op) {
      if (auto mix = dyn_cast<MixLikeOpInterface>(op))
        choose(op, int64_t(mix.getRowsPerExpert()));
      if (auto rows = dyn_cast<RowGradOpInterface>(op)) {
        choose(op, cast<ShapedType>(rows.getCoef().getType()).getDimSize(3));
        if (auto sort = rows.getOrder().getDefiningOp<SortPairsOp>(); sort && op->hasAttr(attrs::kGroupFrom))
          set(op, attrs::kExperts, int64_t(sort.getNumExperts()));
      }
    });
  }
};
} // namespace
