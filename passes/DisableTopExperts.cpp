//===- DisableTopExperts.cpp - inference without each token's best experts ===//

#include "DisableTopExperts.h"
#include "Entries.h"

#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/IR/TypeUtilities.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace peer;

namespace peer {
#define GEN_PASS_DEF_DISABLETOPEXPERTS
#include "passes/DisableTopExperts.h.inc"
} // namespace peer

namespace {

bool isInference(func::FuncOp function) {
  auto given = function->getAttrOfType<StringAttr>(attrs::kKind);
  constexpr StringRef kinds[] = {kind::kForward, kind::kLoss, kind::kPrefill, kind::kDecode};
  return given && llvm::is_contained(kinds, given.getValue()) && !function.isExternal();
}

/// Why a token's best `count` experts cannot be left out of a selection; empty where they can.
std::string rejectDisabling(SelectOp select, int64_t count) {
  SelectPolicyAttrInterface policy = select.getPolicy();
  int64_t n = select.getNumKeys(), experts = policy.getNumExperts(n);
  if (policy.choosesTokens())
    return "lets experts choose tokens: a token has no best one to disable";
  // Where all may be selected, or fewer than there is room for, places can stay empty.
  bool fills = !policy.selectsAll() && !policy.hasVaryingCounts();
  int64_t kept = fills ? policy.getNumSelected(n) : 1;
  // Of a grid no more can be selected than a half has keys.
  int64_t most = policy.isGrid() ? n : experts;
  if (count <= most - kept)
    return "";
  return "selects " + std::to_string(kept) + (fills ? "" : " or more") + " of " + std::to_string(experts) + " experts" +
         (policy.isGrid() ? ", of which it can rank " + std::to_string(most) : "") + ": expected at most " +
         std::to_string(most - kept) + " to be disabled, got " + std::to_string(count);
}

/// Of the last dimension, `size` elements from `from` on.
Value takeLast(OpBuilder &b, Location loc, Value x, int64_t from, int64_t size) {
  SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(b, loc, x);
  SmallVector<OpFoldResult> offsets(sizes.size(), b.getIndexAttr(0)), steps(sizes.size(), b.getIndexAttr(1));
  offsets.back() = b.getIndexAttr(from);
  sizes.back() = b.getIndexAttr(size);
  return tensor::ExtractSliceOp::create(b, loc, x, offsets, sizes, steps);
}

/// The logits, with -inf in place of each head's best `count`. Ties go to the lowest index, so the best are those above the last of them in value, and
/// those as good and not behind it.
Value maskBest(OpBuilder &b, SelectOp select, int64_t count) {
  Location loc = select.getLoc();
  Value logits = select.getLogits();
  auto best = SelectOp::create(b, loc, logits, Value(), TopKPolicyAttr::get(b.getContext(), count), ValueRange());
  Value index = best.getIdx(), value = best.getVal();
  if (count > 1) {
    index = takeLast(b, loc, index, count - 1, 1);
    value = takeLast(b, loc, value, count - 1, 1);
  }
  auto type = cast<RankedTensorType>(logits.getType());
  Value init = tensor::EmptyOp::create(b, loc, tensor::getMixedSizes(b, loc, logits), type.getElementType());
  // The loops are t, h, p, j; p is 0 throughout.
  AffineMap all = b.getMultiDimIdentityMap(4);
  AffineMap head =
      AffineMap::get(4, 0, {b.getAffineDimExpr(0), b.getAffineDimExpr(1), b.getAffineDimExpr(2)}, b.getContext());
  auto body = [&](OpBuilder &in, Location loc, ValueRange args) {
    Value at = arith::IndexCastOp::create(in, loc, in.getI32Type(), linalg::IndexOp::create(in, loc, 3));
    Value better = arith::CmpFOp::create(in, loc, arith::CmpFPredicate::OGT, args[0], args[1]);
    Value equal = arith::CmpFOp::create(in, loc, arith::CmpFPredicate::OEQ, args[0], args[1]);
    Value before = arith::CmpIOp::create(in, loc, arith::CmpIPredicate::sle, at, args[2]);
    Value disabled = arith::OrIOp::create(in, loc, better, arith::AndIOp::create(in, loc, equal, before));
    Value nothing = arith::ConstantOp::create(in, loc, in.getF32FloatAttr(-std::numeric_limits<float>::infinity()));
    linalg::YieldOp::create(in, loc, Value(arith::SelectOp::create(in, loc, disabled, nothing, args[0])));
  };
  return linalg::GenericOp::create(b, loc, TypeRange{type}, ValueRange{logits, value, index}, ValueRange{init},
                                   SmallVector<AffineMap>{all, head, head, all},
                                   SmallVector<utils::IteratorType>(4, utils::IteratorType::parallel), body)
      .getResult(0);
}

void disableBest(SelectOp select, int64_t count) {
  OpBuilder b(select);
  auto product = dyn_cast<ProductTopKPolicyAttr>(select.getPolicy());
  if (!product) {
    Value masked = maskBest(b, select, count);
    select.getLogitsMutable().assign(masked);
    return;
  }
  // A pair of a grid has no logit of its own: rank more, and leave the first ones out.
  auto more = SelectOp::create(b, select.getLoc(), select.getLogits(), Value(),
                               ProductTopKPolicyAttr::get(b.getContext(), product.getK() + count), ValueRange());
  for (auto [from, to] : llvm::zip_equal(more.getResults(), select.getResults()))
    to.replaceAllUsesWith(takeLast(b, select.getLoc(), from, count, product.getK()));
  select.erase();
}

/// The op that says which experts they are where no selection does and they are no constants, as those that all tokens share; else null.
Operation *findOtherOrigin(Operation *user, Value idx) {
  SetVector<std::pair<Operation *, Value>> reached;
  reached.insert({user, idx});
  for (size_t i = 0; i < reached.size(); ++i) {
    auto [reader, value] = reached[i];
    Operation *op = value.getDefiningOp();
    if (!op)
      return reader;
    if (isa<SelectionOpInterface>(op))
      continue;
    bool readsFloats = false, readsIntegers = false;
    for (Value operand : op->getOperands()) {
      Type element = getElementTypeOrSelf(operand.getType());
      readsFloats |= isa<FloatType>(element);
      if (isa<IntegerType>(element)) {
        readsIntegers = true;
        reached.insert({op, operand});
      }
    }
    if (readsFloats && !readsIntegers)
      return op;
  }
  return nullptr;
}

struct DisableTopExperts : peer::impl::DisableTopExpertsBase<DisableTopExperts> {
  using DisableTopExpertsBase::DisableTopExpertsBase;

