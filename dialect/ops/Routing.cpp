//===- Routing.cpp - constraints and index notation: score ... usage -----===//

#include "dialect/Policies.h"
#include "dialect/ops/Stored.h"

#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace peer;

//===----------------------------------------------------------------------===//
// score
//===----------------------------------------------------------------------===//

/// C1 to C5 of score and route, which bind T, H, P, n and d.
static LogicalResult checkScore(Check &check, Value query, Value keys) {
  if (failed(check.shape({1, 5, 3}, "query", query, "T H P d", Elements::F32OrBF16)))
    return failure();
  int64_t heads = check['H'];
  auto type = cast<ShapedType>(keys.getType());
  if (type.getRank() == 4 && !type.isDynamicDim(1) && type.getDimSize(1) != check['P'])
    return check.fail(2, "expected keys to have P = " + Twine(check['P']) + " halves like the query, got " +
                             Twine(type.getDimSize(1)));
  if (failed(check.shape({1, 5, 3}, "keys", keys, "G P n d", Elements::F32OrBF16)) ||
      failed(
          check.require(2, check['P'] == 1 || check['P'] == 2, "expected 1 or 2 halves, got " + Twine(check['P']))) ||
      failed(check.require(3, check['d'] >= 1 && check['n'] >= 1, "expected d and n of at least 1")))
    return failure();
  return check.require(4, check['G'] == 1 || check['G'] == heads,
                       "expected keys for " + Twine(heads) + " heads or for 1 shared by all, got " + Twine(check['G']));
}

PEER_INFER(ScoreOp) {
  Check check(loc, "score");
  if (failed(checkScore(check, a.getQuery(), a.getKeys())))
    return failure();
  return finishInference(check, a.getOperands(), a.getOuts(), {check.tensor("T H P n", Float32Type::get(context))},
                         types);
}

std::string ScoreOp::getIndexNotation() {
  bool shared = dimOf(getKeys(), 0) == 1;
  return std::string("t h p ., ") + (shared ? "." : "h") + " p n . -> t h p n";
}

int64_t ScoreOp::getFlopsPerIteration() { return productOf({2, dimOf(getQuery(), 3)}); }

//===----------------------------------------------------------------------===//
// select
//===----------------------------------------------------------------------===//

/// C2 to C5 of select, which are C6 to C9 of route: `first` is the first of them. Binds K.
static LogicalResult checkPolicy(Check &check, SelectPolicyAttrInterface policy, int first) {
  int64_t n = check['n'], halves = policy.getHalves();
  StringRef name = policy.getPolicyName();
  std::string fault = policy.reject(n), meaning = policy.rejectNumbers();
  if (failed(check.require(first + 2, meaning.empty(), meaning)) ||
      failed(check.require(first, check['P'] == halves,
                           "policy " + name + " wants " + Twine(halves) + (halves == 1 ? " half" : " halves") +
                               ", got " + Twine(check['P']))) ||
      failed(check.require(first + 1, fault.empty(), fault)) ||
      failed(check.require(first + 3, policy.getNumExperts(n) <= std::numeric_limits<int32_t>::max(),
                           "expected expert ids to fit in i32, got n = " + Twine(n))))
    return failure();
  check.bind('K', policy.getNumSelected(n));
  return success();
}

PEER_INFER(SelectOp) {
  Check check(loc, "select");
  SelectPolicyAttrInterface policy = a.getPolicy();
  StringRef name = policy.getPolicyName();
  Value threshold = a.getThreshold();
  if (failed(check.shape(1, "logits", a.getLogits(), "T H P n", Elements::F32)) ||
      failed(checkPolicy(check, policy, 2)) ||
      failed(check.require(6, threshold || !policy.wantsThreshold(),
                           "policy " + name +
                               " without a number wants it as an operand, as in 'peer.select %scores, "
                               "%number " +
                               name + "<max = 8>'")) ||
      failed(check.require(6, !threshold || policy.wantsThreshold(),
                           "policy " + name + " takes no threshold beside what it says itself")) ||
      (threshold && failed(check.shape(6, "threshold", threshold, "", Elements::F32))))
    return failure();
  return finishInference(
      check, a.getOperands(), a.getOuts(),
      {check.tensor("T H K", IntegerType::get(context, 32)), check.tensor("T H K", Float32Type::get(context))}, types);
}

