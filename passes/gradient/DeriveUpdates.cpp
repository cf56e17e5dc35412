//===- DeriveUpdates.cpp - steps of pools from pairs that are given ------===//

#include "passes/Entries.h"
#include "passes/Passes.h"

#include "dialect/Names.h"
#include "dialect/Nearest.h"

using namespace mlir;
using namespace peer;

namespace peer {
#define GEN_PASS_DEF_DERIVEUPDATES
#include "passes/Passes.h.inc"
} // namespace peer

namespace {

/// A pool as the functions of a module read it.
struct Pool {
  func::FuncOp function;
  unsigned argument;
  /// Of the pairs: heads and selections of a token, and rows of an expert.
  int64_t heads, selected, rows;
};

/// The functions' reads of the pool that `request` names. Where they select differently, one row of the longest
/// selection holds a token's pairs of any of them: -1 selects nothing.
FailureOr<Pool> findPool(UpdateRowsOp request) {
  std::optional<Pool> pool;
  std::vector<std::string> known;
  bool isParameter = false;
  for (func::FuncOp function : request->getParentOfType<ModuleOp>().getOps<func::FuncOp>()) {
    for (unsigned i = 0; i < function.getNumArguments() && !function.isExternal(); ++i) {
      ParameterAttr parameter = getParameter(function, i);
      if (!parameter)
        continue;
      known.push_back(getArgumentName(function, i).str());
      if (known.back() != request.getPool())
        continue;
      isParameter = true;
      for (Operation *user : function.getArgument(i).getUsers()) {
        auto mix = dyn_cast<MixLikeOpInterface>(user);
        if (!mix || mix.getPool() != function.getArgument(i))
          continue;
        if (!parameter.getTrainable())
          return request.emitOpError() << "cannot update " << quote(request.getPool()) << ", which is "
                                       << (parameter.getFrozen() ? "frozen" : "not trained");
        auto idx = cast<ShapedType>(mix.getIdx().getType());
        Pool found = {function, i, idx.getDimSize(1), idx.getDimSize(2), int64_t(mix.getRowsPerExpert())};
        if (!pool)
          pool = found;
        if (found.rows != pool->rows)
          return request.emitOpError() << "cannot update " << quote(request.getPool())
                                       << " from pairs of all its uses, whose experts have " << pool->rows << " and "
                                       << found.rows << " rows; give both the same rows_per_expert";
        if (found.heads != pool->heads || found.selected != pool->selected) {
          pool->selected = std::max(pool->heads * pool->selected, found.heads * found.selected);
          pool->heads = 1;
        }
      }
    }
  }
  if (!isParameter) {
    llvm::sort(known);
    SmallVector<StringRef> names(known.begin(), llvm::unique(known));
    return request.emitOpError() << "updates " << quote(request.getPool())
                                 << ", which no function of this module has for a parameter"
                                 << didYouMean(request.getPool(), names);
  }
  if (!pool)
    return request.emitOpError()
           << "updates " << quote(request.getPool())
           << " row by row, but no op selects rows of it; a gradient of the whole is what there is";
  return *pool;
}

/// Builds an entry that takes pairs.
class PairsEntry {
public:
  PairsEntry(UpdateRowsOp request, Pool pool, StringRef name, StringRef kind)
      : request(request), pool(pool), entry(request, name, kind, ""), builder(entry.builder), loc(request.getLoc()) {
    type = cast<RankedTensorType>(pool.function.getArgument(pool.argument).getType());
    int64_t d = type.getDimSize(2), any = ShapedType::kDynamic;
    Type f32 = builder.getF32Type();
    idx = add(format::pairs::kIdx, {any, pool.heads, pool.selected}, builder.getI32Type());
    coef = add(format::pairs::kCoef, {any, pool.heads, pool.selected, pool.rows, type.getDimSize(1)}, f32);
    x = add(format::pairs::kX, {any, d}, f32);
    dy = add(format::pairs::kDy, {any, d}, f32);
    sorted = SortPairsOp::create(builder, loc, idx, type.getDimSize(0) / pool.rows, ValueRange());
  }
  LogicalResult buildUpdate();
  LogicalResult buildNorm();

private:
  Value add(StringRef part, ArrayRef<int64_t> shape, Type element) {
    std::string name = (request.getPool() + "." + part).str();
    described.push_back(builder.getNamedAttr(part, builder.getStringAttr(name)));
    return entry.addArgument(RankedTensorType::get(shape, element), loc, name, role::kInput);
  }
  LogicalResult finish() {
    FailureOr<func::FuncOp> finished = entry.finish();
    if (failed(finished))
      return failure();
    described.push_back(builder.getNamedAttr(format::key::kOf, request.getPoolAttr()));
    (*finished)->setAttr(attrs::kPairs, builder.getArrayAttr(builder.getDictionaryAttr(described)));
    return success();
  }

  UpdateRowsOp request;
  Pool pool;
  EntryBuilder entry;
  OpBuilder &builder;
  Location loc;
  RankedTensorType type;
  Value idx, coef, x, dy;
  SortPairsOp sorted;
  SmallVector<NamedAttribute> described;
};

LogicalResult PairsEntry::buildNorm() {
  auto norm = PoolGradNormOp::create(builder, loc, idx, sorted.getOrder(), sorted.getStarts(), sorted.getCount(), coef,
                                     x, dy, ValueRange());
  entry.addResult(norm.getSquares(), format::name::kSquares);
  return finish();
}

LogicalResult PairsEntry::buildUpdate() {
  StringRef name = request.getPool();
  OptimizerAttrInterface optimizer = request.getOptimizer();
  BlockArgument parameter = entry.addArgumentLike(pool.function, pool.argument);
  SmallVector<BlockArgument> states;
  SmallVector<OptimizerState> kinds = optimizer.getStates(type.getShape());
  for (const OptimizerState &state : kinds)
    states.push_back(entry.addArgument(RankedTensorType::get(state.shape, state.element), loc,
                                       (name + "." + state.name).str(), role::kState));
  auto scalar = RankedTensorType::get({}, builder.getF32Type());
  StringRef group = getParameter(pool.function, pool.argument).getGroup();
  Value rate = entry.addArgument(scalar, loc, (format::name::kLearningRateOf + group).str(), role::kScalar);
  Value step = entry.addArgument(scalar, loc, format::name::kStep, role::kScalar);
  Value scale = entry.addArgument(scalar, loc, format::name::kScale, role::kScalar);
  SmallVector<Value> kept(states.begin(), states.end());
  auto update = RowUpdateOp::create(builder, loc, parameter, idx, sorted.getOrder(), sorted.getStarts(),
                                    sorted.getCount(), coef, x, dy, rate, step, scale, optimizer, kept);
  entry.addResult(update.getResults().front(), name, parameter);
  for (auto [state, argument, value] : llvm::zip_equal(kinds, states, update.getResults().drop_front()))
    entry.addResult(value, (name + "." + state.name).str(), argument);
  return finish();
}

struct DeriveUpdatesPass : peer::impl::DeriveUpdatesBase<DeriveUpdatesPass> {
  void runOnOperation() override {
    for (UpdateRowsOp request : llvm::make_early_inc_range(getOperation().getOps<UpdateRowsOp>())) {
      FailureOr<Pool> pool = findPool(request);
      if (failed(pool) || failed(PairsEntry(request, *pool, request.getSymName(), kind::kRowUpdate).buildUpdate()))
        return signalPassFailure();
      if (request.getNorm() && failed(PairsEntry(request, *pool, *request.getNorm(), kind::kRowNorm).buildNorm()))
        return signalPassFailure();
      request.erase();
    }
  }
};

} // namespace
