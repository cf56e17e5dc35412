//===- ScoreTile.cpp - scores of a tile of tokens, on the tensor cores ---===//

#include "ScoreTile.h"

#include "lowering/gpu/block/Alignment.h"
#include "lowering/gpu/block/LaneList.h"
#include "lowering/gpu/block/SharedTile.h"

#include "lowering/emit/RoutingBuilder.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;
using namespace peer;
using namespace peer::device;
using arith::CmpIPredicate;

/// 32-bit words of a slab per key, and from key to key: 8 keys and 4 words, a fragment, lie in 32 banks.
static constexpr int64_t kSlabWords = 32, kSlabStride = kSlabWords + 4;
/// Words from row to row of the scores: 4 rows and 4 pairs, half a warp's part of a fragment, lie in 32 banks.
static constexpr int64_t kScoreStride = kKeyChunk + 8;
/// Steps of a slab: 8 words deep, which a fragment is for tf32 and bf16 alike.
static constexpr int64_t kSteps = kSlabWords / 8;

//===----------------------------------------------------------------------===//
// Sizes
//===----------------------------------------------------------------------===//

ScoreShape ScoreShape::of(Value query, Value keys, int64_t rows) {
  auto ofKeys = cast<ShapedType>(keys.getType()), ofQuery = cast<ShapedType>(query.getType());
  return {rows, ofKeys.getDimSize(2), ofKeys.getDimSize(3), ofQuery.getElementType().isBF16(),
          ofKeys.getElementType().isBF16()};
}

int64_t ScoreShape::queryStride() const {
  int64_t columns = slabs() * slabColumns();
  // Pairs of f32 are read together where they become bf16.
  return packedQuery() ? columns / 2 + 4 : columns + (bf16Keys ? 8 : 4);
}

int64_t ScoreShape::queryBytes() const { return rows * queryStride() * 4; }

int64_t ScoreShape::workBytes() const { return 4 * std::max(2 * kKeyChunk * kSlabStride, rows * kScoreStride); }

ScoreTile::ScoreTile(BlockBuilder &b, Value query, Value keys, int64_t rows, SharedPlan &shared)
    : b(b), shape(ScoreShape::of(query, keys, rows)), query(query), keys(keys), lane(b) {
  queries = shared.words(shape.queryBytes() / 4);
  work = shared.words(shape.workBytes() / 4);
  // Warps side by side along the tokens, then along the keys.
  Value down = b.index(rows / 16), warp = b.warp();
  warpRow = b.mul(b.rem(warp, down), b.index(16));
  warpColumn = b.mul(b.div(warp, down), b.index(8 * columnTiles()));
}

//===----------------------------------------------------------------------===//
// Copies
//===----------------------------------------------------------------------===//

/// The most elements, up to `most`, that every row of a buffer can be read by.
static int64_t readWidth(Value buffer, int64_t most) {
  int64_t d = cast<MemRefType>(buffer.getType()).getShape().back();
  while (d % most != 0 || !hasAlignedRows(buffer, most))
    most /= 2;
  return most;
}

/// Some elements of a buffer, zeros where `inside` does not hold.
static Value emitRead(BlockBuilder &b, Value buffer, ValueRange at, int64_t lanes, Value inside) {
  Type element = cast<MemRefType>(buffer.getType()).getElementType();
  Type type = lanes == 1 ? element : VectorType::get({lanes}, element);
  return emitIf(
      b, inside, [&] { return Values{b.loadWide(buffer, at, lanes)}; },
      [&] { return Values{Value(arith::ConstantOp::create(b, b.getZeroAttr(type)))}; })[0];
}

/// Bits of bf16, two in a word; `read` gives `width` of them from a column on.
static Value emitWords(BlockBuilder &b, Value column, int64_t width, llvm::function_ref<Value(Value)> read) {
  Value v = read(column);
  if (width == 1)
    v = vector::FromElementsOp::create(b, VectorType::get({2}, b.getBF16Type()),
                                       ValueRange{v, read(b.add(column, b.index(1)))});
  return vector::BitCastOp::create(b, VectorType::get({std::max<int64_t>(width, 2) / 2}, b.getI32Type()), v);
}

void ScoreTile::loadQueries(Value first, Value head, Value half) {
  int64_t width = readWidth(query, 4), atATime = shape.packedQuery() ? std::max<int64_t>(width, 2) : width;
  int64_t perRow = shape.slabs() * shape.slabColumns() / atATime;
  Value tokens = b.dim(query, 0);
  b.forThreads(b.index(shape.rows * perRow), [&](Value piece) {
    Value row = b.div(piece, b.index(perRow)), place = b.rem(piece, b.index(perRow));
    Value token = b.add(first, row), present = b.cmp(CmpIPredicate::ult, token, tokens);
    Value start = b.mul(row, b.index(shape.queryStride())), column = b.mul(place, b.index(atATime));
    auto read = [&](Value c) {
      Value inside = both(b, present, b.cmp(CmpIPredicate::ult, c, b.index(shape.d)));
      return emitRead(b, query, {token, head, half, c}, width, inside);
    };
    if (shape.packedQuery())
      return queries.store(b, emitWords(b, column, width, read), b.add(start, b.mul(place, b.index(atATime / 2))));
    Value v = read(column);
    if (shape.bf16Query)
      v = arith::ExtFOp::create(b, b.floats(width), v);
    queries.store(b, v, b.add(start, column));
  });
}

