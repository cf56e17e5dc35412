//===- CoarseScores.cpp - integer scores and how far they may be off -----===//

#include "CoarseScores.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace peer;
using namespace peer::cpu;
using arith::CmpIPredicate;

// What follows a token.
enum QueryBound { PerNorm, PerMiss, Slack, Scale, kQueryBounds };

/// Halvings of the interval in which the k-th largest maximum lies.
static constexpr int64_t kHalvings = 6;
/// Tokens whose intervals are halved at once, since each halving waits for the one before; a divisor of those of a block of tiles.
static constexpr size_t kLeasts = 4;

/// Vectors of maxima over groups of keys: of four times as many groups as are needed, the k-th largest maximum is about the (1.15 k)-th
/// score. Each group has a key where there are so many blocks of keys.
static int64_t maximaOf(int64_t n, int64_t k, int64_t width) {
  int64_t vectors = std::max<int64_t>(n / width / PackedKeys::vectorsOf(width), 1);
  return std::min<int64_t>(4 * maximaVectors(k, width), llvm::bit_floor(uint64_t(vectors)));
}

CoarseScores::CoarseScores(LoopBuilder &b, int64_t n, int64_t d, int64_t k, const VectorOptions &options, Value many,
                           Value enough)
    : b(b), n(n), d(d), k(k), width(options.width),
      bits(std::min<int64_t>(30 - llvm::Log2_64_Ceil(d) - PackedKeys::kBits, 14)), chains(maximaOf(n, k, width)),
      packed(b, n, d, width, options.dots), many(many), enough(enough) {
  if (enough) {
    tiles.emplace(b, n, d);
    tiled = both(b, many, TileScores::emitIsAllowed(b));
    b.ifThen(tiled, [&] { tiles->emitBegin(); });
  }
  Type f32 = b.getF32Type(), i32 = b.getI32Type();
  packed.allocate();
  queries = b.heap({tokens(), packed.numWords()}, i32);
  queryBounds = b.stack({tokens(), kQueryBounds}, f32);
  queriesFit = b.stack({tokens()}, i32);
  starts = b.stack({tokens()}, i32);
  // One vector more, so that rows of tiles do not all lie in the same lines of a cache.
  bounds = b.heap({tokens(), packed.paddedKeys() + width}, f32);
  maxima = b.stack({tokens(), chains * width}, f32);
  leasts = b.stack({tokens()}, f32);
  survivors = b.heap({survivorsOf(packed.paddedKeys(), k, width)}, i32);
  values = b.heap({survivorsOf(packed.paddedKeys(), k, width)}, f32);
  ranks = b.stack({rankedOf(k, width)}, i32);
  bestScores = b.stack({rankedOf(k, width)}, f32);
  bestIndices = b.stack({rankedOf(k, width)}, i32);
}

void CoarseScores::free() {
  if (tiles) {
    b.ifThen(tiled, [&] { tiles->emitEnd(); });
    tiles->free();
  }
  packed.free();
  b.free(queries);
  b.free(bounds);
  b.free(survivors);
  b.free(values);
}

Value CoarseScores::lowest() { return b.f32(-std::numeric_limits<double>::infinity(), b.floats(width)); }

// Sums, a block of keys, a query and a product: 16 registers, or 32 where vectors have 16 lanes.
int64_t CoarseScores::together() const { return 8; }

//===----------------------------------------------------------------------===//
// Keys
//===----------------------------------------------------------------------===//

void CoarseScores::setKeys(Value matrix, Value given) {
  Value no = arith::ConstantOp::create(b, b.getBoolAttr(false)), own = packed.memory();
  Value pack = many;
  row = own;
  has = many;
  if (given) {
    own = memref::CastOp::create(b, given.getType(), own);
    Value made = packed.emitIsMade(given);
    pack = b.select(made, no, pack);
    has = either(b, has, made);
    row = b.select(made, given, own);
  }
  if (tiles) {
    Value made = given ? tiles->emitIsMade(given) : no;
    // Rounding keys here costs what tiles save for about so many tokens.
    byTiles = both(b, tiled, either(b, made, enough));
    has = either(b, has, byTiles);
    pack = b.select(byTiles, no, pack);
    b.ifThen(both(b, byTiles, b.cmp(CmpIPredicate::eq, made, no)), [&] { tiles->emitKeys(matrix, packed.memory()); });
    row = given ? b.select(byTiles, b.select(made, given, own), row) : row;
    tiles->setKeys(row);
  }
  b.ifThen(pack, [&] { packed.emitKeys(matrix, packed.memory()); });
}

