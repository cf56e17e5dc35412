//===- IndexRanges.cpp - which operands are indices ----------------------===//
//
// Where -1 means that nothing was selected, it is in the range.
//
//===----------------------------------------------------------------------===//

#include "dialect/interfaces/IndexRanges.h"

#include "dialect/ops/Check.h"

#include "mlir/Interfaces/InferIntRangeInterface.h"

using namespace mlir;
using namespace peer;

#include "IndexRanges.cpp.inc"

// One rule per op that takes indices: which operand, and its range.
static std::pair<Value, IndexRange> rule(EmbeddingOp op) { return {op.getTokens(), {0, dimOf(op.getTable(), 0)}}; }
static std::pair<Value, IndexRange> rule(EmbeddingGradOp op) { return {op.getTokens(), {0, op.getRows()}}; }
static std::pair<Value, IndexRange> rule(CrossEntropyOp op) { return {op.getTargets(), {0, dimOf(op.getLogits(), 1)}}; }
static std::pair<Value, IndexRange> rule(CrossEntropyGradOp op) {
  return {op.getTargets(), {0, dimOf(op.getLogits(), 1)}};
}
template <typename Op>
  requires std::is_base_of_v<MixLikeOpInterface::Trait<Op>, Op>
static std::pair<Value, IndexRange> rule(Op op) {
  return {op.getIdx(), {-1, op.getNumExperts()}};
}
static std::pair<Value, IndexRange> rule(UsageOp op) { return {op.getIdx(), {-1, dimOf(op.getMass(), 0)}}; }
static std::pair<Value, IndexRange> rule(SelectGradOp op) {
  return {op.getIdx(), {-1, op.getPolicy().getNumExperts(op.getN())}};
}
static std::pair<Value, IndexRange> rule(RouteQueryGradOp op) {
  return {op.getIdx(), {-1, op.getPolicy().getNumExperts(dimOf(op.getKeys(), 2))}};
}
static std::pair<Value, IndexRange> rule(RouteKeyGradOp op) {
  return {op.getIdx(), {-1, op.getPolicy().getNumExperts(op.getN())}};
}
/// Experts that `halves` of n keys each number.
static int64_t countExperts(int64_t n, int64_t halves) { return halves == 2 ? n * n : n; }
static std::pair<Value, IndexRange> rule(ExpertLoadOp op) {
  return {op.getIdx(), {-1, countExperts(op.getKeys(), op.getHalves())}};
}
static std::pair<Value, IndexRange> rule(GatherOp op) {
  return {op.getIdx(), {-1, countExperts(dimOf(op.getLogits(), 3), dimOf(op.getLogits(), 2))}};
}
static std::pair<Value, IndexRange> rule(CapacityOp op) { return {op.getIdx(), {-1, int64_t(op.getExperts())}}; }
static std::pair<Value, IndexRange> rule(SortPairsOp op) { return {op.getIdx(), {-1, op.getNumExperts()}}; }
static std::pair<Value, IndexRange> rule(PoolGradOp op) {
  return {op.getIdx(), {-1, int64_t(op.getRows()) / dimOf(op.getCoef(), 3)}};
}
static std::pair<Value, IndexRange> rule(RowUpdateOp op) {
  return {op.getIdx(), {-1, dimOf(op.getPool(), 0) / dimOf(op.getCoef(), 3)}};
}
// Rows are written at (position + t) mod C; several at once must fit before the end, which a dynamic T leaves to run time.
static std::pair<Value, IndexRange> rule(CachedAttentionOp op) {
  int64_t tokens = dimOf(op.getQuery(), 0), capacity = dimOf(op.getKeyCache(), 0);
  bool several = !ShapedType::isDynamic(tokens) && tokens > 1;
  return {op.getPosition(),
          {0, several ? std::max<int64_t>(capacity - tokens + 1, 0) : std::numeric_limits<int32_t>::max()}};
}
// Rows and states of earlier tokens are found whatever the position is, but there is none before 0.
static std::pair<Value, IndexRange> rule(CachedCausalConvOp op) {
  return {op.getPosition(), {0, std::numeric_limits<int32_t>::max()}};
}
static std::pair<Value, IndexRange> rule(CachedSelectiveScanOp op) {
  return {op.getPosition(), {0, std::numeric_limits<int32_t>::max()}};
}

namespace {
template <typename Op>
struct Model : IndexingOpInterface::ExternalModel<Model<Op>, Op> {
  std::optional<IndexRange> getIndexRange(Operation *op, unsigned operand) const {
    auto [indices, range] = rule(cast<Op>(op));
    return op->getOperand(operand) == indices ? std::optional<IndexRange>(range) : std::nullopt;
  }
};

/// What the first result of an op numbers: from 0 or, where slots may be empty, from -1 to an expert below `experts`.
struct NumberedExperts {
  int64_t least, experts;
};
NumberedExperts numberedBy(SelectionOpInterface selection) {
  return {selection.getPolicy().hasEmptySlots() ? -1 : 0, selection.getNumExperts()};
}
NumberedExperts numberedBy(HashOp op) { return {0, int64_t(op.getExperts())}; }
NumberedExperts numberedBy(CapacityOp op) { return {-1, int64_t(op.getExperts())}; }

template <typename Op>
struct SelectedRange : InferIntRangeInterface::ExternalModel<SelectedRange<Op>, Op> {
  void inferResultRanges(Operation *op, ArrayRef<ConstantIntRanges>, SetIntRangeFn setRange) const {
    auto [least, experts] = numberedBy(cast<Op>(op));
    if (experts >= 1 && op->getNumResults() > 0)
      setRange(op->getResult(0),
               ConstantIntRanges::fromSigned(APInt(32, least, /*isSigned=*/true), APInt(32, experts - 1)));
  }
  // The default would ask the op itself, which an external model's op does not answer.
  void inferResultRangesFromOptional(Operation *op, ArrayRef<IntegerValueRange>, SetIntLatticeFn setRange) const {
    inferResultRanges(op, {}, [&](Value result, const ConstantIntRanges &range) { setRange(result, range); });
  }
};

template <typename Op>
void attachTo(MLIRContext *context) {
  if constexpr (requires(Op op) { rule(op); })
    Op::template attachInterface<Model<Op>>(*context);
  if constexpr (requires(Op op) { numberedBy(op); })
    Op::template attachInterface<SelectedRange<Op>>(*context);
}

template <typename... Ops>
void attachToEach(MLIRContext *context) {
  (attachTo<Ops>(context), ...);
}
} // namespace

void peer::attachIndexRanges(MLIRContext *context) {
  attachToEach<
#define GET_OP_LIST
#include "PeerOps.cpp.inc"
      >(context);
}

std::optional<int64_t> peer::countNumberedExperts(Value idx) {
  Operation *op = idx.getDefiningOp();
  auto ranges = dyn_cast_or_null<InferIntRangeInterface>(op);
  if (!ranges || !isa_and_nonnull<PeerDialect>(op->getDialect()) || op->getResult(0) != idx)
    return std::nullopt;
  std::optional<int64_t> count;
  ranges.inferResultRanges({}, [&](Value, const ConstantIntRanges &range) { count = range.smax().getSExtValue() + 1; });
  return count;
}

std::optional<IndexRange> peer::getIndexRange(OpOperand &operand) {
  auto op = dyn_cast<IndexingOpInterface>(operand.getOwner());
  return op ? op.getIndexRange(operand.getOperandNumber()) : std::nullopt;
}
