//===- Quads.cpp - integers of 8 bits that are multiplied four at a time -===//

#include "Quads.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace peer;
using namespace peer::cpu;
using arith::CmpFPredicate;

/// Integers of a word.
static constexpr int64_t kBytes = 4;
/// Below it, a vector has less precise integers.
static const double kLeastMagnitude = std::ldexp(1.0, -100);

/// The largest of all sums that words of a query that are multiplied at once have, in each half, of its elements of one sign.
Value Quads::emitLargestSum(LoopBuilder &b, Value vector) const {
  Type wide = b.floats(width);
  auto magnitude = [&](Value x) -> Value { return math::AbsFOp::create(b, x); };
  // Of all lanes whose words are added together.
  auto joined = [&](Value x) {
    for (int64_t part = 1; part < kTogether; part *= 2) {
      SmallVector<int64_t> partners;
      for (int64_t lane = 0; lane < width; ++lane)
        partners.push_back(lane ^ part);
      x = b.add(x, vector::ShuffleOp::create(b, x, x, partners));
    }
    return x;
  };
  auto offer = [&](ArrayRef<Value> elements, Value largest) {
    Value sum = elements[0], size = magnitude(elements[0]);
    for (Value x : elements.drop_front())
      sum = b.add(sum, x), size = b.add(size, magnitude(x));
    return emitMax(b, b.add(joined(size), magnitude(joined(sum))), largest);
  };
  auto load = [&](Value at, int64_t part) { return b.load(vector, {b.add(at, b.index(part * width))}, width); };
  int64_t block = kBytes * width, full = d / block * block;
  Value largest = b.f32(0, wide);
  if (full > 0)
    largest = b.loop(
        b.index(0), b.index(full), {largest},
        [&](Value at, ValueRange carried) {
          Value first = offer({load(at, 0), load(at, 1)}, carried[0]);
          return Values{offer({load(at, 2), load(at, 3)}, first)};
        },
        block)[0];
  for (int64_t at = full; at < d; at += 2 * width) {
    Values elements{load(b.index(at), 0)};
    if (at + width < d)
      elements.push_back(load(b.index(at), 1));
    largest = offer(elements, largest);
  }
  return b.mul(b.maxLanes(largest), b.f32(0.5));
}

/// A vector's elements times `scale` as integers, and the sum of these (i32); words of integers of `added` more.
std::pair<Quantized, Value> Quads::emitWords(LoopBuilder &b, Value vector, Value fits, Value scale, int64_t added,
                                             llvm::function_ref<void(Value at, Value words)> keep) const {
  Type i32 = b.getI32Type(), wide = b.floats(width);
  auto type = VectorType::get({width}, i32);
  auto integers = [&](int64_t value) { return emitIntegers(b, value, width); };
  // What does not fit has no integers.
  scale = b.select(fits, scale, b.f32(1));
  Value mask = b.splat(b.select(fits, b.i32(-1), b.i32(0)), type), factor = b.splat(scale, wide);
  auto quantize = [&](Value at, Values &sums) -> Value {
    Value bits = arith::BitcastOp::create(b, type, b.load(vector, {at}, width));
    Value x = b.mul(arith::BitcastOp::create(b, wide, both(b, bits, mask)), factor);
    Value rounded = math::RoundEvenOp::create(b, x), rest = b.sub(x, rounded);
    Value integer = arith::FPToSIOp::create(b, type, rounded);
    sums = {b.fma(x, x, sums[0]), b.fma(rest, rest, sums[1]), b.add(sums[2], integer)};
    return b.add(integer, integers(added));
  };
  auto block = [&](Value at, int64_t vectors, Values &sums) {
    Value word;
    for (int64_t i = 0; i < vectors; ++i) {
      Value byte = quantize(b.add(at, b.index(i * width)), sums);
      if (added == 0 && i + 1 < kBytes)
        byte = both(b, byte, integers(0xff));
      byte = arith::ShLIOp::create(b, byte, integers(8 * i));
      word = word ? either(b, word, byte) : byte;
    }
    keep(b.div(at, b.index(kBytes)), word);
  };
  Values sums{b.f32(0, wide), b.f32(0, wide), integers(0)};
  int64_t full = d / (kBytes * width) * kBytes * width;
  if (full > 0)
    sums = b.loop(
        b.index(0), b.index(full), sums,
        [&](Value at, ValueRange carried) {
          Values now(carried);
          block(at, kBytes, now);
          return now;
        },
        kBytes * width);
  if (full < d)
    block(b.index(full), (d - full) / width, sums);
  Quantized result{fits, scale, b.div(b.f32(1), scale), emitNorm(b, sums[0]), emitNorm(b, sums[1])};
  return {result, vector::ReductionOp::create(b, vector::CombiningKind::ADD, sums[2])};
}

static Value scaleOf(LoopBuilder &b, double most, Value largest) {
  return b.div(b.f32(most), emitMax(b, largest, b.f32(kLeastMagnitude)));
}

Quantized Quads::emitKey(LoopBuilder &b, Value vector, llvm::function_ref<void(Value at, Value words)> keep) const {
  Magnitude largest = emitMagnitude(b, vector, d, width);
  return emitWords(b, vector, largest.fits, scaleOf(b, mostKey(), largest.value), offset(), keep).first;
}

std::pair<Quantized, Value> Quads::emitQuery(LoopBuilder &b, Value vector,
                                             llvm::function_ref<void(Value at, Value words)> keep) const {
  Magnitude largest = emitMagnitude(b, vector, d, width);
  Value scale = scaleOf(b, 127, largest.value);
  if (!dots) {
    // Each element may be rounded up by a half, and the sums themselves are rounded.
    Value bySums = scaleOf(b, double(mostSum() - kTogether) - 0.5, emitLargestSum(b, vector));
    scale = b.select(b.cmp(CmpFPredicate::OLT, bySums, scale), bySums, scale);
  }
  auto [integers, sum] = emitWords(b, vector, largest.fits, scale, 0, keep);
  return {integers, b.mul(sum, b.i32(-offset()))};
}

Value Quads::emitProducts(LoopBuilder &b, ValueRange keys, ValueRange query, Value sum) const {
  auto halves = VectorType::get({2 * width}, b.getIntegerType(16));
  auto bytes = VectorType::get({4 * width}, b.getI8Type());
  auto call = [&](StringRef name, Type type, ValueRange operands) {
    return LLVM::CallIntrinsicOp::create(b, type, b.getStringAttr(("llvm.x86." + name).str()), operands).getResult(0);
  };
  if (dots)
    return call(width == 8 ? "avx512.vpdpbusd.256" : "avx512.vpdpbusd.512", sum.getType(),
                {sum, vector::BitCastOp::create(b, bytes, keys[0]), vector::BitCastOp::create(b, bytes, query[0])});
  Value products;
  for (auto [key, own] : llvm::zip(keys, query)) {
    Value pairs = call(width == 8 ? "avx2.pmadd.ub.sw" : "avx512.pmaddubs.w.512", halves,
                       {vector::BitCastOp::create(b, bytes, key), vector::BitCastOp::create(b, bytes, own)});
    products = products ? b.add(products, pairs) : pairs;
  }
  Value ones = arith::ConstantOp::create(b, DenseElementsAttr::get(halves, int16_t(1)));
  return b.add(sum, call(width == 8 ? "avx2.pmadd.wd" : "avx512.pmaddw.d.512", sum.getType(), {products, ones}));
}