/// Starts to copy a slab of the chunk's keys, zeros where there is none.
void ScoreTile::copySlab(Value head, Value half, Value first, Value slab) {
  int64_t perWord = shape.bf16Keys ? 2 : 1, width = readWidth(keys, 4 * perWord);
  int64_t words = width == 4 * perWord ? 4 : 1, perKey = kSlabWords / words, keysPerRound = b.threads() / perKey;
  Value keyHead = b.staticDim(keys, 0) == 1 ? b.index(0) : head, d = b.index(shape.d);
  Value thread = b.thread(), key = b.div(thread, b.index(perKey));
  Value word = b.mul(b.rem(thread, b.index(perKey)), b.index(words));
  Value number = b.add(first, key), start = b.mul(b.rem(slab, b.index(2)), b.index(kKeyChunk * kSlabStride));
  Value column = b.add(b.mul(slab, b.index(shape.slabColumns())), b.mul(word, b.index(perWord)));
  Value to = b.add(start, b.add(b.mul(key, b.index(kSlabStride)), word));
  Value source = b.globalAddress(keys, {keyHead, half, number, column});
  SmallVector<int64_t> strides;
  int64_t offset;
  [[maybe_unused]] auto known = cast<MemRefType>(keys.getType()).getStridesAndOffset(strides, offset);
  assert(succeeded(known) && !ShapedType::isDynamic(strides[2]) && "keys have static sizes");
  // Rounds differ by constants, which become part of the instructions.
  for (int64_t round = 0; round * keysPerRound < kKeyChunk; ++round) {
    int64_t keysBefore = round * keysPerRound;
    Value present = b.cmp(CmpIPredicate::slt, number, b.index(shape.n - keysBefore));
    if (width < perWord) {
      // Rows of an odd number of bf16 begin within words.
      auto read = [&](Value c) {
        Value inside = both(b, present, b.cmp(CmpIPredicate::ult, c, d));
        return emitRead(b, keys, {keyHead, half, b.add(number, b.index(keysBefore)), c}, 1, inside);
      };
      work.store(b, emitWords(b, column, 1, read), to, keysBefore * kSlabStride);
      continue;
    }
    // A copy of no bytes writes zeros, and reads nothing at the address.
    Value bytes = b.select(both(b, present, b.cmp(CmpIPredicate::ult, column, d)), b.i32(4 * words), b.i32(0));
    Value from = LLVM::GEPOp::create(b, source.getType(), cast<MemRefType>(keys.getType()).getElementType(), source,
                                     ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(keysBefore * strides[2])});
    auto cache = words == 4 ? NVVM::LoadCacheModifierKind::CG : NVVM::LoadCacheModifierKind::CA;
    NVVM::CpAsyncOp::create(b, work.pointer(b, to, keysBefore * kSlabStride), from, 4 * words, cache, bytes);
  }
  commitCopies(b);
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

/// The parts of a query fragment of bf16 whose sum is the f32 fragment, the largest first.
static SmallVector<FragmentA> splitIntoBf16(BlockBuilder &b, ArrayRef<std::pair<Value, Value>> pairs) {
  SmallVector<FragmentA> parts(3);
  for (size_t i = 0; i < 4; ++i) {
    auto [x, y] = pairs[i];
    for (size_t part = 0; part < 3; ++part) {
      Value bits = parts[part][i] = packBf16(b, x, y);
      auto asF32 = [&](Value v) { return arith::BitcastOp::create(b, b.getF32Type(), v); };
      x = b.sub(x, asF32(arith::ShLIOp::create(b, bits, b.i32(16))));
      y = b.sub(y, asF32(both(b, bits, b.i32(0xffff0000))));
    }
  }
  return parts;
}