std::string SelectOp::getIndexNotation() {
  if (getPolicy().choosesTokens())
    return "T h . . -> T h ., T h .";
  return getThreshold() ? "t h . .,  -> t h ., t h ." : "t h . . -> t h ., t h .";
}

int64_t SelectOp::getNumKeys() { return dimOf(getLogits(), 3); }

//===----------------------------------------------------------------------===//
// gate
//===----------------------------------------------------------------------===//

static LogicalResult checkGate(Check &check, GateKind kind, int constraint) {
  return check.require(constraint, kind != GateKind::Probability,
                       "a probability is one among all experts, of which a gate knows the selected; use "
                       "peer.probability with the logits, or softmax, sigmoid, relu or one");
}

PEER_INFER(GateOp) {
  Check check(loc, "gate");
  if (failed(check.shape(1, "val", a.getVal(), "T H K", Elements::F32)) || failed(checkGate(check, a.getKind(), 2)))
    return failure();
  return finishInference(check, a.getOperands(), a.getOuts(), {check.tensor("T H K", Float32Type::get(context))},
                         types);
}

std::string GateOp::getIndexNotation() { return "t h . -> t h ."; }

PEER_INFER(StraightThroughOp) {
  Check check(loc, "straight_through");
  // Before the default is there, none is wrong.
  double threshold = a.getThresholdAttr() ? a.getThreshold().convertToDouble() : 0.5;
  SmallString<16> given;
  if (a.getThresholdAttr())
    a.getThreshold().toString(given);
  if (failed(check.shape(1, "val", a.getVal(), "T H K", Elements::F32)) ||
      failed(check.require(2, threshold > 0 && threshold < 1,
                           "expected a threshold of sigmoids above 0 and below 1, got " + given)))
    return failure();
  return finishInference(check, a.getOperands(), a.getOuts(), {check.tensor("T H K", Float32Type::get(context))},
                         types);
}

std::string StraightThroughOp::getIndexNotation() { return "t h . -> t h ."; }

/// Scores of all experts come from a selection of all, or by their indices.
std::string StraightThroughOp::rejectScores(bool proven) {
  Value scores = getVal();
  if (auto gather = scores.getDefiningOp<GatherOp>())
    scores = gather.getIdx();
  auto selection = scores.getDefiningOp<SelectionOpInterface>();
  if (!selection)
    return proven ? "wants the scores of all experts, which learn by its gradient; take them from peer.select all" : "";
  SelectPolicyAttrInterface policy = selection.getPolicy();
  if (!policy.hasEmptySlots() && selection.getNumSelected() == selection.getNumExperts())
    return "";
  return ("wants the scores of all experts, which learn by its gradient, and gets those that " +
          policy.getPolicyName() + " selects; select all, or for inference use the gate one")
      .str();
}

//===----------------------------------------------------------------------===//
// hash
//===----------------------------------------------------------------------===//

PEER_INFER(HashOp) {
  Check check(loc, "hash");
  constexpr int64_t kMost = std::numeric_limits<int32_t>::max();
  int64_t experts = a.getExperts(), seed = a.getSeedAttr() ? int64_t(a.getSeed()) : 0;
  if (failed(check.shape(1, "tokens", a.getTokens(), "T", Elements::I32)) ||
      failed(check.require(2, experts >= 1 && experts <= kMost,
                           "expected at least 1 expert, and so many that fit in i32, got " + Twine(experts))) ||
      failed(check.require(3, seed >= 0 && seed <= int64_t(std::numeric_limits<uint32_t>::max()),
                           "expected a seed of at least 0 and below 2^32, got " + Twine(seed))))
    return failure();
  return finishInference(
      check, a.getOperands(), a.getOuts(),
      {check.tensor("T 1 1", IntegerType::get(context, 32)), check.tensor("T 1 1", Float32Type::get(context))}, types);
}

