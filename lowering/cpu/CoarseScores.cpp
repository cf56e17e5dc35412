//===- CoarseScores.cpp - integer scores and how far they may be off -----===//

#include "CoarseScores.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace peer;
using namespace peer::cpu;
using arith::CmpIPredicate;

/// Exponents, biased by 127. Below the first, a vector has less precise integers; above the second, its scores might overflow.
static constexpr int64_t kLeastExponent = 27, kMostExponent = 127 + 56;

/// A norm is at most this much larger than its computed value.
static constexpr double kNormError = 1.0 / 1024;

// What follows a key or a token.
enum KeyBound { Unit, Norm, Miss, kKeyBounds };
enum QueryBound { PerNorm, PerMiss, Scale, Slack, kQueryBounds };

/// Halvings of the interval in which the k-th largest maximum lies.
static constexpr int64_t kHalvings = 6;

/// Vectors of maxima over groups of keys: of four times as many groups as are needed, the k-th largest maximum is about the (1.15 k)-th
/// score. Each group has a key where there are so many.
static int64_t maximaOf(int64_t n, int64_t k, int64_t width) {
  int64_t vectors = std::max<int64_t>(n / width, 1);
  return std::min<int64_t>(4 * maximaVectors(k, width), llvm::bit_floor(uint64_t(vectors)));
}

CoarseScores::CoarseScores(LoopBuilder &b, int64_t n, int64_t d, int64_t k, int64_t width)
    : b(b), n(n), d(d), k(k), width(width), pairs(llvm::alignTo(d, 2 * width) / 2),
      bits(std::min<int64_t>((30 - llvm::Log2_64_Ceil(d)) / 2, 14)), chains(maximaOf(n, k, width)) {
  Type f32 = b.getF32Type(), i32 = b.getI32Type();
  packed = b.heap({paddedKeys() / blockKeys(), pairs, blockKeys()}, i32);
  rows = b.heap({width, pairs}, i32);
  keyBounds = b.heap({kKeyBounds, paddedKeys()}, f32);
  keysFit = b.stack({1}, i32);
  queries = b.heap({tokens(), pairs}, i32);
  queryBounds = b.stack({tokens(), kQueryBounds}, f32);
  queriesFit = b.stack({tokens()}, i32);
  bounds = b.heap({tokens(), paddedKeys()}, f32);
  maxima = b.stack({tokens(), chains * width}, f32);
}

void CoarseScores::free() {
  for (Value buffer : {packed, rows, keyBounds, queries, bounds})
    b.free(buffer);
}

// Sums, a block of keys, a query and a product: 16 registers, or 32 where vectors have 16 lanes.
int64_t CoarseScores::tokens() const { return width >= 16 ? 8 : 6; }

//===----------------------------------------------------------------------===//
// Integers
//===----------------------------------------------------------------------===//

Value CoarseScores::integers(int64_t value) {
  auto type = VectorType::get({width}, b.getI32Type());
  return arith::ConstantOp::create(b, DenseElementsAttr::get(type, int32_t(value)));
}

static Value bitcast(LoopBuilder &b, Value value, Type element) {
  Type type = element;
  if (auto vector = dyn_cast<VectorType>(value.getType()))
    type = VectorType::get(vector.getShape(), element);
  return arith::BitcastOp::create(b, type, value);
}

static Value shiftLeft(LoopBuilder &b, Value value, Value by) { return arith::ShLIOp::create(b, value, by); }

/// Two to the power of a biased exponent.
static Value powerOfTwo(LoopBuilder &b, Value exponent) {
  return bitcast(b, shiftLeft(b, exponent, b.i32(23)), b.getF32Type());
}

Value CoarseScores::emitNorm(Value squares) { return b.mul(b.sqrt(b.sumLanes(squares)), b.f32(1 + kNormError)); }