//===----------------------------------------------------------------------===//
// Queries and products
//===----------------------------------------------------------------------===//

void CoarseScores::emitQuery(Value query, Value t) {
  auto words = [&](Value at, Value words) { b.store(words, queries, {t, at}); };
  auto [q, start] = packed.emitQuery(query, bits, words);
  b.store(start, starts, {t});
  // A sum of d products is off by less than d parts in 2^24 of |q| |c|, whatever its order; the bound itself, and units, by a few.
  Value rounding = b.f32(double(d + 40) / (1 << 24));
  auto keep = [&](Value value, QueryBound which) { b.store(value, queryBounds, {t, b.index(which)}); };
  keep(b.fma(rounding, q.norm, q.miss), PerNorm);
  keep(b.add(q.norm, q.miss), PerMiss);
  // Products and sums may flush to zero.
  keep(b.fma(q.scale, b.f32(std::ldexp(double(d), -125)), b.f32(std::ldexp(1.0, -120))), Slack);
  keep(q.scale, Scale);
  b.store(b.select(both(b, q.fits, packed.emitFits(row)), b.i32(1), b.i32(0)), queriesFit, {t});
}

Values CoarseScores::emitSums(Value first, int64_t vectors, ArrayRef<Value> block) {
  auto type = VectorType::get({width}, b.getI32Type());
  int64_t words = packed.wordsTogether();
  Values sums;
  for (Value t : block)
    sums.append(vectors, b.splat(b.load(starts, {t}), type));
  return b.loop(
      b.index(0), b.index(packed.numWords()), sums,
      [&](Value at, ValueRange carried) {
        Values now(carried);
        SmallVector<Values> keys(vectors);
        for (int64_t v = 0; v < vectors; ++v)
          for (int64_t i = 0; i < words; ++i)
            keys[v].push_back(packed.loadWord(row, b.add(first, b.index(v / packed.vectors())), b.add(at, b.index(i)),
                                              v % packed.vectors()));
        for (auto [i, t] : llvm::enumerate(block)) {
          Values query;
          for (int64_t word = 0; word < words; ++word)
            query.push_back(b.splat(b.load(queries, {t, b.add(at, b.index(word))}), type));
          for (int64_t v = 0; v < vectors; ++v)
            now[i * vectors + v] = packed.emitProducts(keys[v], query, now[i * vectors + v]);
        }
        return now;
      },
      words);
}

Value CoarseScores::emitLarger(Value x, Value best) {
  if (width != 8)
    return emitMax(b, x, best);
  // LLVM would make the store of some lanes of the select that it was, which is slow.
  return LLVM::CallIntrinsicOp::create(b, x.getType(), b.getStringAttr("llvm.x86.avx.max.ps.256"), ValueRange{x, best})
      .getResult(0);
}

void CoarseScores::emitBlocks(Value first, int64_t blocks, ArrayRef<Value> block) {
  int64_t vectors = blocks * packed.vectors();
  Type wide = b.floats(width);
  Values sums = emitSums(first, vectors, block);
  auto load = [&](Value t, int64_t which) { return b.splat(b.load(queryBounds, {t, b.index(which)}), wide); };
  for (int64_t v = 0; v < vectors; ++v) {
    Value vector = b.add(b.mul(first, b.index(packed.vectors())), b.index(v)), j = b.mul(vector, b.index(width));
    Value chain = b.mul(b.rem(vector, b.index(chains)), b.index(width));
    Value unit = packed.loadBounds(row, PackedKeys::Unit, j), norm = packed.loadBounds(row, PackedKeys::Norm, j),
          miss = packed.loadBounds(row, PackedKeys::Miss, j);
    for (auto [i, t] : llvm::enumerate(block)) {
      Value score = b.mul(arith::SIToFPOp::create(b, wide, sums[i * vectors + v]), unit);
      Value off = b.fma(load(t, PerNorm), norm, b.mul(load(t, PerMiss), miss));
      b.store(b.add(score, off), bounds, {t, j});
      b.store(emitLarger(b.sub(score, off), b.load(maxima, {t, chain}, width)), maxima, {t, chain});
    }
  }
}