std::string HashOp::getIndexNotation() { return "t -> t . ., t . ."; }

//===----------------------------------------------------------------------===//
// probability
//===----------------------------------------------------------------------===//

/// C2 of probability and its gradient.
static LogicalResult checkLogits(Check &check) {
  return check.require(2, check['n'] >= 1 && (check['P'] == 1 || check['P'] == 2),
                       "expected logits of 1 or 2 halves of at least 1 key, got " + Twine(check['P']) + " of " +
                           Twine(check['n']));
}

PEER_INFER(ProbabilityOp) {
  Check check(loc, "probability");
  if (failed(check.shape(1, "val", a.getVal(), "T H K", Elements::F32)) ||
      failed(check.shape(2, "logits", a.getLogits(), "T H P n", Elements::F32)) || failed(checkLogits(check)))
    return failure();
  return finishInference(check, a.getOperands(), a.getOuts(), {check.tensor("T H K", Float32Type::get(context))},
                         types);
}

std::string ProbabilityOp::getIndexNotation() { return "t h ., t h . . -> t h ."; }

PEER_INFER(ProbabilityGradOp) {
  Check check(loc, "probability_grad");
  if (failed(check.shape(1, "logits", a.getLogits(), "T H P n", Elements::F32)) ||
      failed(check.shape(1, "weights", a.getWeights(), "T H K", Elements::F32)) ||
      failed(check.shape(1, "dweights", a.getDweights(), "T H K", Elements::F32)) || failed(checkLogits(check)))
    return failure();
  return finishInference(check, a.getOperands(), a.getOuts(), {check.tensor("T H P n", Float32Type::get(context))},
                         types);
}

std::string ProbabilityGradOp::getIndexNotation() { return "t h . ., t h ., t h . -> t h . ."; }

//===----------------------------------------------------------------------===//
// route
//===----------------------------------------------------------------------===//

PEER_INFER(RouteOp) {
  Check check(loc, "route");
  std::optional<GateKind> gate = a.getGate();
  if (failed(checkScore(check, a.getQuery(), a.getKeys())) || failed(checkPolicy(check, a.getPolicy(), 6)) ||
      (gate && failed(checkGate(check, *gate, 10))) ||
      failed(check.require(11, gate || a.getKeepVal(), "expected a gate, keep_val or both")) ||
      failed(check.require(12, !a.getPolicy().choosesTokens() && !a.getPolicy().wantsThreshold(),
                           "expected a policy that selects for each token alone by numbers of its own, got " +
                               a.getPolicy().getPolicyName())))
    return failure();
  if (Value packed = a.getPacked()) {
    check.bind('B', PackKeysOp::getRowBytes(check['n'], check['d']));
    if (failed(check.shape(13, "packed keys", packed, "G P B", Elements::I8)))
      return failure();
  }
  RankedTensorType f32 = check.tensor("T H K", Float32Type::get(context));
  SmallVector<Type> computed{check.tensor("T H K", IntegerType::get(context, 32))};
  computed.append(int(gate.has_value()) + int(a.getKeepVal()), f32);
  return finishInference(check, a.getOperands(), a.getOuts(), computed, types);
}

std::string RouteOp::getIndexNotation() {
  StringRef head = dimOf(getKeys(), 0) == 1 ? "." : "h";
  std::string notation = ("t h . ., " + head + " . . .").str();
  if (getPacked())
    notation += (", " + head + " . .").str();
  notation += " -> t h .";
  for (bool has : {getGate().has_value(), getKeepVal()})
    notation += has ? ", t h ." : "";
  return notation;
}