CoarseScores::Quantized CoarseScores::emitQuantized(Value vector,
                                                    llvm::function_ref<void(Value at, Value pairs)> keep) {
  Type i32 = b.getI32Type(), wide = b.floats(width);
  // As integers, magnitudes are in order, and infinity and NaN are the largest.
  Value largest = b.loop(
      b.index(0), b.index(d), {integers(0)},
      [&](Value at, ValueRange carried) {
        Value magnitude = both(b, bitcast(b, b.load(vector, {at}, width), i32), integers(0x7fffffff));
        return Values{b.max(magnitude, carried[0])};
      },
      width)[0];
  largest = vector::ReductionOp::create(b, vector::CombiningKind::MAXSI, largest);
  Quantized result;
  result.fits = b.cmp(CmpIPredicate::slt, largest, b.i32(kMostExponent << 23));
  Value exponent = b.max(arith::ShRUIOp::create(b, largest, b.i32(23)), b.i32(kLeastExponent));
  result.scale = powerOfTwo(b, b.sub(b.i32(253 + bits), exponent));
  result.unit = powerOfTwo(b, b.sub(exponent, b.i32(bits - 1)));
  // What does not fit has no integers.
  Value mask = b.splat(b.select(result.fits, b.i32(-1), b.i32(0)), VectorType::get({width}, i32));
  Value scale = b.splat(result.scale, wide);
  Values sums(2, b.f32(0, wide));
  auto quantize = [&](Value at, Values &sums) -> Value {
    Value x = bitcast(b, both(b, bitcast(b, b.load(vector, {at}, width), i32), mask), b.getF32Type());
    x = b.mul(x, scale);
    Value rounded = math::RoundEvenOp::create(b, x), rest = b.sub(x, rounded);
    sums = {b.fma(x, x, sums[0]), b.fma(rest, rest, sums[1])};
    return arith::FPToSIOp::create(b, VectorType::get({width}, i32), rounded);
  };
  auto join = [&](Value low, Value high) {
    return either(b, shiftLeft(b, high, integers(16)), both(b, low, integers(0xffff)));
  };
  int64_t joined = d / (2 * width) * 2 * width;
  if (joined > 0)
    sums = b.loop(
        b.index(0), b.index(joined), sums,
        [&](Value at, ValueRange carried) {
          Values now(carried);
          Value low = quantize(at, now), high = quantize(b.add(at, b.index(width)), now);
          keep(b.div(at, b.index(2)), join(low, high));
          return now;
        },
        2 * width);
  if (joined < d) {
    Value low = quantize(b.index(joined), sums);
    keep(b.index(joined / 2), join(low, integers(0)));
  }
  result.norm = emitNorm(sums[0]);
  result.miss = emitNorm(sums[1]);
  return result;
}

//===----------------------------------------------------------------------===//
// Keys
//===----------------------------------------------------------------------===//

void CoarseScores::emitTranspose(MutableArrayRef<Value> rows) {
  // Swaps the bits of the row's number and of the lane's, one after the other.
  for (int64_t bit = width / 2; bit > 0; bit /= 2)
    for (int64_t row = 0; row < width; ++row) {
      if (row & bit)
        continue;
      SmallVector<int64_t> low, high;
      for (int64_t lane = 0; lane < width; ++lane) {
        low.push_back(lane & bit ? width + lane - bit : lane);
        high.push_back(lane & bit ? width + lane : lane + bit);
      }
      Value first = rows[row], second = rows[row + bit];
      rows[row] = vector::ShuffleOp::create(b, first, second, low);
      rows[row + bit] = vector::ShuffleOp::create(b, first, second, high);
    }
}