/// Fragments of the warp's 16 queries at one step of a slab.
SmallVector<FragmentA> ScoreTile::queryParts(Value slab, int64_t step) {
  int64_t stride = shape.queryStride();
  Value row = b.mul(b.add(warpRow, lane.group), b.index(stride));
  if (shape.packedQuery() || !shape.bf16Keys) {
    Value word = b.add(b.add(row, b.mul(slab, b.index(kSlabWords))), lane.member);
    FragmentA fragment;
    for (int64_t i = 0; i < 4; ++i)
      fragment[i] = queries.load(b, b.getI32Type(), word, step * 8 + i % 2 * 8 * stride + i / 2 * 4);
    return {fragment};
  }
  Value word = b.add(b.add(row, b.mul(slab, b.index(2 * kSlabWords))), b.mul(lane.member, b.index(2)));
  SmallVector<std::pair<Value, Value>> pairs;
  for (int64_t i = 0; i < 4; ++i) {
    Value pair = queries.load(b, b.floats(2), word, step * 16 + i % 2 * 8 * stride + i / 2 * 8);
    pairs.push_back({vector::ExtractOp::create(b, pair, 0), vector::ExtractOp::create(b, pair, 1)});
  }
  return splitIntoBf16(b, pairs);
}

static Values flattened(ArrayRef<FragmentC> fragments) {
  Values flat;
  for (const FragmentC &fragment : fragments)
    flat.append(fragment.begin(), fragment.end());
  return flat;
}

static SmallVector<FragmentC> fragmentsOf(ValueRange flat) {
  SmallVector<FragmentC> fragments(flat.size() / 4);
  for (auto [i, value] : llvm::enumerate(flat))
    fragments[i / 4][i % 4] = value;
  return fragments;
}

/// The products of one slab; the warp's keys lie from `word` on.
SmallVector<FragmentC> ScoreTile::multiplyTiles(Value slab, Value word) {
  SmallVector<FragmentC> parts(columnTiles(), zeroFragment(b));
  auto toF32 = [&](Value bits) -> Value { return arith::BitcastOp::create(b, b.getF32Type(), bits); };
  for (int64_t step = 0; step < kSteps; ++step) {
    SmallVector<FragmentA> query = queryParts(slab, step);
    SplitA split;
    if (!shape.bf16Keys)
      split = splitA(b, {toF32(query[0][0]), toF32(query[0][1]), toF32(query[0][2]), toF32(query[0][3])});
    for (auto [tile, part] : llvm::enumerate(parts)) {
      FragmentB keyPart;
      for (int64_t i = 0; i < 2; ++i)
        keyPart[i] = work.load(b, b.getI32Type(), word, tile * 8 * kSlabStride + step * 8 + i * 4);
      if (!shape.bf16Keys)
        part = mmaSplit(b, split, splitB(b, {toF32(keyPart[0]), toF32(keyPart[1])}), part);
      else
        for (const FragmentA &a : llvm::reverse(query))
          part = mmaBf16(b, a, keyPart, part);
    }
  }
  return parts;
}

/// The sums and the products of one slab. The slab's are added up on their own first: tensor cores truncate their sums.
Values ScoreTile::multiplySlab(Value slab, ValueRange sums) {
  Value key = b.mul(b.add(warpColumn, lane.group), b.index(kSlabStride));
  Value start = b.mul(b.rem(slab, b.index(2)), b.index(kKeyChunk * kSlabStride));
  Values parts = flattened(multiplyTiles(slab, b.add(b.add(start, key), lane.member)));
  for (auto [part, sum] : llvm::zip(parts, sums))
    part = b.add(part, sum);
  return parts;
}

void ScoreTile::storeScores(ArrayRef<FragmentC> sums) {
  Value row = b.mul(b.add(warpRow, lane.group), b.index(kScoreStride));
  Value word = b.add(b.add(row, warpColumn), b.mul(lane.member, b.index(2)));
  for (auto [tile, sum] : llvm::enumerate(sums))
    for (int64_t i = 0; i < 2; ++i) {
      Value pair = vector::FromElementsOp::create(b, VectorType::get({2}, b.getF32Type()),
                                                  ValueRange{sum[2 * i], sum[2 * i + 1]});
      work.store(b, pair, word, tile * 8 + i * 8 * kScoreStride);
    }
}

void ScoreTile::multiply(Value head, Value half, Value first) {
  Value zero = b.index(0), one = b.index(1), slabs = b.index(shape.slabs());
  // Who read the scores of the last chunk must be done with them.
  b.barrier();
  copySlab(head, half, first, zero);
  Values zeros(4 * columnTiles(), b.f32(0));
  Values sums = b.loop(zero, slabs, zeros, [&](Value slab, ValueRange carried) {
    Value next = b.add(slab, one);
    awaitCopies(b, 0);
    b.barrier();
    // Whoever arrived is done with the slab before, whose place the next one takes.
    b.ifThen(b.cmp(CmpIPredicate::ult, next, slabs), [&] { copySlab(head, half, first, next); });
    return multiplySlab(slab, carried);
  });
  b.barrier();
  storeScores(fragmentsOf(sums));
  b.barrier();
}

Value ScoreTile::score(Value row, Value column) const {
  return work.load(b, b.getF32Type(), b.add(b.mul(row, b.index(kScoreStride)), column));
}
