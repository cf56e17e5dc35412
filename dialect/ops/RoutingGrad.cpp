//===- RoutingGrad.cpp - constraints of the routing gradients and updates ===//

#include "dialect/Policies.h"
#include "dialect/ops/Check.h"

using namespace mlir;
using namespace peer;

//===----------------------------------------------------------------------===//
// Gradients of score, select and gate
//===----------------------------------------------------------------------===//

/// C3 of the ops that are told n.
static LogicalResult checkKeyCount(Check &check, int64_t n) {
  return check.require(3, n >= 1, "expected n of at least 1, got " + Twine(n));
}

/// C1 of the ops that take keys and gradients: keys of each head, or shared ones.
static LogicalResult checkKeyHeads(Check &check) {
  return check.require(1, check['G'] == 1 || check['G'] == check['H'],
                       "expected keys for " + Twine(check['H']) + " heads or for 1 shared by all, got " +
                           Twine(check['G']));
}

PEER_INFER(SelectGradOp) {
  Check check(loc, "select_grad");
  if (failed(check.shape(1, "idx", a.getIdx(), "T H K", Elements::I32)) ||
      failed(check.shape(1, "dval", a.getDval(), "T H K", Elements::F32)))
    return failure();
  SelectPolicyAttrInterface policy = a.getPolicy();
  std::string meaning = policy.rejectNumbers();
  if (failed(check.require(2, meaning.empty(), meaning)) || failed(checkKeyCount(check, a.getN())))
    return failure();
  check.bind('P', policy.getHalves());
  check.bind('n', a.getN());
  return finishInference(check, a.getOperands(), a.getOuts(), {check.tensor("T H P n", Float32Type::get(context))},
                         types);
}

std::string SelectGradOp::getIndexNotation() { return "t h ., t h . -> t h . ."; }

PEER_INFER(ScoreQueryGradOp) {
  Check check(loc, "score_query_grad");
  if (failed(check.shape(1, "dlogits", a.getDlogits(), "T H P n", Elements::F32)) ||
      failed(check.shape(1, "keys", a.getKeys(), "G P n d", Elements::F32OrBF16)) || failed(checkKeyHeads(check)))
    return failure();
  return finishInference(check, a.getOperands(), a.getOuts(), {check.tensor("T H P d", Float32Type::get(context))},
                         types);
}

std::string ScoreQueryGradOp::getIndexNotation() {
  return std::string("t h p ., ") + (dimOf(getKeys(), 0) == 1 ? "." : "h") + " p . . -> t h p .";
}

PEER_INFER(ScoreKeyGradOp) {
  Check check(loc, "score_key_grad");
  if (failed(check.shape(1, "dlogits", a.getDlogits(), "T H P n", Elements::F32)) ||
      failed(check.shape(1, "query", a.getQuery(), "T H P d", Elements::F32OrBF16)))
    return failure();
  check.bind('G', a.getShared() ? 1 : check['H']);
  return finishInference(check, a.getOperands(), a.getOuts(), {check.tensor("G P n d", Float32Type::get(context))},
                         types);
}

std::string ScoreKeyGradOp::getIndexNotation() {
  return getShared() ? "T . p n, T . p . -> . p n ." : "T h p n, T h p . -> h p n .";
}

/// C2 of route_query_grad and route_key_grad.
static LogicalResult checkRoutePolicy(Check &check, SelectPolicyAttrInterface policy) {
  int64_t halves = policy.getHalves();
  StringRef name = policy.getPolicyName();
  std::string meaning = policy.rejectNumbers();
  if (failed(check.require(2, !policy.selectsAll(), "expected a policy that selects some of the keys, got " + name)) ||
      failed(check.require(2, meaning.empty(), meaning)))
    return failure();
  return check.require(2, check['P'] == halves,
                       "policy " + name + " wants P = " + Twine(halves) + ", got " + Twine(check['P']));
}

PEER_INFER(RouteQueryGradOp) {
  Check check(loc, "route_query_grad");
  if (failed(check.shape(1, "idx", a.getIdx(), "T H K", Elements::I32)) ||
      failed(check.shape(1, "dval", a.getDval(), "T H K", Elements::F32)) ||
      failed(check.shape(1, "keys", a.getKeys(), "G P n d", Elements::F32OrBF16)) || failed(checkKeyHeads(check)) ||
      failed(checkRoutePolicy(check, a.getPolicy())))
    return failure();
  return finishInference(check, a.getOperands(), a.getOuts(), {check.tensor("T H P d", Float32Type::get(context))},
                         types);
}

