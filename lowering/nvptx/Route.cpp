//===- Route.cpp - score, select and gate of a tile as one ---------------===//
//
// A block takes the keys of its head chunk by chunk: the tensor cores make the scores of its tokens with the chunk, groups
// of lanes merge them into the sorted lists of the tokens. With both halves done the lists are combined and gated. Of all
// that only idx, weights and, where something else reads it, val go to memory.
//
//===----------------------------------------------------------------------===//

#include "Route.h"

#include "ScoreTile.h"
#include "Select.h"

using namespace mlir;
using namespace peer;
using namespace peer::nvptx;
using arith::CmpIPredicate;

/// Blocks that keep every multiprocessor of a large GPU busy.
static constexpr int64_t kEnoughBlocks = 132;

static int64_t sharedBytes(ScoreOp score, SelectOp select, int64_t rows) {
  int64_t halves = select.getPolicy() == SelectPolicy::ProductTopK ? 2 : 1;
  return ScoreShape::of(score, rows).bytes() + SelectRows::sharedBytes(halves, select.getNumSelected(), rows);
}

int64_t nvptx::routeRows(ScoreOp score, SelectOp select, int64_t tokens) {
  int64_t heads = cast<ShapedType>(score.getQuery().getType()).getDimSize(1), most = 64;
  if (!ShapedType::isDynamic(tokens))
    while (most > 16 && int64_t(llvm::divideCeil(tokens, most)) * heads < kEnoughBlocks)
      most /= 2;
  for (int64_t rows = most; rows >= 16; rows /= 2)
    if (sharedBytes(score, select, rows) <= kMostShared)
      return rows;
  return 0;
}

bool nvptx::isFewTokens(Value tensor) {
  int64_t tokens = cast<ShapedType>(tensor.getType()).getDimSize(0);
  return !ShapedType::isDynamic(tokens) && tokens <= kFewTokens;
}

/// Rows of a warp's groups at a time: such that a bank of shared memory serves one of them, with ScoreTile's distance of rows.
static Value emitRow(BlockBuilder &b, const LaneList &lists, Value round) {
  int64_t apart = std::max<int64_t>(4 / lists.groups(), 1);
  Value block = b.mul(b.div(round, b.index(apart)), b.index(apart * lists.groups()));
  return b.add(b.add(block, b.rem(round, b.index(apart))), b.mul(lists.group(), b.index(apart)));
}

static void emitRoute(ScoreOp score, const Selection &what, BlockBuilder &b) {
  int64_t tokens = b.staticDim(score.getQuery(), 0), rows = routeRows(score, what.select, ShapedType::kDynamic);
  if (!ShapedType::isDynamic(tokens))
    rows = std::min<int64_t>(rows, std::max<int64_t>(16, llvm::PowerOf2Ceil(tokens)));
  SharedPlan shared(b);
  ScoreTile tile(b, score, rows, shared);
  SelectRows select(b, what, rows, shared);
  const LaneList &lists = select.lists();
  Value rounds = b.index(rows / lists.groups()), n = b.index(what.n()), zero = b.index(0), chunk = b.index(kKeyChunk);
  Value count = b.dim(score.getQuery(), 0), head = zero;
  auto forRows = [&](llvm::function_ref<void(Value row)> body) {
    b.loop(b.warp(), rounds, [&](Value round) { body(emitRow(b, lists, round)); }, b.warps());
  };
  auto walkTokens = [&](Value first) {
    b.loop(b.index(what.halves()), [&](Value half) {
      tile.loadQueries(first, head, half);
      forRows([&](Value row) { select.clear(row, half); });
      b.loop(
          zero, n,
          [&](Value key) {
            tile.multiply(head, half, key);
            Value valid = b.min(chunk, b.sub(n, key)), isLast = b.cmp(CmpIPredicate::ule, b.sub(n, key), chunk);
            forRows([&](Value row) {
              auto score = [&](Value column) { return tile.score(row, column); };
              select.offer(row, half, {key, valid, chunk, isLast, score});
            });
          },
          kKeyChunk);
    });
    // A row's lists are always its group's own.
    forRows([&](Value row) {
      Value token = b.add(first, row), present = b.cmp(CmpIPredicate::ult, token, count);
      select.finish(row, b.select(present, token, zero), head, present);
    });
    b.barrier();
  };
  if (!ShapedType::isDynamic(tokens) && tokens <= rows)
    return walkTokens(zero);
  b.loop(zero, count, walkTokens, rows);
}

//===----------------------------------------------------------------------===//
// What belongs together
//===----------------------------------------------------------------------===//

/// The only op of this kind that reads `buffer`, a local buffer of its launch, which nothing but it and `writer` touches.
template <typename OpTy>
static OpTy onlyReader(Value buffer, Operation *writer) {
  OpTy reader;
  for (Operation *user : buffer.getUsers()) {
    if (user == writer)
      continue;
    auto op = dyn_cast<OpTy>(user);
    if (!op || reader || op->getBlock() != writer->getBlock())
      return {};
    reader = op;
  }
  return reader;
}

/// Whether this is a part of the launch's scratch.
static bool isLocal(Value buffer) { return buffer.getDefiningOp<memref::ViewOp>() != nullptr; }

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

/// The op of this kind that writes `buffer` in the same block.
template <typename OpTy>
static OpTy writerOf(Value buffer, Operation *reader) {
  for (Operation *user : buffer.getUsers())
    if (auto op = dyn_cast<OpTy>(user); op && op->getBlock() == reader->getBlock())
      if (llvm::is_contained(op.getOuts(), buffer))
        return op;
  return {};
}

bool nvptx::isGateOfSelect(GateOp gate) {
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
    SelectOp select = launch && score->getNumResults() == 0 ? selectOf(score) : SelectOp();
    if (!select)
      return rewriter.notifyMatchFailure(score, "no select in its launch is the only reader of the logits");
    auto [gate, keepsVal] = gateOf(select);
    SmallVector<Operation *> ops = {score, select};
    SmallVector<Value> local = {score.getOuts()[0]};
    if (gate)
      ops.push_back(gate);
    if (!keepsVal)
      local.push_back(select.getOuts()[1]);
    rewriter.setInsertionPoint(ops.back());
    BlockBuilder b(rewriter, score.getLoc(), launch);
    emitRoute(score, {select, gate, keepsVal}, b);
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
    if (const char *reason = rejectSelect(select))
      return rewriter.notifyMatchFailure(select, reason);
    if (auto score = writerOf<ScoreOp>(select.getLogits(), select); score && selectOf(score) == select)
      return rewriter.notifyMatchFailure(select, "goes with its score");
    if (select.getPolicy() == SelectPolicy::All) {
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
    rewriter.setInsertionPoint(ops.back());
    BlockBuilder b(rewriter, select.getLoc(), launch);
    emitSelection({select, gate, keepsVal}, b);
    eraseFused(rewriter, ops, local);
    return success();
  }
};
} // namespace

void nvptx::populateRoutePatterns(RewritePatternSet &patterns) {
  patterns.add<FuseRoute, FuseSelect>(patterns.getContext());
}