int64_t RouteOp::getNumKeys() { return dimOf(getKeys(), 2); }

int64_t RouteOp::getFlopsPerIteration() {
  return productOf({2, dimOf(getQuery(), 2), getNumKeys(), dimOf(getQuery(), 3)});
}

//===----------------------------------------------------------------------===//
// pack_keys
//===----------------------------------------------------------------------===//

PEER_INFER(PackKeysOp) {
  Check check(loc, "pack_keys");
  if (failed(check.shape(1, "keys", a.getKeys(), "G P n d", Elements::F32)) ||
      failed(check.require(1, check['n'] >= 1 && check['d'] >= 1, "expected d and n of at least 1")))
    return failure();
  check.bind('B', getRowBytes(check['n'], check['d']));
  return finishInference(check, a.getOperands(), a.getOuts(), {check.tensor("G P B", IntegerType::get(context, 8))},
                         types);
}

std::string PackKeysOp::getIndexNotation() { return "h p . . -> h p ."; }

int64_t PackKeysOp::getRowBytes(int64_t n, int64_t d) {
  // Whole blocks of keys and pairs of vectors, at every width of vectors; of each key its elements in 8 and in 16 bits and four f32; and a header.
  constexpr int64_t kWhole = 32, kHeader = 64;
  return kHeader + int64_t(llvm::alignTo(n, kWhole)) * (16 + 3 * int64_t(llvm::alignTo(d, kWhole)));
}

//===----------------------------------------------------------------------===//
// mix
//===----------------------------------------------------------------------===//

/// Types are inferred while an op is parsed, before absent attributes get their default.
template <typename Adaptor>
static int64_t getRowsPerExpert(Adaptor a) {
  return a.getRowsPerExpertAttr() ? int64_t(a.getRowsPerExpert()) : 1;
}

/// C1 to C5 of mix, mix_grad and, with scales, quantized_mix, which has a C6.
template <typename Adaptor>
static LogicalResult checkMix(Check &check, Adaptor a, Value scales = {}) {
  int64_t rowsPerExpert = getRowsPerExpert(a);
  if (failed(check.shape({1, 5, 4}, "x", a.getX(), "T D", Elements::F32)) ||
      failed(check.shape({1, 1, 4}, "idx", a.getIdx(), "T H K", Elements::I32)) ||
      failed(check.shape({1, 1, 4}, "weights", a.getWeights(), "T H K", Elements::F32)) ||
      failed(scales ? checkStored(check, {1, 5, 4}, 6, "pool", a.getPool(), scales, "N F", 'D')
                    : check.shape({1, 5, 4}, "pool", a.getPool(), "N F D", Elements::F32OrBF16)) ||
      failed(check.require(2, check['F'] >= 1 && check['F'] <= 3,
                           "expected F = 1, 2 or 3 vectors per pool row, got " + Twine(check['F']))) ||
      failed(check.require(2, check['F'] == 1 || a.getActivation(),
                           "expected an activation (gelu, silu, relu, sigmoid or tanh), as the rows of this pool are " +
                               Twine(check['F']) + " vectors; only those of one vector need none")) ||
      failed(check.require(3, rowsPerExpert >= 1 && check['N'] % rowsPerExpert == 0,
                           "expected rows_per_expert to be at least 1 and to divide the pool's " + Twine(check['N']) +
                               " rows, got " + Twine(rowsPerExpert))))
    return failure();
  check.bind('r', rowsPerExpert);
  return success();
}

PEER_INFER(MixOp) {
  Check check(loc, "mix");
  if (failed(checkMix(check, a)))
    return failure();
  return finishInference(check, a.getOperands(), a.getOuts(), {check.tensor("T D", Float32Type::get(context))}, types);
}

std::string MixOp::getIndexNotation() { return "t ., t . ., t . ., . . . -> t ."; }

