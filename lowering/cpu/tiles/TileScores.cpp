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
/// Rows of a tile, and their bytes: 16 f32, or 16 pairs of bf16.
static constexpr int64_t kRows = 16, kRowBytes = 64, kTileBytes = kRows * kRowBytes;

TileScores::TileScores(LoopBuilder &b, int64_t n, int64_t d)
    : b(b), n(n), d(d), steps(llvm::divideCeil(d, 2 * kWidth)) {
  Type f32 = b.getF32Type(), i32 = b.getI32Type();
  config = b.stack({kRowBytes}, b.getI8Type());
  queries = b.heap({kTokens, steps * kWidth}, i32);
  square = b.heap({kRows, steps * kWidth}, i32);
  keyNorms = b.stack({kRows}, f32);
  misses = b.stack({kRows}, f32);
  scores = b.stack({2, kTokens, kKeys}, f32);
}

void TileScores::free() {
  b.free(queries);
  b.free(square);
}

//===----------------------------------------------------------------------===//
// Keys in rows of bytes
//===----------------------------------------------------------------------===//

/// In the header of a row: whether there are tiles and bounds of their scores, and the largest |c - c'| / |c|.
static constexpr int64_t kStateAt = PackedKeys::kTileWords, kRatioAt = kStateAt + 4;

Value TileScores::normsAt(Value j) { return b.add(b.index(PackedKeys::tilesFrom(n, d)), b.mul(j, b.index(4))); }

Value TileScores::tilesAt(Value tile) {
  return b.add(b.index(PackedKeys::tilesFrom(n, d) + 4 * PackedKeys::capacityOf(n)), b.mul(tile, b.index(kTileBytes)));
}

static Value loadWord(LoopBuilder &b, Value row, int64_t at, Type type) {
  return vector::ExtractOp::create(b, loadBytes(b, row, b.index(at), VectorType::get({1}, type)), 0);
}

Value TileScores::emitIsMade(Value row) {
  return b.cmp(CmpIPredicate::ne, loadWord(b, row, kStateAt, b.getI32Type()), b.i32(0));
}