void CoarseScores::emitProducts(ArrayRef<Value> block) {
  for (Value t : block)
    for (int64_t chain = 0; chain < chains; ++chain)
      b.store(lowest(), maxima, {t, b.index(chain * width)});
  // Of a single token several blocks are independent sums enough to hide an instruction's latency.
  int64_t together = block.size() == 1 ? 4 : 1, blocks = packed.paddedKeys() / packed.blockKeys();
  int64_t full = blocks / together * together;
  if (full > 0)
    b.loop(b.index(0), b.index(full), [&](Value first) { emitBlocks(first, together, block); }, together);
  if (full < blocks)
    b.loop(b.index(full), b.index(blocks), [&](Value first) { emitBlocks(first, 1, block); });
}

void CoarseScores::emitTiles(Value count, llvm::function_ref<Value(Value t)> query, const OtherHalf &other) {
  b.loop(count, [&](Value t) {
    TileScores::QueryBound bound = tiles->emitQuery(query(t), t);
    b.store(bound.perNorm, queryBounds, {t, b.index(PerNorm)});
    b.store(b.f32(tiles->slack()), queryBounds, {t, b.index(Slack)});
    b.store(b.f32(1), queryBounds, {t, b.index(Scale)});
    b.store(b.select(bound.holds, b.i32(1), b.i32(0)), queriesFit, {t});
  });
  b.loop(count, [&](Value t) {
    for (int64_t chain = 0; chain < chains; ++chain)
      b.store(lowest(), maxima, {t, b.index(chain * width)});
  });
  tiles->emitProducts([&](Value block, Value scores) {
    Value first = b.mul(block, b.index(TileScores::kKeys));
    Value chain = b.mul(b.rem(block, b.index(chains)), b.index(width));
    Values norms, js;
    for (int64_t j = 0; j < TileScores::kKeys; j += width) {
      js.push_back(b.add(first, b.index(j)));
      norms.push_back(tiles->loadNorms(js.back()));
    }
    b.loop(count, [&](Value t) {
      Value perNorm = b.splat(b.load(queryBounds, {t, b.index(PerNorm)}), norms[0].getType());
      Value less = b.neg(perNorm), best = b.load(maxima, {t, chain}, width);
      for (auto [v, j, norm] : llvm::enumerate(js, norms)) {
        Value score = b.load(scores, {t, b.index(v * width)}, width);
        b.store(b.fma(perNorm, norm, score), bounds, {t, j});
        best = emitMax(b, b.fma(less, norm, score), best);
      }
      b.store(best, maxima, {t, chain});
    });
  });
  b.loop(
      b.index(0), count,
      [&](Value first) {
        Values some;
        for (int64_t t = 0; t < int64_t(kLeasts); ++t)
          some.push_back(b.add(first, b.index(t)));
        emitLeast(some, other);
      },
      kLeasts);
}

void CoarseScores::emitTokens(Value count, llvm::function_ref<Value(Value t)> query, const OtherHalf &other) {
  if (!tiles)
    return emitSome(b.index(0), count, query, other);
  b.ifThen(
      byTiles, [&] { emitTiles(count, query, other); },
      [&] {
        b.loop(
            b.index(0), count,
            [&](Value first) {
              Value left = b.sub(count, first), most = b.index(together());
              emitSome(first, b.select(b.cmp(CmpIPredicate::ult, left, most), left, most), query, other);
            },
            together());
      });
}