void CoarseScores::emitKeys(Value keys) {
  b.store(b.i32(1), keysFit, {b.index(0)});
  auto emitGroup = [&](Value group) {
    b.loop(width, [&](Value lane) {
      Value j = b.add(group, lane), isKey = b.cmp(CmpIPredicate::ult, j, b.index(n));
      Value key = b.slice(keys, {b.select(isKey, j, b.index(n - 1))});
      Quantized q = emitQuantized(key, [&](Value at, Value pairs) { b.store(pairs, rows, {lane, at}); });
      // What fills the last block has no scores: nothing that is not a number is a candidate or a maximum.
      Value unit = b.select(isKey, q.unit, b.f32(std::numeric_limits<double>::quiet_NaN()));
      b.store(unit, keyBounds, {b.index(Unit), j});
      b.store(b.mul(q.norm, unit), keyBounds, {b.index(Norm), j});
      b.store(b.mul(q.miss, unit), keyBounds, {b.index(Miss), j});
      Value fit = b.select(q.fits, b.load(keysFit, {b.index(0)}), b.i32(0));
      b.store(fit, keysFit, {b.index(0)});
    });
    Value block = b.div(group, b.index(blockKeys())), first = b.rem(group, b.index(blockKeys()));
    b.loop(
        b.index(0), b.index(pairs),
        [&](Value at) {
          Values square;
          for (int64_t lane = 0; lane < width; ++lane)
            square.push_back(b.load(rows, {b.index(lane), at}, width));
          emitTranspose(square);
          for (int64_t pair = 0; pair < width; ++pair)
            b.store(square[pair], packed, {block, b.add(at, b.index(pair)), first});
        },
        width);
  };
  b.loop(b.index(0), b.index(paddedKeys()), emitGroup, width);
}

//===----------------------------------------------------------------------===//
// Queries and products
//===----------------------------------------------------------------------===//

void CoarseScores::emitQuery(Value query, Value t) {
  Quantized q = emitQuantized(query, [&](Value at, Value pairs) { b.store(pairs, queries, {t, at}); });
  // A sum of d products is off by less than d parts in 2^24 of |q| |c|, whatever its order; the bound itself by a few.
  Value rounding = b.f32(double(d + 32) / (1 << 24));
  auto keep = [&](Value value, QueryBound which) { b.store(value, queryBounds, {t, b.index(which)}); };
  keep(b.fma(rounding, q.norm, q.miss), PerNorm);
  keep(b.add(q.norm, q.miss), PerMiss);
  keep(q.scale, Scale);
  // Products and sums may flush to zero.
  keep(b.fma(q.scale, b.f32(std::ldexp(double(d), -125)), b.f32(std::ldexp(1.0, -120))), Slack);
  b.store(b.select(q.fits, b.load(keysFit, {b.index(0)}), b.i32(0)), queriesFit, {t});
}

Value CoarseScores::emitPairProducts(Value x, Value y, Value sum) {
  StringRef name = width >= 16  ? "llvm.x86.avx512.pmaddw.d.512"
                   : width == 8 ? "llvm.x86.avx2.pmadd.wd"
                                : "llvm.x86.sse2.pmadd.wd";
  auto halves = VectorType::get({2 * width}, b.getIntegerType(16));
  Value products = LLVM::CallIntrinsicOp::create(
                       b, sum.getType(), b.getStringAttr(name),
                       ValueRange{vector::BitCastOp::create(b, halves, x), vector::BitCastOp::create(b, halves, y)})
                       .getResult(0);
  return b.add(sum, products);
}

void CoarseScores::emitProducts() {
  Type wide = b.floats(width);
  int64_t unroll = pairs % 2 == 0 ? 2 : 1;
  for (int64_t t = 0; t < tokens(); ++t)
    for (int64_t chain = 0; chain < chains; ++chain)
      b.store(b.f32(-std::numeric_limits<double>::infinity(), wide), maxima, {b.index(t), b.index(chain * width)});
  auto load = [&](Value buffer, int64_t row, int64_t column) {
    return b.splat(b.load(buffer, {b.index(row), b.index(column)}), wide);
  };
  b.loop(paddedKeys() / blockKeys(), [&](Value block) {
    Values sums(tokens() * kVectors, integers(0));
    sums = b.loop(
        b.index(0), b.index(pairs), sums,
        [&](Value at, ValueRange carried) {
          Values now(carried);
          for (int64_t u = 0; u < unroll; ++u) {
            Value pair = b.add(at, b.index(u));
            Values keys;
            for (int64_t v = 0; v < kVectors; ++v)
              keys.push_back(b.load(packed, {block, pair, b.index(v * width)}, width));
            for (int64_t t = 0; t < tokens(); ++t) {
              Value query = b.splat(b.load(queries, {b.index(t), pair}), keys[0].getType());
              for (int64_t v = 0; v < kVectors; ++v)
                now[t * kVectors + v] = emitPairProducts(query, keys[v], now[t * kVectors + v]);
            }
          }
          return now;
        },
        unroll);
    for (int64_t v = 0; v < kVectors; ++v) {
      Value vector = b.add(b.mul(block, b.index(kVectors)), b.index(v)), j = b.mul(vector, b.index(width));
      Value chain = b.mul(b.rem(vector, b.index(chains)), b.index(width));
      auto ofKeys = [&](KeyBound which) { return b.load(keyBounds, {b.index(which), j}, width); };
      Value unit = ofKeys(Unit), norm = ofKeys(Norm), miss = ofKeys(Miss);
      for (int64_t t = 0; t < tokens(); ++t) {
        Value score = b.mul(arith::SIToFPOp::create(b, wide, sums[t * kVectors + v]), unit);
        Value off = b.fma(load(queryBounds, t, PerNorm), norm, b.mul(load(queryBounds, t, PerMiss), miss));
        b.store(b.add(score, off), bounds, {b.index(t), j});
        Value best = b.load(maxima, {b.index(t), chain}, width);
        b.store(emitMax(b, b.sub(score, off), best), maxima, {b.index(t), chain});
      }
    }
  });
}

