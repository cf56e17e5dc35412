//===- Route.cpp - score, select and gate of a tile as one ---------------===//
//
// A block walks the keys of its head (RouteWalk). With both halves done the tokens' lists are combined and gated. Of all that
// only idx, weights and, where something else reads it, val go to memory.
//
//===----------------------------------------------------------------------===//

#include "Route.h"

#include "RouteWalk.h"
#include "lowering/gpu/TileModel.h"

using namespace mlir;
using namespace peer;
using namespace peer::device;
using arith::CmpIPredicate;

static int64_t sharedBytes(ScoreOp score, SelectOp select, int64_t rows) {
  return ScoreShape::of(score, rows).bytes() +
         SelectRows::sharedBytes(select.getNumSelected(), halvesOf(select.getPolicy()), rows);
}

int64_t device::mostKeyParts(ScoreOp score, SelectOp select) {
  int64_t n = cast<ShapedType>(score.getKeys().getType()).getDimSize(2);
  return halvesOf(select.getPolicy()) * llvm::bit_floor<uint64_t>(llvm::divideCeil(n, gpuRouteRegimes().keysPerBlock));
}

int64_t device::routeRows(ScoreOp score, SelectOp select, int64_t tokens) {
  int64_t heads = cast<ShapedType>(score.getQuery().getType()).getDimSize(1), most = 64;
  // Blocks that share the keys of a tile cost no more reads; smaller tiles do.
  int64_t enough = llvm::divideCeil(gpuRouteRegimes().blockPerTile, mostKeyParts(score, select));
  if (!ShapedType::isDynamic(tokens))
    while (most > 16 && int64_t(llvm::divideCeil(tokens, most)) * heads < enough)
      most /= 2;
  for (int64_t rows = most; rows >= 16; rows /= 2)
    if (sharedBytes(score, select, rows) <= kMostShared)
      return rows;
  return 0;
}

bool device::isFewTokens(Value tensor) {
  int64_t tokens = cast<ShapedType>(tensor.getType()).getDimSize(0);
  return !ShapedType::isDynamic(tokens) && tokens <= kFewTokens;
}

int64_t Route::rows() const {
  ScoreOp op = score;
  int64_t tokens = cast<ShapedType>(op.getQuery().getType()).getDimSize(0);
  int64_t rows = routeRows(score, select, ShapedType::kDynamic);
  return ShapedType::isDynamic(tokens) ? rows
                                       : std::min<int64_t>(rows, std::max<int64_t>(16, llvm::PowerOf2Ceil(tokens)));
}

static void emitRoute(const Route &route, BlockBuilder &b) {
  Selection what{route.select, route.gate, route.keepsVal};
  ScoreOp score = route.score;
  int64_t rows = route.rows();
  SharedPlan shared(b);
  ScoreTile tile(b, score, rows, shared);
  SelectRows select(b, what, rows, shared);
  RouteWalk walk(b, score, rows, tile, select);
  Value zero = b.index(0), n = b.index(what.n());
  walk.forTokens([&](Value first, Value present) {
    b.loop(b.index(what.halves()),
           [&](Value half) { walk.walk(first, present, {/*head=*/zero, half, zero, n}, half); });
    // A row's lists are always its group's own.
    walk.forRows(present, [&](Value row) {
      Value inside = b.cmp(CmpIPredicate::ult, row, present), token = b.add(first, b.select(inside, row, zero));
      select.finish(row, token, zero, inside);
    });
  });
}

//===----------------------------------------------------------------------===//
// What belongs together
//===----------------------------------------------------------------------===//

/// The only op of this kind that reads `buffer`, a local buffer of its launch, which nothing but it and `writer` touches.
template <typename OpTy>
static OpTy onlyReader(Value buffer, Operation *writer) {
  OpTy reader;
  for (Operation *user : buffer.getUsers()) {
    if (user == writer || isa<memref::DeallocOp>(user))
      continue;
    auto op = dyn_cast<OpTy>(user);
    if (!op || reader || op->getBlock() != writer->getBlock())
      return {};
    reader = op;
  }
  return reader;
}

/// In a launch it is a part of the launch's scratch.
bool device::isLocal(Value buffer) { return isa_and_nonnull<memref::ViewOp, memref::AllocOp>(buffer.getDefiningOp()); }

/// The gate that reads a select's val in its launch, and whether anything else does.
static std::pair<GateOp, bool> gateOf(SelectOp select) {
  Value val = select.getOuts()[1];
  if (auto gate = onlyReader<GateOp>(val, select))
    return {gate, !isLocal(val)};
  return {GateOp(), true};
}

static const char *rejectRoute(ScoreOp score, SelectOp select) {
  if (select.getPolicy() == SelectPolicy::All)
    return "'all' keeps every score";
  if (const char *reason = rejectSelect(select))
    return reason;
  if (cast<MemRefType>(score.getQuery().getType()).getDimSize(1) != 1)
    return "a tile is of one head";
  return routeRows(score, select, ShapedType::kDynamic) ? nullptr : "the queries of 16 tokens do not fit";
}