  void runOnOperation() override {
    if (count < 1) {
      getOperation().emitError() << "count is " << count << ", expected 1 at least";
      return signalPassFailure();
    }
    bool any = false;
    Operation *blamed = getOperation();
    for (func::FuncOp function : getOperation().getOps<func::FuncOp>())
      if (isInference(function)) {
        WalkResult result = function.walk(
            [&](Operation *op) { return failed(check(op)) ? WalkResult::interrupt() : WalkResult::advance(); });
        if (result.wasInterrupted())
          return signalPassFailure();
        SmallVector<SelectOp> selects(function.getOps<SelectOp>());
        for (SelectOp select : selects)
          disableBest(select, count);
        any |= !selects.empty();
        blamed = function;
      }
    if (any)
      return;
    blamed->emitError() << "the model selects no experts by scores: there are no best ones to disable";
    signalPassFailure();
  }

  LogicalResult check(Operation *op) {
    if (auto select = dyn_cast<SelectOp>(op)) {
      std::string reason = rejectDisabling(select, count);
      return reason.empty() ? success() : LogicalResult(op->emitError() << "op '" << op->getName() << "' " << reason);
    }
    auto mix = dyn_cast<MixLikeOpInterface>(op);
    Operation *origin = mix ? findOtherOrigin(op, mix.getIdx()) : nullptr;
    if (!origin)
      return success();
    return origin->emitError() << "op '" << origin->getName()
                               << "' gives experts without scores: a token has no next best ones to take the place of "
                                  "those that are disabled";
  }
};

} // namespace