void CoarseScores::emitSome(Value first, Value count, llvm::function_ref<Value(Value t)> query,
                            const OtherHalf &other) {
  b.ifThen(
      b.cmp(CmpIPredicate::ugt, count, b.index(together() / 2)),
      [&] {
        Values block;
        for (int64_t t = 0; t < together(); ++t)
          block.push_back(b.add(first, b.index(t)));
        b.loop(together(), [&](Value t) {
          // The last block repeats its last token.
          Value last = b.sub(count, b.index(1)), own = b.select(b.cmp(CmpIPredicate::ult, t, last), t, last);
          emitQuery(query(b.add(first, own)), b.add(first, t));
        });
        emitProducts(block);
        for (ArrayRef<Value> left = block; !left.empty(); left = left.drop_front(std::min(left.size(), kLeasts)))
          emitLeast(left.take_front(kLeasts), other);
      },
      [&] {
        b.loop(count, [&](Value t) {
          Value own = b.add(first, t);
          emitQuery(query(own), own);
          emitProducts({own});
          emitLeast({own}, other);
        });
      });
}

//===----------------------------------------------------------------------===//
// Selection
//===----------------------------------------------------------------------===//

Value CoarseScores::emitHolds(Value t) {
  // Without keys nobody said what fits.
  return both(b, has, b.cmp(CmpIPredicate::ne, b.load(queriesFit, {t}), b.i32(0)));
}

void CoarseScores::emitLeastOfPairs(ArrayRef<Value> ts, const OtherHalf &other) {
  // Two lists of maxima if there are so many: of fewer groups more share a key among the best.
  int64_t lanes = listLanes(k, width), groups = groupsOfPairs(), lists = chains * width > groups ? 2 : 1;
  Values sorted;
  for (Value t : ts)
    for (int64_t list = 0; list < lists; ++list) {
      auto maximum = [&](int64_t at) { return b.load(maxima, {t, b.index(at)}, groups); };
      Value best = maximum(list * groups);
      for (int64_t at = (list + lists) * groups; at < chains * width; at += lists * groups)
        best = emitMax(b, maximum(at), best);
      sorted.push_back(best);
    }
  sortLanes(b, sorted, /*areBitonic=*/false);
  if (lists == 2) {
    auto backwards = llvm::to_vector(llvm::reverse(llvm::seq<int64_t>(groups)));
    for (size_t i = 0; i < ts.size(); ++i)
      sorted[i] =
          emitMax(b, vector::ShuffleOp::create(b, sorted[2 * i + 1], sorted[2 * i + 1], backwards), sorted[2 * i]);
    sorted.resize(ts.size());
    sortLanes(b, sorted, /*areBitonic=*/true);
  }
  // Of r scores of the other half and the maxima of k / r groups, rounded up, all sums reach that of the last two.
  SmallVector<int64_t> partners;
  SmallVector<bool> meant;
  for (int64_t lane = 0; lane < lanes; ++lane) {
    partners.push_back(llvm::divideCeil(k, std::min(lane, k - 1) + 1) - 1);
    meant.push_back(lane < k);
  }
  for (auto [t, maximum] : llvm::zip(ts, sorted)) {
    Value scale = b.load(queryBounds, {t, b.index(Scale)}), list = other.list(t);
    Value best = emitLane(b, list, 0), last = emitLane(b, list, k - 1), lowest = b.mul(last, scale);
    list = b.mul(list, b.splat(scale, list.getType()));
    Value first = emitLane(b, list, 0), sums = b.add(list, vector::ShuffleOp::create(b, maximum, maximum, partners));
    if (lanes > k)
      sums = b.select(emitConditions(b, meant), sums, b.f32(-std::numeric_limits<double>::infinity(), sums.getType()));
    Value least = b.maxLanes(sums), size = b.add(emitMax(b, least, b.neg(least)), emitMax(b, first, b.neg(first)));
    size = b.add(size, emitMax(b, lowest, b.neg(lowest)));
    // Each score of the list in this unit, each of the sums and this difference may be rounded up.
    b.store(b.sub(b.sub(least, first), b.mul(size, b.f32(std::ldexp(1.0, -21)))), leasts, {t});
    // A list of what is no number bounds nothing, nor do huge scores, of which sums overflow, be it in the unit of a tiny query.
    Value most = b.f32(std::ldexp(1.0, 120)), bounded = b.cmp(arith::CmpFPredicate::OLT, size, most);
    bounded = both(b, bounded, b.cmp(arith::CmpFPredicate::OLT, best, most));
    bounded = both(b, bounded, b.cmp(arith::CmpFPredicate::OGT, last, b.neg(most)));
    b.store(b.select(bounded, b.load(queriesFit, {t}), b.i32(0)), queriesFit, {t});
  }
}