/// The select that a score is part of, if they become one.
static SelectOp selectOf(ScoreOp score) {
  Value logits = score.getOuts()[0];
  auto select = isLocal(logits) ? onlyReader<SelectOp>(logits, score) : SelectOp();
  return select && !rejectRoute(score, select) ? select : SelectOp();
}

std::optional<Route> device::routeOf(ScoreOp score) {
  SelectOp select = selectOf(score);
  if (!select)
    return std::nullopt;
  auto [gate, keepsVal] = gateOf(select);
  return Route{score, select, gate, keepsVal};
}

/// The op of this kind that writes `buffer` in the same block.
template <typename OpTy>
static OpTy writerOf(Value buffer, Operation *reader) {
  for (Operation *user : buffer.getUsers())
    if (auto op = dyn_cast<OpTy>(user); op && op->getBlock() == reader->getBlock())
      if (llvm::is_contained(op.getOuts(), buffer))
        return op;
  return {};
}

bool device::isGateOfSelect(GateOp gate) {
  auto select = writerOf<SelectOp>(gate.getVal(), gate);
  return select && select.getPolicy() != SelectPolicy::All && !rejectSelect(select) && gateOf(select).first == gate;
}

namespace {
/// Erases ops whose code has been written, and the parts of scratch that only they used: then the scratch is not
/// allocated.
void eraseFused(PatternRewriter &rewriter, ArrayRef<Operation *> ops, ArrayRef<Value> local) {
  for (Operation *op : llvm::reverse(ops))
    rewriter.eraseOp(op);
  for (Value buffer : local)
    if (buffer.use_empty())
      rewriter.eraseOp(buffer.getDefiningOp());
}

/// score, select and, where there is one, gate.
struct FuseRoute : OpRewritePattern<ScoreOp> {
  FuseRoute(MLIRContext *context) : OpRewritePattern(context, /*benefit=*/3) {}

  LogicalResult matchAndRewrite(ScoreOp score, PatternRewriter &rewriter) const override {
    auto launch = score->getParentOfType<gpu::LaunchOp>();
    std::optional<Route> route = launch && score->getNumResults() == 0 ? routeOf(score) : std::nullopt;
    if (!route)
      return rewriter.notifyMatchFailure(score, "no select in its launch is the only reader of the logits");
    SmallVector<Operation *> ops = {score, route->select};
    SmallVector<Value> local = {score.getOuts()[0]};
    if (route->gate)
      ops.push_back(route->gate);
    if (!route->keepsVal)
      local.push_back(route->select.getOuts()[1]);
    for (Operation *op : ops)
      remarks::taken(op, remarks::kRoute);
    rewriter.setInsertionPoint(ops.back());
    BlockBuilder b(rewriter, score.getLoc(), launch);
    emitRoute(*route, b);
    eraseFused(rewriter, ops, local);
    return success();
  }
};

/// select and, where there is one, gate.
struct FuseSelect : OpRewritePattern<SelectOp> {
  FuseSelect(MLIRContext *context) : OpRewritePattern(context, /*benefit=*/3) {}

  LogicalResult matchAndRewrite(SelectOp select, PatternRewriter &rewriter) const override {
    auto launch = select->getParentOfType<gpu::LaunchOp>();
    if (!launch || select->getNumResults() != 0)
      return rewriter.notifyMatchFailure(select, "not in buffer form inside a launch");
    if (const char *reason = rejectSelect(select)) {
      remarks::left(select, remarks::kBlock, reason);
      return rewriter.notifyMatchFailure(select, reason);
    }
    if (auto score = writerOf<ScoreOp>(select.getLogits(), select); score && selectOf(score) == select)
      return rewriter.notifyMatchFailure(select, "goes with its score");
    if (select.getPolicy() == SelectPolicy::All) {
      remarks::taken(select, remarks::kBlock);
      BlockBuilder b(rewriter, select.getLoc(), launch);
      emitSelectAll(select, b);
      rewriter.eraseOp(select);
      return success();
    }
    auto [gate, keepsVal] = gateOf(select);
    SmallVector<Operation *> ops = {select};
    SmallVector<Value> local;
    if (gate)
      ops.push_back(gate);
    if (!keepsVal)
      local.push_back(select.getOuts()[1]);
    for (Operation *op : ops)
      remarks::taken(op, remarks::kBlock);
    rewriter.setInsertionPoint(ops.back());
    BlockBuilder b(rewriter, select.getLoc(), launch);
    emitSelection({select, gate, keepsVal}, b);
    eraseFused(rewriter, ops, local);
    return success();
  }
};
} // namespace

void device::populateRoutePatterns(RewritePatternSet &patterns) {
  patterns.add<FuseRoute, FuseSelect>(patterns.getContext());
}
