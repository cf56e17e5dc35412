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
    auto choose = [&](Operation *op, int64_t rowsPerExpert) {
      if (std::optional<int64_t> from = chooseGroupFrom(rowsPerExpert, form))
        op->setAttr(attrs::kGroupFrom, IntegerAttr::get(IntegerType::get(&getContext(), 64), *from));
    };
    getOperation().walk([&](Operation *op) {
      if (auto mix = dyn_cast<MixLikeOpInterface>(op))
        choose(op, int64_t(mix.getRowsPerExpert()));
      else if (auto rows = dyn_cast<RowGradOpInterface>(op))
        choose(op, cast<ShapedType>(rows.getCoef().getType()).getDimSize(3));
    });
  }
};
} // namespace
