//===- CoarseRoute.cpp - route with coarse scores first ------------------===//
//
// Integer products bound all scores of a token; only keys that may be among its k best are scored in f32. So the result is
// that of scoring all keys, bit by bit, which is what happens where no bound holds, or where nobody has packed the keys and there are few tokens to
// share what that costs.
//
//===----------------------------------------------------------------------===//

#include "CoarseScores.h"
#include "Kernels.h"
#include "Rows.h"

#include "artifact/hooks.h"
#include "dialect/ops/Check.h"
#include "lowering/emit/Calls.h"
#include "lowering/tuning/Tuning.h"

using namespace mlir;
using namespace peer;
using namespace peer::cpu;
using arith::CmpIPredicate;

/// Packing the keys costs as much as the f32 products of about so many tokens.
static constexpr int64_t kFewTokens = 16;
/// Rounding keys for tiles costs what tiles save for about so many, if packed keys are there.
static constexpr int64_t kFewForTiles = 48;
/// Of fewer keys than so many times k most are scored anyway.
static constexpr int64_t kMostShare = 8;
/// A bound of larger sums would need wider integers.
static constexpr int64_t kMostElements = 4096;

static const char *rejectRoute(RouteOp op, int64_t width) {
  auto isF32 = [](Value v) { return cast<ShapedType>(v.getType()).getElementType().isF32(); };
  int64_t d = dimOf(op.getQuery(), 3);
  if (op.getPolicy().selectsAll())
    return "'all' keeps every score";
  if (op.getPolicy().hasVaryingCounts())
    return "how many the policy keeps follows from all scores of a row";
  if (!op.getPolicy().selectsLargest())
    return "the policy does not want the largest scores alone";
  if (op.getNumSelected() > kMostSelected)
    return "the sorted list would not fit in registers";
  if (!isF32(op.getQuery()) || !isF32(op.getKeys()))
    return "the query or the keys are not f32";
  if (d % width != 0)
    return "keys are no whole vectors";
  if (d > kMostElements)
    return "sums of so many products would not fit in 32 bits";
  if (op.getNumKeys() < kMostShare * op.getNumSelected())
    return "too large a share of the keys is selected";
  return nullptr;
}

RejectRoute cpu::rejectRoutes(const char *never, int64_t width) {
  return [never, width](RouteOp op) { return never ? never : rejectRoute(op, width); };
}

/// q . k of two vectors of d elements, always in the same order: four sums of vectors, joined in pairs, whose halves are added until
/// one element is left. d is a multiple of the width. Several keys, a power of two, share the loads of the query and the vectors in which
/// halves are added.
static Values emitScores(LoopBuilder &b, Value query, ArrayRef<Value> keys, int64_t d, int64_t width) {
  constexpr int64_t kChains = 4;
  auto accumulate = [&](Values &sums, int64_t chain, Value at) {
    Value q = b.load(query, {at}, width);
    for (auto [i, key] : llvm::enumerate(keys))
      sums[i * kChains + chain] = b.fma(q, b.load(key, {at}, width), sums[i * kChains + chain]);
  };
  Values sums(keys.size() * kChains, b.f32(0, b.floats(width)));
  int64_t block = kChains * width, full = d / block * block;
  if (full > 0)
    sums = b.loop(
        b.index(0), b.index(full), sums,
        [&](Value at, ValueRange carried) {
          Values now(carried);
          for (int64_t chain = 0; chain < kChains; ++chain)
            accumulate(now, chain, b.add(at, b.index(chain * width)));
          return now;
        },
        block);
  for (int64_t at = full; at < d; at += width)
    accumulate(sums, (at - full) / width, b.index(at));
  Values joined;
  for (size_t i = 0; i < keys.size(); ++i) {
    Value *chain = &sums[i * kChains];
    joined.push_back(b.add(b.add(chain[0], chain[1]), b.add(chain[2], chain[3])));
  }
  // Not a reduction, whose order would be the code generator's to choose. Halves of two vectors are added in one.
  for (int64_t part = width / 2; part > 0; part /= 2) {
    Values next;
    for (size_t i = 0; i < joined.size(); i += 2) {
      Value first = joined[i], second = i + 1 < joined.size() ? joined[i + 1] : first;
      int64_t lanes = cast<VectorType>(first.getType()).getDimSize(0), taken = joined.size() > 1 ? 2 * lanes : lanes;
      SmallVector<int64_t> low, high;
      for (int64_t lane = 0; lane < taken; ++lane)
        (lane / part % 2 ? high : low).push_back(lane);
      next.push_back(
          b.add(vector::ShuffleOp::create(b, first, second, low), vector::ShuffleOp::create(b, first, second, high)));
    }
    joined = next;
  }
  Values scores;
  for (size_t i = 0; i < keys.size(); ++i)
    scores.push_back(emitLane(b, joined[i * joined.size() / keys.size()], i % (keys.size() / joined.size())));
  return scores;
}