std::string RouteQueryGradOp::getIndexNotation() {
  return std::string("t h ., t h ., ") + (dimOf(getKeys(), 0) == 1 ? "." : "h") + " . . . -> t h . .";
}

int64_t RouteQueryGradOp::getFlopsPerIteration() {
  return productOf({2, dimOf(getIdx(), 2), dimOf(getKeys(), 1), dimOf(getKeys(), 3)});
}

std::optional<int64_t> RouteQueryGradOp::getGatheredElements(unsigned input) {
  if (input != 2)
    return std::nullopt;
  return productOf({dimOf(getIdx(), 2), dimOf(getKeys(), 1), dimOf(getKeys(), 3)});
}

PEER_INFER(RouteKeyGradOp) {
  Check check(loc, "route_key_grad");
  if (failed(check.shape(1, "idx", a.getIdx(), "T H K", Elements::I32)) ||
      failed(check.shape(1, "dval", a.getDval(), "T H K", Elements::F32)) ||
      failed(check.shape(1, "query", a.getQuery(), "T H P d", Elements::F32OrBF16)) ||
      failed(checkRoutePolicy(check, a.getPolicy())) || failed(checkKeyCount(check, a.getN())))
    return failure();
  check.bind('G', a.getShared() ? 1 : check['H']);
  check.bind('n', a.getN());
  return finishInference(check, a.getOperands(), a.getOuts(), {check.tensor("G P n d", Float32Type::get(context))},
                         types);
}

std::string RouteKeyGradOp::getIndexNotation() {
  // A tile has both halves, as the policy says. Where heads share the keys, columns are what can be computed apart.
  return getShared() ? "T . ., T . ., T . . d -> . . . d" : "T h ., T h ., T h . . -> h . . .";
}

int64_t RouteKeyGradOp::getFlopsPerIteration() {
  return productOf({2, dimOf(getIdx(), 2), dimOf(getQuery(), 2), dimOf(getQuery(), 3)});
}

PEER_INFER(GateGradOp) {
  Check check(loc, "gate_grad");
  if (failed(check.shape(1, "val", a.getVal(), "T H K", Elements::F32)) ||
      failed(check.shape(1, "weights", a.getWeights(), "T H K", Elements::F32)) ||
      failed(check.shape(1, "dweights", a.getDweights(), "T H K", Elements::F32)) ||
      failed(check.require(2, a.getKind() != GateKind::Probability,
                           "a probability has a gradient of its own; use softmax, sigmoid, relu or one")))
    return failure();
  return finishInference(check, a.getOperands(), a.getOuts(), {check.tensor("T H K", Float32Type::get(context))},
                         types);
}

std::string GateGradOp::getIndexNotation() { return "t h ., t h ., t h . -> t h ."; }

//===----------------------------------------------------------------------===//
// The row-sparse gradient of a pool
//===----------------------------------------------------------------------===//

PEER_INFER(SortPairsOp) {
  Check check(loc, "sort_pairs");
  constexpr int64_t kMaxI32 = std::numeric_limits<int32_t>::max();
  int64_t experts = a.getNumExperts();
  if (failed(check.shape(1, "idx", a.getIdx(), "T H K", Elements::I32)) ||
      failed(check.require(2, experts >= 1 && experts <= kMaxI32,
                           "expected at least 1 expert and ids that fit in i32, got " + Twine(experts))))
    return failure();
  int64_t tokens = check['T'];
  check.bind('R', ShapedType::isDynamic(tokens) ? tokens : productOf({tokens, check['H'], check['K']}));
  if (failed(check.require(2, check['R'] <= kMaxI32,
                           "expected pair numbers to fit in i32, got " + Twine(check['R']) + " pairs")))
    return failure();
  Type i32 = IntegerType::get(context, 32);
  return finishInference(check, a.getOperands(), a.getOuts(),
                         {check.tensor("R", i32), check.tensor("R", i32), check.tensor("2", i32)}, types);
}

std::string SortPairsOp::getIndexNotation() {
  std::string pairs = "T*" + std::to_string(restOf(cast<ShapedType>(getIdx().getType())));
  return "T . . -> " + pairs + ", " + pairs + ", .";
}