void TileScores::setKeys(Value of) {
  row = of;
  keyAddress = emitAddress(b, row);
  ratio = loadWord(b, row, kRatioAt, b.getF32Type());
  fits = b.cmp(CmpIPredicate::eq, loadWord(b, row, kStateAt, b.getI32Type()), b.i32(PackedKeys::kFits));
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

Value TileScores::emitAddress(LoopBuilder &b, Value buffer) {
  auto type = cast<MemRefType>(buffer.getType());
  Value address = memref::ExtractAlignedPointerAsIndexOp::create(b, buffer);
  if (type.getLayout().isIdentity())
    return address;
  auto parts = memref::ExtractStridedMetadataOp::create(b, buffer);
  return b.add(address, b.mul(parts.getOffset(), b.index(type.getElementTypeBitWidth() / 8)));
}

Value TileScores::pointer(Value address, Value byte) {
  return LLVM::IntToPtrOp::create(b, LLVM::LLVMPointerType::get(b.getContext()), toI64(b, b.add(address, byte)));
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
  emitTile("ldtilecfg", {}, {pointer(emitAddress(b, config), b.index(0))});
}

void TileScores::emitEnd() { emitTile("tilerelease", {}); }

void TileScores::emitBlock(Value block, Value scores) {
  int64_t queryBytes = steps * kRowBytes;
  Value queryAddress = emitAddress(b, queries), scoreAddress = emitAddress(b, scores);
  Value queryStride = b.i64(queryBytes), keyStride = b.i64(kRowBytes), scoreStride = b.i64(4 * kKeys);
  Value first = b.mul(block, b.index(2)), last = b.index(paddedKeys() / kRows - 2);
  Value next = b.min(b.add(first, b.index(2)), last);
  // Tiles 0 to 3 are sums, 4 and 5 queries, 6 and 7 keys.
  for (int sum = 0; sum < 4; ++sum)
    emitTile("tilezero", {sum});
  b.loop(steps, [&](Value step) {
    for (int part = 0; part < 2; ++part) {
      auto tileOf = [&](Value from) { return tilesAt(b.add(b.mul(b.add(from, b.index(part)), b.index(steps)), step)); };
      Value row = b.add(b.index(part * kRows * queryBytes), b.mul(step, b.index(kRowBytes)));
      emitTile("tileloadd64", {4 + part}, {pointer(queryAddress, row), queryStride});
      emitTile("tileloadd64", {6 + part}, {pointer(keyAddress, tileOf(first)), keyStride});
      // Of the next block, whose tiles nothing else asks for before they are multiplied.
      Value later = tileOf(next);
      for (int64_t line = 0; line < kRows; ++line)
        memref::PrefetchOp::create(b, this->row, ValueRange{b.add(later, b.index(line * kRowBytes))}, /*isWrite=*/false,
                                   /*localityHint=*/3, /*isDataCache=*/true);
    }
    for (int sum = 0; sum < 4; ++sum)
      emitTile("tdpbf16ps", {sum, 4 + sum / 2, 6 + sum % 2});
  });
  for (int sum = 0; sum < 4; ++sum)
    emitTile("tilestored64", {sum},
             {pointer(scoreAddress, b.index(sum / 2 * kRows * 4 * kKeys + sum % 2 * kRowBytes)), scoreStride});
}

void TileScores::emitProducts(llvm::function_ref<void(Value block, Value scores)> filter) {
  // A block's scores are looked at while the next one's are formed: vectors and tiles have units of their own.
  Value blocks = b.index(paddedKeys() / kKeys);
  auto half = [&](Value block) { return b.slice(scores, {b.rem(block, b.index(2))}); };
  emitBlock(b.index(0), half(b.index(0)));
  b.loop(b.index(1), blocks, [&](Value block) {
    Value before = b.sub(block, b.index(1));
    emitBlock(block, half(block));
    filter(before, half(before));
  });
  Value last = b.sub(blocks, b.index(1));
  filter(last, half(last));
}

//===----------------------------------------------------------------------===//
// Rounding
//===----------------------------------------------------------------------===//

Value TileScores::emitBound(Value squares) {
  // Squares of less than 2^-75 are nothing in f32.
  return b.add(emitNorm(b, squares), b.f32(std::ldexp(std::sqrt(double(d)), -73)));
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
  return {emitBound(sums[0]), emitBound(sums[1])};
}

void TileScores::emitKeys(Value keys, Value row) {
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
          b.store(found.norm, keyNorms, {lane});
          b.store(found.miss, misses, {lane});
        });
        Value norm = b.load(keyNorms, {b.index(0)}, kWidth), share = b.div(b.load(misses, {b.index(0)}, kWidth), norm);
        Value isKey =
            b.cmp(CmpIPredicate::slt, b.add(iota, b.splat(b.toI32(group), iota.getType())), emitIntegers(b, n, kWidth));
        storeBytes(b, b.select(isKey, norm, b.f32(std::numeric_limits<double>::quiet_NaN(), wide)), row,
                   normsAt(group));
        b.loop(steps, [&](Value step) {
          Values rows;
          for (int64_t lane = 0; lane < kRows; ++lane)
            rows.push_back(b.load(square, {b.index(lane), b.mul(step, b.index(kWidth))}, kWidth));
          emitTranspose(b, rows);
          Value tile = b.add(b.mul(b.div(group, b.index(kRows)), b.index(steps)), step);
          for (int64_t lane = 0; lane < kRows; ++lane)
            storeBytes(b, rows[lane], row, b.add(tilesAt(tile), b.index(lane * kRowBytes)));
        });
        return Values{emitMax(b, share, carried[0]),
                      both(b, carried[1], emitBits(b, b.cmp(CmpFPredicate::OLT, norm, most)))};
      },
      kRows);
  auto storeWord = [&](Value word, int64_t at) {
    storeBytes(b, b.splat(word, VectorType::get({1}, word.getType())), row, b.index(at));
  };
  storeWord(b.mul(b.maxLanes(results[0]), b.f32(1 + kNormError)), kRatioAt);
  Value all = b.cmp(CmpIPredicate::eq, results[1], b.i64(0xffff));
  storeWord(b.select(all, b.i32(PackedKeys::kFits), b.i32(PackedKeys::kFitsNot)), kStateAt);
}

TileScores::QueryBound TileScores::emitQuery(Value query, Value t) {
  Norms found = emitRounded(query, [&](Value at, Value pairs) { b.store(pairs, queries, {t, at}); });
  Value numbers = b.cmp(CmpFPredicate::OLT, found.norm, b.f32(kMostNorm));
  // A sum of d products is off by less than d parts in 2^24 of |q| |c|, whatever its order, and there are two; the bound itself by a few.
  Value own = b.fma(b.f32(double(2 * d + 64) / (1 << 24)), found.norm, found.miss);
  return {both(b, numbers, fits), b.fma(b.add(found.norm, found.miss), ratio, own)};
}

Value TileScores::loadNorms(Value j) { return loadBytes(b, row, normsAt(j), cast<VectorType>(b.floats(kWidth))); }