namespace {
class CoarseRoute {
public:
  CoarseRoute(RouteOp op, LoopBuilder &b, const VectorOptions &options)
      : b(b), query(op.getQuery()), keys(op.getKeys()), packed(op.getPacked()), n(b.staticDim(keys, 2)),
        d(b.staticDim(keys, 3)), k(op.getNumSelected()), width(options.width), lanes(listLanes(k, width)),
        coarse(b, n, d, k, options, emitAtLeast(kFewTokens), options.tiles ? emitAtLeast(kFewForTiles) : Value()) {}

  /// Selects experts and their scores.
  void emit(Value idx, Value val);

private:
  /// Whether there are so many tokens.
  Value emitAtLeast(int64_t tokens) { return b.cmp(CmpIPredicate::uge, b.dim(query, 0), b.index(tokens)); }
  /// The lists of one half of all tokens.
  void emitHalf(Value h, Value p);
  Values emitAllScores(Value row, Value query, Value keys);
  void emitResults(Value h, Value idx, Value val);
  enum Count { Scored, Unbounded, kCounts };
  void emitCount(Count which, int64_t by);
  /// Tells the runtime what was counted in this tile.
  void emitReport();

  LoopBuilder &b;
  Value query, keys, packed; // the last may be null
  int64_t n, d, k, width, lanes;
  CoarseScores coarse;
  Value scores, indices; // lists, tokens x halves x lanes
  Value counts;
};
} // namespace

Values CoarseRoute::emitAllScores(Value row, Value query, Value keys) {
  constexpr int64_t kTogether = 2;
  auto score = [&](Value j, int64_t count) {
    Values some;
    for (int64_t i = 0; i < count; ++i)
      some.push_back(b.slice(keys, {b.add(j, b.index(i))}));
    for (auto [i, value] : llvm::enumerate(emitScores(b, query, some, d, width)))
      b.store(value, row, {b.add(j, b.index(i))});
  };
  b.loop(b.index(0), b.index(n / kTogether * kTogether), [&](Value j) { score(j, kTogether); }, kTogether);
  for (int64_t j = n / kTogether * kTogether; j < n; ++j)
    score(b.index(j), 1);
  return RowTopK(b, row, n, k, width).emit();
}

void CoarseRoute::emitHalf(Value h, Value p) {
  Value count = b.dim(query, 0), block = b.index(coarse.tokens()), second;
  if (b.staticDim(query, 2) == 2 && coarse.usesOtherHalf())
    second = b.cmp(CmpIPredicate::ne, p, b.index(0));
  Value head = b.staticDim(keys, 0) == 1 ? b.index(0) : h;
  Value matrix = b.slice(keys, {head, p});
  coarse.setKeys(matrix, packed ? b.slice(packed, {head, p}) : Value());
  b.loop(
      b.index(0), count,
      [&](Value first) {
        Value left = b.sub(count, first);
        left = b.select(b.cmp(CmpIPredicate::ult, left, block), left, block);
        auto listOfFirst = [&](Value t) {
          // Blocks are whole ones.
          Value token = b.min(b.add(first, t), b.sub(count, b.index(1)));
          return b.load(scores, {token, b.index(0), b.index(0)}, lanes);
        };
        b.ifThen(coarse.hasKeys(), [&] {
          coarse.emitTokens(left, [&](Value t) { return b.slice(query, {b.add(first, t), h, p}); },
                            {second, listOfFirst});
        });
        b.loop(left, [&](Value t) {
          Value token = b.add(first, t), own = b.slice(query, {token, h, p});
          // Rows of queries lie too far apart for a CPU to see which are next.
          Value next = b.slice(query, {b.min(b.add(token, block), b.sub(count, b.index(1))), h, p});
          prefetchVector(b, next, {}, b.index(0), d);
          auto keep = [&](ValueRange list) {
            b.store(list[0], scores, {token, p, b.index(0)});
            b.store(list[1], indices, {token, p, b.index(0)});
          };
          auto byBounds = [&] {
            keep(coarse.emitSelection(t, [&](ValueRange js) {
              emitCount(Scored, js.size());
              Values some;
              for (Value j : js)
                some.push_back(b.slice(matrix, {j}));
              return emitScores(b, own, some, d, width);
            }));
          };
          auto byScores = [&] {
            emitCount(Scored, n);
            emitCount(Unbounded, 1);
            keep(emitAllScores(coarse.scoreRow(t), own, matrix));
          };
          b.ifThen(coarse.emitHolds(t), byBounds, byScores);
        });
      },
      coarse.tokens());
}