template <typename Adaptor>
static LogicalResult checkRowGrad(Check &check, Adaptor a) {
  // R, the number of pairs, and T are tied by R = T * H * K; either may be dynamic.
  if (failed(check.shape(1, "idx", a.getIdx(), "T H K", Elements::I32)) ||
      failed(check.shape(1, "order", a.getOrder(), "R", Elements::I32)) ||
      failed(check.shape(1, "starts", a.getStarts(), "R", Elements::I32)) ||
      failed(check.shape(1, "count", a.getCount(), "2", Elements::I32)) ||
      failed(check.shape(1, "coef", a.getCoef(), "T H K r F", Elements::F32)) ||
      failed(check.shape(1, "x", a.getX(), "T D", Elements::F32)) ||
      failed(check.shape(1, "dy", a.getDy(), "T D", Elements::F32)))
    return failure();
  int64_t tokens = check['T'], pairs = check['R'];
  int64_t all = productOf({tokens, check['H'], check['K']});
  if (!ShapedType::isDynamic(tokens) && !ShapedType::isDynamic(pairs) && pairs != all)
    return check.fail(1, "expected order and starts of T*H*K = " + Twine(all) + " entries, got " + Twine(pairs));
  return check.require(1, check['F'] >= 1 && check['F'] <= 3,
                       "expected F = 1, 2 or 3 vectors per pool row, got " + Twine(check['F']));
}

/// Every expert owns r rows of the pool.
static LogicalResult checkRowsPerExpert(Check &check, int constraint, int64_t rows) {
  return check.require(constraint, check['r'] >= 1 && rows >= 1 && rows % check['r'] == 0,
                       "expected rows per expert, " + Twine(check['r']) + ", to divide rows, " + Twine(rows));
}

PEER_INFER(PoolGradOp) {
  Check check(loc, "pool_grad");
  if (failed(checkRowGrad(check, a)) || failed(checkRowsPerExpert(check, 2, a.getRows())))
    return failure();
  check.bind('N', a.getRows());
  return finishInference(check, a.getOperands(), a.getOuts(), {check.tensor("N F D", Float32Type::get(context))},
                         types);
}

// The rows a pass writes depend on the data: these ops make their own loops.
std::string PoolGradOp::getIndexNotation() { return ""; }

PEER_INFER(PoolGradNormOp) {
  Check check(loc, "pool_grad_norm");
  if (failed(checkRowGrad(check, a)))
    return failure();
  return finishInference(check, a.getOperands(), a.getOuts(), {check.tensor("", Float32Type::get(context))}, types);
}

std::string PoolGradNormOp::getIndexNotation() { return ""; }

//===----------------------------------------------------------------------===//
// Updates
//===----------------------------------------------------------------------===//

static LogicalResult checkScalars(Check &check, Value rate, Value step, Value scale) {
  return success(succeeded(check.shape(2, "learning_rate", rate, "", Elements::F32)) &&
                 succeeded(check.shape(2, "step", step, "", Elements::F32)) &&
                 succeeded(check.shape(2, "scale", scale, "", Elements::F32)));
}

/// Grad must look like the parameter and states as the optimizer says: C1 for shapes, C3 for the count.
static LogicalResult checkStates(Check &check, Value param, ValueRange like, ValueRange states,
                                 OptimizerAttrInterface optimizer) {
  auto type = cast<ShapedType>(param.getType());
  if (!type.hasStaticShape() || !(type.getElementType().isF32() || type.getElementType().isBF16()))
    return check.fail(1, "expected a static parameter of f32 or bf16");
  SmallVector<OptimizerState> expected = optimizer.getStates(type.getShape());
  if (states.size() != expected.size())
    return check.fail(3, "expected " + Twine(expected.size()) + " states, got " + Twine(states.size()));
  auto checkOne = [&](Value value, const Twine &what, ArrayRef<int64_t> shape, Type element) -> LogicalResult {
    auto other = cast<ShapedType>(value.getType());
    if (other.getShape() == shape && other.getElementType() == element)
      return success();
    std::string text;
    llvm::raw_string_ostream out(text);
    out << what << " to be " << element << " of ";
    if (shape == type.getShape())
      out << "the parameter's shape";
    else
      llvm::interleave(shape, out << "shape ", "x");
    out << ", got " << other << " beside " << type;
    return check.fail(1, "expected " + text);
  };
  for (Value value : like)
    if (failed(checkOne(value, "the gradient", type.getShape(), Float32Type::get(type.getContext()))))
      return failure();
  for (auto [value, state] : llvm::zip_equal(states, expected))
    if (failed(checkOne(value, "state '" + state.name + "'", state.shape, state.element)))
      return failure();
  return success();
}

