//===- TileScores.cpp - scores as products of tiles of bf16 --------------===//

#include "TileScores.h"

#include "artifact/format.h"
#include "lowering/cpu/PackedKeys.h"
#include "lowering/emit/Calls.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace peer;
using namespace peer::cpu;
using arith::CmpFPredicate;
using arith::CmpIPredicate;

/// Vectors of norms from here on have no bounds: scores might overflow.
static const double kMostNorm = std::ldexp(1.0, 56);
/// A norm is at most this much larger than its computed value.
static constexpr double kNormError = 1.0 / 1024;
/// Rows of a tile, and their bytes: 16 f32, or 16 pairs of bf16.
static constexpr int64_t kRows = 16, kRowBytes = 64, kTileBytes = kRows * kRowBytes;

TileScores::TileScores(LoopBuilder &b, int64_t n, int64_t d)
    : b(b), n(n), d(d), steps(llvm::divideCeil(d, 2 * kWidth)) {
  Type f32 = b.getF32Type(), i32 = b.getI32Type();
  config = b.stack({kRowBytes}, b.getI8Type());
  keyTiles = b.heap({paddedKeys() / kRows, steps, kRows, kWidth}, i32);
  queries = b.heap({kTokens, steps * kWidth}, i32);
  square = b.heap({kRows, steps * kWidth}, i32);
  norms = b.heap({paddedKeys()}, f32);
  misses = b.stack({kRows}, f32);
  ratio = b.stack({1}, f32);
  fit = b.stack({1}, i32);
}

void TileScores::free() {
  for (Value buffer : {keyTiles, queries, square, norms})
    b.free(buffer);
}

//===----------------------------------------------------------------------===//
// Registers of tiles
//===----------------------------------------------------------------------===//

Value TileScores::emitIsAllowed(LoopBuilder &b) {
  Value allowed = callHook(b, format::symbol::kTiles, {}, {b.getI64Type()}).getResult(0);
  return b.cmp(CmpIPredicate::ne, allowed, b.i64(0));
}

void TileScores::emitTile(StringRef name, ArrayRef<int> tiles, ValueRange operands) {
  Values all;
  for (int tile : tiles)
    all.push_back(LLVM::ConstantOp::create(b, b.getI8Type(), b.getI8IntegerAttr(tile)));
  llvm::append_range(all, operands);
  LLVM::CallIntrinsicOp::create(b, b.getStringAttr(("llvm.x86." + name).str()), all);
}

Value TileScores::pointer(Value buffer, Value byte) {
  Value address = b.add(memref::ExtractAlignedPointerAsIndexOp::create(b, buffer), byte);
  return LLVM::IntToPtrOp::create(b, LLVM::LLVMPointerType::get(b.getContext()), toI64(b, address));
}

void TileScores::emitBegin() {
  // Palette 1; bytes of a row as 16 bits from the 16th byte on, rows from the 48th on.
  SmallVector<int8_t> bytes(kRowBytes, 0);
  bytes[0] = 1;
  for (int64_t tile = 0; tile < 8; ++tile)
    bytes[16 + 2 * tile] = kRowBytes, bytes[48 + tile] = kRows;
  auto type = VectorType::get({kRowBytes}, b.getI8Type());
  Value all = arith::ConstantOp::create(b, DenseElementsAttr::get(type, ArrayRef(bytes)));
  vector::StoreOp::create(b, all, config, ValueRange{b.index(0)});
  emitTile("ldtilecfg", {}, {pointer(config, b.index(0))});
}

void TileScores::emitEnd() { emitTile("tilerelease", {}); }

void TileScores::emitProducts(Value scores) {
  int64_t columns = b.staticDim(scores, 1), queryBytes = steps * kRowBytes;
  Value queryStride = b.i64(queryBytes), keyStride = b.i64(kRowBytes), scoreStride = b.i64(4 * columns);
  // Tiles 0 to 3 are sums, 4 and 5 queries, 6 and 7 keys.
  b.loop(
      b.index(0), b.index(paddedKeys() / kRows),
      [&](Value block) {
        for (int sum = 0; sum < 4; ++sum)
          emitTile("tilezero", {sum});
        b.loop(steps, [&](Value step) {
          for (int part = 0; part < 2; ++part) {
            Value row = b.add(b.index(part * kRows * queryBytes), b.mul(step, b.index(kRowBytes)));
            emitTile("tileloadd64", {4 + part}, {pointer(queries, row), queryStride});
            Value tile = b.add(b.mul(b.add(block, b.index(part)), b.index(steps)), step);
            emitTile("tileloadd64", {6 + part}, {pointer(keyTiles, b.mul(tile, b.index(kTileBytes))), keyStride});
          }
          for (int sum = 0; sum < 4; ++sum)
            emitTile("tdpbf16ps", {sum, 4 + sum / 2, 6 + sum % 2});
        });
        for (int sum = 0; sum < 4; ++sum) {
          Value first = b.mul(b.add(block, b.index(sum % 2)), b.index(kRowBytes));
          emitTile("tilestored64", {sum},
                   {pointer(scores, b.add(first, b.index(sum / 2 * kRows * 4 * columns))), scoreStride});
        }
      },
      2);
}

//===----------------------------------------------------------------------===//
// Rounding
//===----------------------------------------------------------------------===//