void CoarseRoute::emitResults(Value h, Value idx, Value val) {
  b.loop(b.dim(query, 0), [&](Value token) {
    auto half = [&](int64_t p) -> Values {
      return {b.load(scores, {token, b.index(p), b.index(0)}, lanes),
              b.load(indices, {token, b.index(p), b.index(0)}, lanes)};
    };
    emitSelected(b, half, b.staticDim(query, 2), n, k, idx, val, {token, h});
  });
}

void CoarseRoute::emitCount(Count which, int64_t by) {
  Value at = b.index(which);
  b.store(b.add(b.load(counts, {at}), b.i64(by)), counts, {at});
}

void CoarseRoute::emitReport() {
  int64_t halves = b.staticDim(query, 2), different = b.staticDim(keys, 0) * halves * n;
  Value scored = b.load(counts, {b.index(Scored)}), most = b.i64(different);
  Value read = b.select(b.cmp(CmpIPredicate::slt, scored, most), scored, most);
  Value rows = b.mul(toI64(b, b.dim(query, 0)), b.i64(b.staticDim(query, 1) * halves));
  callHook(b, format::symbol::kScored,
           {rows, b.load(counts, {b.index(Unbounded)}), b.mul(rows, b.i64(n)), scored,
            b.mul(read, b.i64(d * int64_t(sizeof(float))))});
}

void CoarseRoute::emit(Value idx, Value val) {
  counts = b.stack({kCounts}, b.getI64Type());
  for (int64_t which = 0; which < kCounts; ++which)
    b.store(b.i64(0), counts, {b.index(which)});
  int64_t halves = b.staticDim(query, 2);
  auto list = [&](Type element) { return b.heap({ShapedType::kDynamic, halves, lanes}, element, {b.dim(query, 0)}); };
  scores = list(b.getF32Type());
  indices = list(b.getI32Type());
  b.loop(b.dim(query, 1), [&](Value h) {
    b.loop(halves, [&](Value p) { emitHalf(h, p); });
    emitResults(h, idx, val);
  });
  emitReport();
  b.free(scores);
  b.free(indices);
  coarse.free();
}

static void emitRoute(RouteOp op, LoopBuilder &b, const VectorOptions &options) {
  Value query = op.getQuery(), val = op.getVal(), own;
  int64_t heads = b.staticDim(query, 1), k = op.getNumSelected();
  if (!val)
    val = own = b.heap({ShapedType::kDynamic, heads, k}, b.getF32Type(), {b.dim(query, 0)});
  CoarseRoute(op, b, options).emit(op.getIdx(), val);
  if (op.getGate())
    emitGate(*op.getGate(), val, op.getWeights(), b, options.width);
  if (own)
    b.free(own);
}

/// Half of the smallest L2 cache per core of current server CPUs: what a tile of f32 scores may take.
static constexpr int64_t kScoreTileBytes = 512 * 1024;

static std::optional<TileSizes> routeTiles(RouteOp op) {
  // By shape alone: larger tiles lose nothing where a CPU's vectors are too narrow. A head's keys stay in L2 for all of a thread's tokens.
  if (!rejectRoute(op, 4)) {
    std::optional<TileSizes> sizes = tile({{"t", tuned(op, tuning::kRouteTokens)}, {"h", 1}});
    sizes->outermost = "h";
    return sizes;
  }
  int64_t tokens = dimOf(op.getQuery(), 0), heads = dimOf(op.getQuery(), 1), rows = 64;
  // Else a single tile: as small as keeps its scores, halves * n f32 per token, in cache.
  if (heads == 1 && !ShapedType::isDynamic(tokens) && tokens <= rows)
    rows = std::clamp<int64_t>(kScoreTileBytes / (4 * dimOf(op.getKeys(), 1) * op.getNumKeys()), 8, rows);
  return tile({{"t", rows}, {"h", 1}});
}

void cpu::addRoute(LoopEmitters &emitters) {
  // Any is tiled: that is what keeps its scores out of memory. What is not emitted here is taken apart in its tile.
  emitters.vectors<RouteOp>({.emit = emitRoute, .tileSizes = routeTiles, .name = "coarse to fine"});
}