static LogicalResult finishUpdate(Check &check, ValueRange operands, Value param, ValueRange states,
                                  SmallVectorImpl<Type> &types) {
  if (failed(checkForm(check, operands)))
    return failure();
  if (isa<BaseMemRefType>(param.getType()))
    return success();
  types.push_back(param.getType());
  llvm::append_range(types, states.getTypes());
  return success();
}

PEER_INFER(UpdateOp) {
  Check check(loc, "update");
  if (failed(checkStates(check, a.getParam(), a.getGrad(), a.getStates(), a.getOptimizer())) ||
      failed(checkScalars(check, a.getLearningRate(), a.getStep(), a.getScale())))
    return failure();
  return finishUpdate(check, a.getOperands(), a.getParam(), a.getStates(), types);
}

std::string UpdateOp::getIndexNotation() { return ""; }
MutableOperandRange UpdateOp::getOutsMutable() { return MutableOperandRange(*this, getNumOperands(), 0); }
std::optional<unsigned> UpdateOp::getTiedInput(unsigned output) { return output == 0 ? 0 : 4 + output; }

PEER_INFER(RowUpdateOp) {
  Check check(loc, "row_update");
  if (failed(checkRowGrad(check, a)) || failed(check.shape(1, "pool", a.getPool(), "N F D", Elements::F32OrBF16)) ||
      failed(checkStates(check, a.getPool(), {}, a.getStates(), a.getOptimizer())) ||
      failed(checkScalars(check, a.getLearningRate(), a.getStep(), a.getScale())) ||
      failed(checkRowsPerExpert(check, 4, check['N'])))
    return failure();
  auto states = a.getOptimizer().getStates(cast<ShapedType>(a.getPool().getType()).getShape());
  if (llvm::any_of(states, [](const OptimizerState &state) { return state.kind == StateKind::Column; }))
    return check.fail(5, a.getOptimizer().getOptimizerName() + " cannot update some rows of a pool alone");
  return finishUpdate(check, a.getOperands(), a.getPool(), a.getStates(), types);
}

// Never tiled, for the rows depend on the data; the loop over tokens is named so that benchmarks can count.
std::string RowUpdateOp::getIndexNotation() {
  std::string pairs = "T*" + std::to_string(restOf(cast<ShapedType>(getIdx().getType()))), tables = ". . .";
  std::string notation = tables + ", T . ., " + pairs + ", " + pairs + ", ., T . . . ., T ., T ., , , ";
  for (Value state : getStates()) {
    std::string dots(", .");
    for (int64_t i = 1; i < cast<ShapedType>(state.getType()).getRank(); ++i)
      dots += " .";
    notation += dots;
    tables += dots;
  }
  return notation + " -> " + tables;
}
std::optional<int64_t> RowUpdateOp::getGatheredElements(unsigned input) {
  if (input > 0 && input < getNumOperands() - getStates().size())
    return std::nullopt;
  // The rows of one token's pairs, in the pool and in each state: what is touched if no two tokens share an expert.
  int64_t rows = productOf({dimOf(getIdx(), 1), dimOf(getIdx(), 2), dimOf(getCoef(), 3)});
  ArrayRef<int64_t> table = cast<ShapedType>(getOperand(input).getType()).getShape();
  return productOf({rows, productOf(table.drop_front())});
}
MutableOperandRange RowUpdateOp::getOutsMutable() { return MutableOperandRange(*this, getNumOperands(), 0); }
std::optional<unsigned> RowUpdateOp::getTiedInput(unsigned output) { return output == 0 ? 0 : 10 + output; }

PEER_INFER(SumSquaresOp) {
  Check check(loc, "sum_squares");
  auto x = cast<ShapedType>(a.getX().getType());
  if (failed(check.require(1, x.getElementType().isF32(), "expected x to be f32")))
    return failure();
  return finishInference(check, a.getOperands(), a.getOuts(), {check.tensor("", Float32Type::get(context))}, types);
}

std::string SumSquaresOp::getIndexNotation() { return ""; }