/// Vectors of the pool, and their elements, that the pairs of one token select.
static int64_t vectorsPerToken(Value idx, Value pool, int64_t rowsPerExpert) {
  return productOf({dimOf(idx, 1), dimOf(idx, 2), rowsPerExpert, dimOf(pool, 1)});
}
static int64_t gatheredPerToken(Value idx, Value pool, int64_t rowsPerExpert) {
  return productOf({vectorsPerToken(idx, pool, rowsPerExpert), dimOf(pool, 2)});
}

int64_t MixOp::getFlopsPerIteration() {
  return productOf({2, gatheredPerToken(getIdx(), getPool(), getRowsPerExpert())});
}

std::optional<int64_t> MixOp::getGatheredElements(unsigned input) {
  if (input != 3)
    return std::nullopt;
  return gatheredPerToken(getIdx(), getPool(), getRowsPerExpert());
}

PEER_INFER(QuantizedMixOp) {
  Check check(loc, "quantized_mix");
  if (failed(checkMix(check, a, a.getScales())))
    return failure();
  return finishInference(check, a.getOperands(), a.getOuts(), {check.tensor("T D", Float32Type::get(context))}, types);
}

std::string QuantizedMixOp::getIndexNotation() {
  bool grouped = cast<ShapedType>(getScales().getType()).getRank() == 3;
  return std::string("t ., t . ., t . ., . . ., . .") + (grouped ? " ." : "") + " -> t .";
}

int64_t QuantizedMixOp::getFlopsPerIteration() {
  return productOf({2, vectorsPerToken(getIdx(), getPool(), getRowsPerExpert()), dimOf(getX(), 1)});
}

std::optional<int64_t> QuantizedMixOp::getGatheredElements(unsigned input) {
  if (input == 4)
    return productOf({vectorsPerToken(getIdx(), getPool(), getRowsPerExpert()),
                      StoredRows(getPool(), getScales(), dimOf(getX(), 1)).groups});
  if (input != 3)
    return std::nullopt;
  return gatheredPerToken(getIdx(), getPool(), getRowsPerExpert());
}

PEER_INFER(MixGradOp) {
  Check check(loc, "mix_grad");
  if (failed(checkMix(check, a)) || failed(check.shape(6, "dy", a.getDy(), "T D", Elements::F32)))
    return failure();
  Type f32 = Float32Type::get(context);
  return finishInference(check, a.getOperands(), a.getOuts(),
                         {check.tensor("T D", f32), check.tensor("T H K", f32), check.tensor("T H K r F", f32)}, types);
}

std::string MixGradOp::getIndexNotation() { return "t ., t . ., t . ., . . ., t . -> t ., t . ., t . . . ."; }

int64_t MixGradOp::getFlopsPerIteration() {
  return productOf({4, gatheredPerToken(getIdx(), getPool(), getRowsPerExpert())});
}

std::optional<int64_t> MixGradOp::getGatheredElements(unsigned input) {
  if (input != 3)
    return std::nullopt;
  return gatheredPerToken(getIdx(), getPool(), getRowsPerExpert());
}

//===----------------------------------------------------------------------===//
// usage
//===----------------------------------------------------------------------===//

PEER_INFER(UsageOp) {
  Check check(loc, "usage");
  if (failed(check.shape(1, "idx", a.getIdx(), "T H K", Elements::I32)) ||
      failed(check.shape(1, "weights", a.getWeights(), "T H K", Elements::F32)) ||
      failed(check.shape(1, "mass", a.getMass(), "N", Elements::F32OrF64)))
    return failure();
  return finishInference(check, a.getOperands(), a.getOuts(),
                         {check.tensor("N", getElementTypeOrSelf(a.getMass().getType()))}, types, /*tied=*/1);
}

std::string UsageOp::getIndexNotation() { return "T . ., T . ., . -> ."; }