void CoarseScores::emitLeast(ArrayRef<Value> ts, const OtherHalf &other) {
  if (!other.isKnown)
    return emitLeastOfScores(ts);
  b.ifThen(other.isKnown, [&] { emitLeastOfPairs(ts, other); }, [&] { emitLeastOfScores(ts); });
}

void CoarseScores::emitLeastOfScores(ArrayRef<Value> ts) {
  auto reduce = [&](vector::CombiningKind kind, Value vector) -> Value {
    return vector::ReductionOp::create(b, kind, vector, arith::FastMathFlags::nnan | arith::FastMathFlags::nsz);
  };
  SmallVector<Values> vectors(ts.size());
  Values lows, highs;
  for (auto [t, own] : llvm::zip(ts, vectors)) {
    for (int64_t chain = 0; chain < chains; ++chain)
      own.push_back(b.load(maxima, {t, b.index(chain * width)}, width));
    Value low = own[0], high = own[0];
    for (Value vector : ArrayRef(own).drop_front()) {
      low = b.select(b.cmp(arith::CmpFPredicate::OLT, vector, low), vector, low);
      high = emitMax(b, vector, high);
    }
    lows.push_back(reduce(vector::CombiningKind::MINNUMF, low));
    highs.push_back(reduce(vector::CombiningKind::MAXNUMF, high));
  }
  auto join = [&](Value low, Value high) -> Value {
    int64_t lanes = 2 * cast<VectorType>(low.getType()).getDimSize(0);
    return vector::ShuffleOp::create(b, low, high, llvm::to_vector(llvm::seq<int64_t>(lanes)));
  };
  Value needed = b.i64(k);
  for (int64_t step = 0; step < kHalvings; ++step)
    for (auto [own, low, high] : llvm::zip(vectors, lows, highs)) {
      Value middle = b.mul(b.add(low, high), b.f32(0.5)), wide = b.splat(middle, own[0].getType()), reached;
      // A word covers 64 maxima. Its conditions are joined before they are bits, which nobody counts in vectors then.
      int64_t perWord = std::min<int64_t>(64 / width, own.size());
      for (ArrayRef<Value> left = own; !left.empty(); left = left.drop_front(perWord)) {
        Values conditions;
        for (Value vector : left.take_front(perWord))
          conditions.push_back(b.cmp(arith::CmpFPredicate::OGE, vector, wide));
        for (; conditions.size() > 1; conditions.resize(conditions.size() / 2))
          for (size_t i = 0; i < conditions.size() / 2; ++i)
            conditions[i] = join(conditions[2 * i], conditions[2 * i + 1]);
        Value count = emitPopulation(b, emitBits(b, conditions[0]));
        reached = reached ? b.add(reached, count) : count;
      }
      Value enough = b.cmp(CmpIPredicate::uge, reached, needed);
      low = b.select(enough, middle, low), high = b.select(enough, high, middle);
    }
  for (auto [t, low] : llvm::zip(ts, lows))
    b.store(low, leasts, {t});
}

Values CoarseScores::emitSelection(Value t, llvm::function_ref<Values(ValueRange)> scores) {
  // Both sides of the comparison may be off.
  Value slack = b.load(queryBounds, {t, b.index(Slack)}), lowest = b.sub(b.sub(b.load(leasts, {t}), slack), slack);
  return RowTopK(b, b.slice(bounds, {t}), packed.paddedKeys(), k, width)
      .emit({lowest, survivors, values, ranks, bestScores, bestIndices, scores});
}

Value CoarseScores::scoreRow(Value t) { return b.slice(bounds, {t}); }
