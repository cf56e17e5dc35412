//===- PackedKeys.cpp - keys as integers of 8 bits -----------------------===//

#include "PackedKeys.h"
#include "Kernels.h"
#include "quads/Quads.h"
#include "tiles/TileScores.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace peer;
using namespace peer::cpu;
using arith::CmpFPredicate;
using arith::CmpIPredicate;

/// Exponents, biased by 127. Below the first, a vector has less precise integers; above the second, its scores might overflow.
static constexpr int64_t kLeastExponent = 27, kMostExponent = 127 + 56;

/// Of a row: where its parts begin.
static constexpr int64_t kBoundsFrom = 64;
static int64_t wordsFrom(int64_t n) { return kBoundsFrom + 4 * PackedKeys::kBounds * PackedKeys::capacityOf(n); }
int64_t PackedKeys::tilesFrom(int64_t n, int64_t d) { return wordsFrom(n) + capacityOf(n) * llvm::alignTo(d, 32); }

//===----------------------------------------------------------------------===//
// Integers
//===----------------------------------------------------------------------===//

Value cpu::emitIntegers(LoopBuilder &b, int64_t value, int64_t width) {
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

Value cpu::emitNorm(LoopBuilder &b, Value squares) { return b.mul(b.sqrt(b.sumLanes(squares)), b.f32(1 + kNormError)); }

/// The bits of the largest |x|. As integers, magnitudes are in order, and infinity and NaN are the largest.
static Value emitLargest(LoopBuilder &b, Value vector, int64_t d, int64_t width) {
  Type i32 = b.getI32Type();
  Value largest = b.loop(
      b.index(0), b.index(d), {emitIntegers(b, 0, width)},
      [&](Value at, ValueRange carried) {
        Value bits = bitcast(b, b.load(vector, {at}, width), i32);
        return Values{b.max(both(b, bits, emitIntegers(b, 0x7fffffff, width)), carried[0])};
      },
      width)[0];
  return vector::ReductionOp::create(b, vector::CombiningKind::MAXSI, largest);
}

static Value emitFits(LoopBuilder &b, Value largest) {
  return b.cmp(CmpIPredicate::slt, largest, b.i32(kMostExponent << 23));
}

Magnitude cpu::emitMagnitude(LoopBuilder &b, Value vector, int64_t d, int64_t width) {
  Value largest = emitLargest(b, vector, d, width);
  return {bitcast(b, largest, b.getF32Type()), emitFits(b, largest)};
}

Quantized cpu::emitQuantized(LoopBuilder &b, Value vector, int64_t d, int64_t width, int64_t bits,
                             llvm::function_ref<void(Value at, Value pairs)> keep) {
  Type i32 = b.getI32Type(), wide = b.floats(width);
  auto integers = [&](int64_t value) { return emitIntegers(b, value, width); };
  Value largest = emitLargest(b, vector, d, width);
  Quantized result;
  result.fits = emitFits(b, largest);
  Value exponent = b.max(arith::ShRUIOp::create(b, largest, b.i32(23)), b.i32(kLeastExponent));
  result.scale = powerOfTwo(b, b.sub(b.i32(253 + bits), exponent));
  result.unit = powerOfTwo(b, b.sub(exponent, b.i32(bits - 1)));
  // What does not fit has no integers.
  Value mask = b.splat(b.select(result.fits, b.i32(-1), b.i32(0)), VectorType::get({width}, i32));
  Value scale = b.splat(result.scale, wide);
  // What is rounded up to one more bit becomes the largest of fewer; the rest says so.
  Value most = b.f32(double((1 << bits) - 1), wide), least = b.f32(-double((1 << bits) - 1), wide);
  Values sums(2, b.f32(0, wide));
  auto quantize = [&](Value at, Values &sums) -> Value {
    Value x = bitcast(b, both(b, bitcast(b, b.load(vector, {at}, width), i32), mask), b.getF32Type());
    x = b.mul(x, scale);
    Value rounded = math::RoundEvenOp::create(b, x);
    rounded = b.select(b.cmp(CmpFPredicate::OGT, rounded, most), most, rounded);
    rounded = b.select(b.cmp(CmpFPredicate::OLT, rounded, least), least, rounded);
    Value rest = b.sub(x, rounded);
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
  result.norm = emitNorm(b, sums[0]);
  result.miss = emitNorm(b, sums[1]);
  return result;
}

void cpu::emitTranspose(LoopBuilder &b, MutableArrayRef<Value> rows) {
  int64_t width = rows.size();
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

//===----------------------------------------------------------------------===//
// Rows of bytes
//===----------------------------------------------------------------------===//

Value cpu::loadBytes(LoopBuilder &b, Value row, Value at, VectorType type) {
  auto bytes = VectorType::get({type.getDimSize(0) * type.getElementTypeBitWidth() / 8}, b.getI8Type());
  return vector::BitCastOp::create(b, type, vector::LoadOp::create(b, bytes, row, ValueRange{at}));
}

void cpu::storeBytes(LoopBuilder &b, Value vector, Value row, Value at) {
  auto type = cast<VectorType>(vector.getType());
  auto bytes = VectorType::get({type.getDimSize(0) * type.getElementTypeBitWidth() / 8}, b.getI8Type());
  vector::StoreOp::create(b, vector::BitCastOp::create(b, bytes, vector), row, ValueRange{at});
}

PackedKeys::PackedKeys(LoopBuilder &b, int64_t n, int64_t d, int64_t width, bool dots)
    : b(b), n(n), d(d), width(width), dots(dots), quads(Quads::areTaken(d, width)),
      words(llvm::alignTo(d, elements() * width) / elements()) {}

Value PackedKeys::boundsAt(Bound which, Value j) {
  return b.add(b.index(kBoundsFrom + 4 * which * capacityOf(n)), b.mul(j, b.index(4)));
}

Value PackedKeys::wordsAt(Value block, Value word, Value key) {
  Value vector = b.add(b.mul(block, b.index(words)), word);
  return b.add(b.index(wordsFrom(n)), b.mul(b.add(b.mul(vector, b.index(blockKeys())), key), b.index(elements())));
}

Value PackedKeys::emitIsMade(Value row) {
  Value first = memref::LoadOp::create(b, row, ValueRange{b.index(0)});
  return b.cmp(CmpIPredicate::ne, first, arith::ConstantOp::create(b, b.getI8IntegerAttr(0)));
}

Value PackedKeys::emitFits(Value row) {
  Value first = memref::LoadOp::create(b, row, ValueRange{b.index(0)});
  return b.cmp(CmpIPredicate::eq, first, arith::ConstantOp::create(b, b.getI8IntegerAttr(kFits)));
}

Value PackedKeys::loadBounds(Value row, Bound which, Value j) {
  return loadBytes(b, row, boundsAt(which, j), cast<VectorType>(b.floats(width)));
}

Value PackedKeys::loadWord(Value row, Value block, Value word, int64_t v) {
  Value at = wordsAt(block, word, b.index(v * width));
  if (quads)
    return loadBytes(b, row, at, VectorType::get({width}, b.getI32Type()));
  auto type = VectorType::get({2 * width}, b.getIntegerType(16));
  auto bytes = VectorType::get({2 * width}, b.getI8Type());
  return arith::ExtSIOp::create(b, type, loadBytes(b, row, at, bytes));
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

// Of pairs one per turn: of two, LLVM takes the second's products and sums apart, to shorten a chain that nobody waits for.
int64_t PackedKeys::wordsTogether() const { return quads ? Quads(d, width, dots).together() : 1; }

std::pair<Quantized, Value> PackedKeys::emitQuery(Value query, int64_t bits,
                                                  llvm::function_ref<void(Value at, Value words)> keep) {
  if (quads)
    return Quads(d, width, dots).emitQuery(b, query, keep);
  return {emitQuantized(b, query, d, width, bits, keep), b.i32(0)};
}

Value PackedKeys::emitProducts(ValueRange keys, ValueRange query, Value sum) {
  if (quads)
    return Quads(d, width, dots).emitProducts(b, keys, query, sum);
  StringRef name = "llvm.x86.avx512.pmaddw.d.512";
  Value pairs = vector::BitCastOp::create(b, keys[0].getType(), query[0]);
  Value products =
      LLVM::CallIntrinsicOp::create(b, sum.getType(), b.getStringAttr(name), ValueRange{pairs, keys[0]}).getResult(0);
  return b.add(sum, products);
}

//===----------------------------------------------------------------------===//
// Packing
//===----------------------------------------------------------------------===//

void PackedKeys::allocate() {
  row = b.heap({PackKeysOp::getRowBytes(n, d)}, b.getI8Type());
  square = b.heap({width, words}, b.getI32Type());
  follows = b.stack({kBounds, width}, b.getF32Type());
  fit = b.stack({1}, b.getI32Type());
}

void PackedKeys::free() {
  b.free(row);
  b.free(square);
}

Quantized PackedKeys::emitKey(Value key, Value lane) {
  auto keep = [&](Value at, Value words) { b.store(words, square, {lane, at}); };
  return quads ? Quads(d, width, dots).emitKey(b, key, keep) : emitQuantized(b, key, d, width, kBits, keep);
}

Value PackedKeys::emitBytes(Value words) {
  if (quads)
    return words;
  // The low bytes of both halves.
  auto integers = [&](int64_t value) { return emitIntegers(b, value, width); };
  Value high = both(b, arith::ShRUIOp::create(b, words, integers(8)), integers(0xff00));
  return arith::TruncIOp::create(b, VectorType::get({width}, b.getIntegerType(16)),
                                 either(b, high, both(b, words, integers(0xff))));
}

void PackedKeys::emitKeys(Value keys, Value row) {
  b.store(b.i32(kFits), fit, {b.index(0)});
  auto emitGroup = [&](Value group) {
    b.loop(width, [&](Value lane) {
      Value j = b.add(group, lane), isKey = b.cmp(CmpIPredicate::ult, j, b.index(n));
      Value key = b.slice(keys, {b.select(isKey, j, b.index(n - 1))});
      Quantized q = emitKey(key, lane);
      // What fills the last block has no scores: nothing that is not a number is a candidate or a maximum.
      Value unit = b.select(isKey, q.unit, b.f32(std::numeric_limits<double>::quiet_NaN()));
      b.store(unit, follows, {b.index(Unit), lane});
      b.store(b.mul(q.norm, unit), follows, {b.index(Norm), lane});
      b.store(b.mul(q.miss, unit), follows, {b.index(Miss), lane});
      b.store(b.select(q.fits, b.load(fit, {b.index(0)}), b.i32(kFitsNot)), fit, {b.index(0)});
    });
    for (Bound which : {Unit, Norm, Miss})
      storeBytes(b, b.load(follows, {b.index(which), b.index(0)}, width), row, boundsAt(which, group));
    Value block = b.div(group, b.index(blockKeys())), first = b.rem(group, b.index(blockKeys()));
    b.loop(
        b.index(0), b.index(words),
        [&](Value at) {
          Values columns;
          for (int64_t lane = 0; lane < width; ++lane)
            columns.push_back(b.load(square, {b.index(lane), at}, width));
          emitTranspose(b, columns);
          for (auto [word, column] : llvm::enumerate(columns))
            storeBytes(b, emitBytes(column), row, wordsAt(block, b.add(at, b.index(word)), first));
        },
        width);
  };
  b.loop(b.index(0), b.index(paddedKeys()), emitGroup, width);
  Value state = arith::TruncIOp::create(b, b.getI8Type(), b.load(fit, {b.index(0)}));
  memref::StoreOp::create(b, state, row, ValueRange{b.index(0)});
}

static void emitPackKeys(PackKeysOp op, LoopBuilder &b, const VectorOptions &options) {
  Value keys = op.getKeys();
  PackedKeys packed(b, b.staticDim(keys, 2), b.staticDim(keys, 3), options.width, options.dots);
  packed.allocate();
  std::optional<TileScores> tiles;
  Value tiled;
  if (options.tiles) {
    tiles.emplace(b, b.staticDim(keys, 2), b.staticDim(keys, 3));
    tiled = TileScores::emitIsAllowed(b);
  }
  b.loop(b.dim(keys, 0), [&](Value h) {
    b.loop(b.dim(keys, 1), [&](Value p) {
      Value matrix = b.slice(keys, {h, p}), row = b.slice(op.getPacked(), {h, p});
      packed.emitKeys(matrix, row);
      if (tiles)
        b.ifThen(tiled, [&] { tiles->emitKeys(matrix, row); });
    });
  });
  if (tiles)
    tiles->free();
  packed.free();
}

void cpu::addPackKeys(LoopEmitters &emitters) {
  emitters.vectors<PackKeysOp>(
      {.emit = emitPackKeys, .tileSizes = [](PackKeysOp) { return tile({{"h", 1}, {"p", 1}}); }});
}