Value TileScores::emitNorm(Value squares) {
  // Squares of less than 2^-75 are nothing in f32.
  Value least = b.f32(std::ldexp(std::sqrt(double(d)), -73));
  return b.fma(b.sqrt(b.sumLanes(squares)), b.f32(1 + kNormError), least);
}

TileScores::Norms TileScores::emitRounded(Value vector, llvm::function_ref<void(Value at, Value pairs)> keep) {
  auto integers = [&](int64_t value) { return emitIntegers(b, value, kWidth); };
  auto type = cast<VectorType>(b.floats(kWidth));
  // The upper half of a word, rounded to the nearest. Tiles take what has no exponent for 0.
  auto round = [&](Value at, Values &sums) {
    Value x = b.load(vector, {at}, kWidth);
    Value bits = vector::BitCastOp::create(b, type.clone(b.getI32Type()), x);
    Value rounded = both(b, b.add(bits, integers(0x8000)), integers(-0x10000));
    Value isNormal = b.cmp(CmpIPredicate::ne, both(b, rounded, integers(0x7f800000)), integers(0));
    rounded = b.select(isNormal, rounded, integers(0));
    Value rest = b.sub(x, vector::BitCastOp::create(b, type, rounded));
    sums = {b.fma(x, x, sums[0]), b.fma(rest, rest, sums[1])};
    return rounded;
  };
  Values sums(2, b.f32(0, type));
  int64_t whole = d / (2 * kWidth);
  auto low = [&](Value rounded) { return arith::ShRUIOp::create(b, rounded, integers(16)); };
  if (whole > 0)
    sums = b.loop(
        b.index(0), b.index(whole * 2 * kWidth), sums,
        [&](Value at, ValueRange carried) {
          Values now(carried);
          Value first = round(at, now), second = round(b.add(at, b.index(kWidth)), now);
          keep(b.div(at, b.index(2)), either(b, low(first), second));
          return now;
        },
        2 * kWidth);
  if (whole < steps)
    keep(b.index(whole * kWidth), low(round(b.index(whole * 2 * kWidth), sums)));
  return {emitNorm(sums[0]), emitNorm(sums[1])};
}

void TileScores::emitKeys(Value keys) {
  Type wide = b.floats(kWidth);
  Value iota = emitIota(b, kWidth), most = b.f32(kMostNorm, wide);
  Values init{b.f32(0, wide), b.i64(0xffff)};
  Values results = b.loop(
      b.index(0), b.index(paddedKeys()), init,
      [&](Value group, ValueRange carried) {
        b.loop(kRows, [&](Value lane) {
          Value j = b.add(group, lane), last = b.index(n - 1);
          Value key = b.slice(keys, {b.select(b.cmp(CmpIPredicate::ult, j, last), j, last)});
          Norms found = emitRounded(key, [&](Value at, Value pairs) { b.store(pairs, square, {lane, at}); });
          b.store(found.norm, norms, {j});
          b.store(found.miss, misses, {lane});
        });
        Value norm = b.load(norms, {group}, kWidth), share = b.div(b.load(misses, {b.index(0)}, kWidth), norm);
        Value isKey =
            b.cmp(CmpIPredicate::slt, b.add(iota, b.splat(b.toI32(group), iota.getType())), emitIntegers(b, n, kWidth));
        b.store(b.select(isKey, norm, b.f32(std::numeric_limits<double>::quiet_NaN(), wide)), norms, {group});
        b.loop(steps, [&](Value step) {
          Values rows;
          for (int64_t row = 0; row < kRows; ++row)
            rows.push_back(b.load(square, {b.index(row), b.mul(step, b.index(kWidth))}, kWidth));
          emitTranspose(b, rows);
          for (int64_t row = 0; row < kRows; ++row)
            b.store(rows[row], keyTiles, {b.div(group, b.index(kRows)), step, b.index(row), b.index(0)});
        });
        return Values{emitMax(b, share, carried[0]),
                      both(b, carried[1], emitBits(b, b.cmp(CmpFPredicate::OLT, norm, most)))};
      },
      kRows);
  b.store(b.mul(b.maxLanes(results[0]), b.f32(1 + kNormError)), ratio, {b.index(0)});
  b.store(arith::TruncIOp::create(b, b.getI32Type(), results[1]), fit, {b.index(0)});
}

TileScores::QueryBound TileScores::emitQuery(Value query, Value t) {
  Norms found = emitRounded(query, [&](Value at, Value pairs) { b.store(pairs, queries, {t, at}); });
  Value numbers = b.cmp(CmpFPredicate::OLT, found.norm, b.f32(kMostNorm));
  Value fits = b.cmp(CmpIPredicate::eq, b.load(fit, {b.index(0)}), b.i32(0xffff));
  // A sum of d products is off by less than d parts in 2^24 of |q| |c|, whatever its order, and there are two; the bound itself by a few.
  Value own = b.fma(b.f32(double(2 * d + 64) / (1 << 24)), found.norm, found.miss);
  return {both(b, numbers, fits), b.fma(b.add(found.norm, found.miss), b.load(ratio, {b.index(0)}), own)};
}

Value TileScores::loadNorms(Value j) { return b.load(norms, {j}, kWidth); }