//===----------------------------------------------------------------------===//
// Selection
//===----------------------------------------------------------------------===//

Value CoarseScores::emitHolds(Value t) { return b.cmp(CmpIPredicate::ne, b.load(queriesFit, {t}), b.i32(0)); }

Value CoarseScores::emitLeast(Value t) {
  Values vectors;
  for (int64_t chain = 0; chain < chains; ++chain)
    vectors.push_back(b.load(maxima, {t, b.index(chain * width)}, width));
  Value low = vectors[0], high = vectors[0];
  for (Value vector : ArrayRef(vectors).drop_front()) {
    low = b.select(b.cmp(arith::CmpFPredicate::OLT, vector, low), vector, low);
    high = emitMax(b, vector, high);
  }
  auto reduce = [&](vector::CombiningKind kind, Value vector) -> Value {
    return vector::ReductionOp::create(b, kind, vector, arith::FastMathFlags::nnan | arith::FastMathFlags::nsz);
  };
  low = reduce(vector::CombiningKind::MINNUMF, low), high = reduce(vector::CombiningKind::MAXNUMF, high);
  Value needed = arith::ConstantOp::create(b, b.getI64IntegerAttr(k));
  for (int64_t step = 0; step < kHalvings; ++step) {
    Value middle = b.mul(b.add(low, high), b.f32(0.5)), wide = b.splat(middle, vectors[0].getType()), reached;
    for (Value vector : vectors) {
      Value some = emitPopulation(b, emitBits(b, b.cmp(arith::CmpFPredicate::OGE, vector, wide)));
      reached = reached ? b.add(reached, some) : some;
    }
    Value enough = b.cmp(CmpIPredicate::uge, reached, needed);
    low = b.select(enough, middle, low), high = b.select(enough, high, middle);
  }
  return low;
}

Values CoarseScores::emitSelection(Value t, llvm::function_ref<Value(Value)> score) {
  CoarseRow row{};
  row.scale = b.load(queryBounds, {t, b.index(Scale)});
  row.slack = b.load(queryBounds, {t, b.index(Slack)});
  row.lowest = b.sub(emitLeast(t), row.slack);
  row.score = score;
  return RowTopK(b, b.slice(bounds, {t}), paddedKeys(), k, width).emit(row);
}

Value CoarseScores::scoreRow(Value t) { return b.slice(bounds, {t}); }

Values cpu::emitScores(LoopBuilder &b, Value query, ArrayRef<Value> keys, int64_t d, int64_t width) {
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
  Values scores;
  for (size_t i = 0; i < keys.size(); ++i) {
    Value *chain = &sums[i * kChains];
    Value sum = b.add(b.add(chain[0], chain[1]), b.add(chain[2], chain[3]));
    // Not a reduction, whose order would be the code generator's to choose.
    for (int64_t lanes = width / 2; lanes > 0; lanes /= 2)
      sum = b.add(emitLanes(b, sum, 0, lanes), emitLanes(b, sum, lanes, lanes));
    scores.push_back(emitLane(b, sum, 0));
  }
  return scores;
}
