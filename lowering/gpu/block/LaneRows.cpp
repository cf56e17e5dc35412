//===- LaneRows.cpp - rows of numbers in the registers of warps ----------===//

#include "LaneRows.h"
#include "Scan.h"

#include "lowering/emit/narrow/FP8.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace peer;
using namespace peer::device;
using arith::CmpIPredicate;

RowLayout RowLayout::choose(int64_t width, Type element, int64_t most, bool packed) {
  RowLayout layout{
      width, 1, int64_t(llvm::divideCeil(width, kWarpSize)), 1, packed ? 2 : 1, isa<Float8E4M3FNType>(element)};
  for (int64_t vector = 2; vector * element.getIntOrFloatBitWidth() <= 128 && width % vector == 0; vector *= 2) {
    // Narrower accesses leave fewer lanes idle where they are not more.
    int64_t chunks = llvm::divideCeil(width, vector * kWarpSize);
    if (chunks < layout.chunks)
      layout.vector = vector, layout.chunks = chunks;
  }
  layout.warps = llvm::PowerOf2Ceil(llvm::divideCeil(layout.perLane(), std::max(most, layout.runs * layout.vector)));
  layout.chunks = llvm::divideCeil(layout.chunks, layout.warps);
  return layout;
}

LaneRow::LaneRow(BlockBuilder &b, const RowLayout &layout, Value part) : b(b), layout(layout) {
  int64_t chunkWidth = kWarpSize * layout.vector, warpWidth = layout.chunks * chunkWidth;
  if (part)
    slice = b.mul(part, b.index(warpWidth));
  Value first = b.mul(b.lane(), b.index(layout.vector));
  if (slice)
    first = b.add(first, slice);
  for (int64_t c = 0; c < layout.chunks; ++c) {
    Value column = b.add(first, b.index(c * chunkWidth));
    // The last warp's chunk decides for all: whether it ends in the row is known only when the code runs.
    bool whole = (layout.warps - 1) * warpWidth + (c + 1) * chunkWidth <= layout.width;
    columns.push_back(column);
    inside.push_back(whole ? Value() : b.cmp(CmpIPredicate::slt, column, b.index(layout.width)));
    starts.push_back(whole ? column : b.min(column, b.index(layout.width - layout.vector)));
  }
}

Values LaneRow::zeros() const { return Values(layout.runs * layout.chunks, b.f32(0, b.floats(layout.vector))); }

static Values with(ValueRange at, Value last) {
  Values all(at);
  all.push_back(last);
  return all;
}

Values LaneRow::load(Value buffer, ValueRange at) const {
  bool inWords = cast<MemRefType>(buffer.getType()).getElementTypeBitWidth() == 8 && layout.vector % 4 == 0;
  auto words = VectorType::get({std::max<int64_t>(layout.vector / 4, 1)}, b.getI32Type());
  return llvm::map_to_vector(starts, [&](Value start) -> Value {
    Value loaded = b.loadWide(buffer, with(at, start), layout.vector, /*readOnly=*/true);
    return inWords ? Value(vector::BitCastOp::create(b, words, loaded)) : loaded;
  });
}

/// The bytes of words, which are numbers from 0 on, less `offset`, as f32. A conversion takes several instructions, of which some run at a
/// quarter of the rate; here a byte becomes the last one of 2^23, whose unit is 1, and what was added is taken away: both exact.
static Value widenBytes(BlockBuilder &b, Value words, int64_t offset, llvm::function_ref<Value(Value)> prepare) {
  constexpr int64_t kTwoTo23 = 0x4b000000;
  auto type = cast<VectorType>(words.getType());
  Values floats;
  for (int64_t i = 0; i < type.getNumElements(); ++i) {
    Value word = prepare(vector::ExtractOp::create(b, words, i));
    for (int64_t byte = 0; byte < 4; ++byte) {
      // Bytes 4 to 7 are those of the constant.
      Value selector = b.i32(0x7540 + byte);
      Value bits =
          NVVM::PermuteOp::create(b, b.getI32Type(), word, b.i32(kTwoTo23), selector, NVVM::PermuteMode::DEFAULT);
      floats.push_back(b.sub(arith::BitcastOp::create(b, b.getF32Type(), bits), b.f32(double((1 << 23) + offset))));
    }
  }
  return vector::FromElementsOp::create(b, cast<VectorType>(b.floats(floats.size())), floats);
}

static Value flip(BlockBuilder &b, Value word, int64_t bits) {
  return arith::XOrIOp::create(b, word, b.i32(int32_t(bits)));
}

Value device::widenWords(BlockBuilder &b, Value words) {
  return widenBytes(b, words, 128, [&](Value word) { return flip(b, word, 0x80808080); });
}

Value device::widenNibbles(BlockBuilder &b, Value words, Value shift) {
  return widenBytes(b, words, 8, [&](Value word) {
    return flip(b, both(b, arith::ShRUIOp::create(b, word, shift), b.i32(0x0f0f0f0f)), 0x08080808);
  });
}

// As the upper byte of an f16, moved down by a bit for its wider exponent, a number is 2^-8 of what it is, below the smallest normal one, too. All
// ones, which is NaN, would carry into the highest bit of the exponent, which no other number has.
Value device::widenFP8Words(BlockBuilder &b, Value words) {
  auto type = cast<VectorType>(words.getType());
  Values floats;
  for (int64_t i = 0; i < type.getNumElements(); ++i) {
    Value word = vector::ExtractOp::create(b, words, i);
    // Bytes 4 to 7 are zeros.
    for (int64_t selector : {0x1404, 0x3424}) {
      Value halves =
          NVVM::PermuteOp::create(b, b.getI32Type(), word, b.i32(0), b.i32(selector), NVVM::PermuteMode::DEFAULT);
      Value magnitude = arith::ShRUIOp::create(b, both(b, halves, b.i32(0x7f007f00)), b.i32(1));
      Value none = both(b, b.add(magnitude, b.i32(0x00800080)), b.i32(0x40004000));
      Value sign = both(b, halves, b.i32(int32_t(0x80008000)));
      Value bits = arith::OrIOp::create(b, arith::OrIOp::create(b, magnitude, none), sign);
      Value pair = LLVM::BitcastOp::create(b, VectorType::get({2}, b.getF16Type()), bits);
      for (int64_t half = 0; half < 2; ++half) {
        Value number = vector::ExtractOp::create(b, pair, half);
        floats.push_back(b.mul(LLVM::FPExtOp::create(b, b.getF32Type(), number), b.f32(256)));
      }
    }
  }
  return vector::FromElementsOp::create(b, cast<VectorType>(b.floats(floats.size())), floats);
}

Values LaneRow::load(const StoredTable &table, ValueRange at) const {
  Values row = load(table.table, at);
  for (Value start : table.isGrouped ? starts : Values()) {
    Value element = place(start, 0), group = b.div(element, b.index(table.elementsOfGroup()));
    row.push_back(b.loadWide(table.scales, with(at, group), 1, /*readOnly=*/true));
  }
  return row;
}

Value LaneRow::place(Value column, int64_t run) const {
  if (layout.runs == 1)
    return column;
  Value half = b.index(kStoredBlock / 2), block = b.index(kStoredBlock);
  Value first = b.add(b.mul(b.div(column, half), block), b.rem(column, half));
  return run == 0 ? first : b.add(first, half);
}

Value LaneRow::widenRun(Value loaded, int64_t run) const {
  Type element = getElementTypeOrSelf(loaded.getType());
  bool packed = layout.runs > 1;
  if (element.isF32())
    return loaded;
  if (layout.isFP8)
    return element.isInteger(32) ? widenFP8Words(b, loaded) : widenFP8(b, loaded);
  if (element.isInteger(32))
    return packed ? widenNibbles(b, loaded, b.i32(4 * run)) : widenWords(b, loaded);
  if (!element.isInteger(8))
    return arith::ExtFOp::create(b, b.floats(layout.vector), loaded);
  if (packed) {
    // The four bits are moved up, and down again with their sign.
    auto constant = [&](int64_t bits) {
      auto attr = b.getI8IntegerAttr(int8_t(bits));
      auto type = dyn_cast<VectorType>(loaded.getType());
      return type ? arith::ConstantOp::create(b, DenseElementsAttr::get(type, Attribute(attr)))
                  : arith::ConstantOp::create(b, attr);
    };
    if (run == 0)
      loaded = arith::ShLIOp::create(b, loaded, constant(4));
    loaded = arith::ShRSIOp::create(b, loaded, constant(4));
  }
  return arith::SIToFPOp::create(b, b.floats(layout.vector), loaded);
}

Values LaneRow::widen(ValueRange row) const {
  ValueRange scales = row.drop_front(layout.chunks);
  Values floats;
  for (auto [chunk, loaded] : llvm::enumerate(row.take_front(layout.chunks)))
    for (int64_t run = 0; run < layout.runs; ++run) {
      Value values = widenRun(loaded, run);
      floats.push_back(scales.empty() ? values : b.mul(values, b.splat(scales[chunk], values.getType())));
    }
  return floats;
}

// A product with 0 would not do: what lies beyond may be infinite.
Value LaneRow::insideOnly(Value floats, int64_t chunk) const {
  return inside[chunk] ? b.select(inside[chunk], floats, b.f32(0, floats.getType())) : floats;
}

Values LaneRow::loadFloats(Value buffer, ValueRange at) const {
  if (layout.runs == 1) {
    Values floats = widen(load(buffer, at));
    for (auto [chunk, value] : llvm::enumerate(floats))
      value = insideOnly(value, chunk);
    return floats;
  }
  Values floats;
  for (auto [chunk, start] : llvm::enumerate(starts))
    for (int64_t run = 0; run < layout.runs; ++run)
      floats.push_back(
          insideOnly(b.loadWide(buffer, with(at, place(start, run)), layout.vector, /*readOnly=*/true), chunk));
  return floats;
}

Value LaneRow::dot(ValueRange row, ValueRange floats) const {
  Value sum;
  for (auto [run, value] : llvm::enumerate(widen(row))) {
    Value part = insideOnly(value, run / layout.runs);
    sum = sum ? b.fma(part, floats[run], sum) : b.mul(part, floats[run]);
  }
  return b.sumLanes(sum);
}

Values LaneRow::addScaled(ValueRange sums, Value scale, ValueRange row) const {
  Values result;
  for (auto [sum, value] : llvm::zip(sums, widen(row)))
    result.push_back(b.fma(b.splat(scale, value.getType()), value, sum));
  return result;
}

void LaneRow::store(ValueRange floats, Value buffer, ValueRange at) const {
  b.onEachThread([&] {
    for (auto [number, value] : llvm::enumerate(floats)) {
      int64_t chunk = number / layout.runs, run = number % layout.runs;
      auto write = [&, value = value] { b.store(value, buffer, with(at, place(columns[chunk], run))); };
      if (inside[chunk])
        b.ifThen(inside[chunk], write);
      else
        write();
    }
  });
}

//===----------------------------------------------------------------------===//
// Sums over warps
//===----------------------------------------------------------------------===//

// One word in 33 is left out, so that neither lanes with vectors side by side nor threads with one element each meet in
// a bank.
Value LaneRow::padded(Value column) const { return b.add(column, b.div(column, b.index(kWarpSize))); }

Value LaneRow::sharedForWarps(int64_t warps) const {
  int64_t width = layout.perLane() * kWarpSize;
  return b.shared({warps, width + width / kWarpSize}, b.getF32Type());
}

void LaneRow::storeSumOfWarps(ValueRange floats, Value shared, Value buffer, ValueRange at) const {
  Value warp = b.warp(), first = b.mul(b.lane(), b.index(layout.vector));
  // One run of all lanes after the other.
  int64_t ofRun = layout.perLane() * kWarpSize / layout.runs;
  b.onEachThread([&] {
    for (auto [number, value] : llvm::enumerate(floats))
      for (int64_t v = 0; v < layout.vector; ++v) {
        int64_t chunk = number / layout.runs, run = number % layout.runs;
        Value element = layout.vector == 1 ? value : Value(vector::ExtractOp::create(b, value, v));
        Value column = b.add(first, b.index(run * ofRun + chunk * kWarpSize * layout.vector + v));
        b.store(element, shared, {warp, padded(column)});
      }
  });
  b.barrier();
  Value count = b.index(layout.width);
  if (slice)
    count = b.min(b.sub(count, slice), b.index(ofRun));
  for (int64_t run = 0; run < layout.runs; ++run)
    b.forThreads(count, [&](Value column) {
      Value sum, kept = run ? b.add(column, b.index(run * ofRun)) : column;
      for (int64_t w = 0; w < b.warps(); ++w) {
        Value part = b.load(shared, {b.index(w), padded(kept)});
        sum = sum ? b.add(sum, part) : part;
      }
      b.store(sum, buffer, with(at, place(slice ? b.add(slice, column) : column, run)));
    });
}

//===----------------------------------------------------------------------===//
// Several values at once
//===----------------------------------------------------------------------===//

/// Whether a lane belongs to the upper half at this bit of its number.
static Value isUpper(BlockBuilder &b, int64_t bit) {
  return b.cmp(CmpIPredicate::ne, both(b, b.lane(), b.index(bit)), b.index(0));
}

Value device::pickOwn(BlockBuilder &b, ValueRange values) {
  Values rest(values);
  for (int64_t bit = kWarpSize / 2; rest.size() > 1; bit /= 2) {
    Value upper = isUpper(b, bit);
    size_t half = rest.size() / 2;
    for (size_t i = 0; i < half; ++i)
      rest[i] = b.select(upper, rest[half + i], rest[i]);
    rest.resize(half);
  }
  return rest[0];
}

Value device::sumOwn(BlockBuilder &b, ValueRange values) {
  Values rest(values);
  int64_t bit = kWarpSize / 2;
  for (; rest.size() > 1; bit /= 2) {
    Value upper = isUpper(b, bit);
    size_t half = rest.size() / 2;
    for (size_t i = 0; i < half; ++i) {
      Value mine = b.select(upper, rest[half + i], rest[i]), other = b.select(upper, rest[i], rest[half + i]);
      rest[i] = b.add(mine, b.shuffleXor(other, bit));
    }
    rest.resize(half);
  }
  for (; bit > 0; bit /= 2)
    rest[0] = b.add(rest[0], b.shuffleXor(rest[0], bit));
  return rest[0];
}

Values device::loop32(LoopBuilder &b, Value low, Value high, ValueRange init, LoopBuilder::CarryBody body,
                      int64_t step) {
  auto loop = scf::ForOp::create(b, low, high, b.i32(step), init);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  Values next = body(loop.getInductionVar(), loop.getRegionIterArgs());
  if (!init.empty())
    scf::YieldOp::create(b, next);
  return Values(loop.getResults());
}

void device::keepRolled(Value result) {
  MLIRContext *context = result.getContext();
  auto unroll = LLVM::LoopUnrollAttr::get(context, BoolAttr::get(context, true), {}, {}, {}, {}, {}, {});
  auto annotation =
      LLVM::LoopAnnotationAttr::get(context, {}, {}, {}, unroll, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {});
  result.getDefiningOp<scf::ForOp>()->setAttr("loop_annotation", annotation);
}

Values device::forSetBits(BlockBuilder &b, Value mask, int64_t unroll, ValueRange init,
                          llvm::function_ref<Values(ArrayRef<Value>, ValueRange)> body) {
  Value bits = emitPopCount(b, mask);
  Values carried(init);
  carried.push_back(mask);
  auto visit = [&](Value count, int64_t at) {
    carried = loop32(b, b.i32(0), count, carried, [&](Value, ValueRange values) {
      Value rest = values.back();
      Values positions;
      for (int64_t i = 0; i < at; ++i) {
        positions.push_back(LLVM::CountTrailingZerosOp::create(b, b.getI32Type(), rest, /*is_zero_poison=*/true));
        rest = both(b, rest, b.sub(rest, b.i32(1)));
      }
      Values next = body(positions, values.drop_back());
      next.push_back(rest);
      return next;
    });
  };
  visit(b.div(bits, b.i32(unroll)), unroll);
  if (unroll > 1)
    visit(b.rem(bits, b.i32(unroll)), 1);
  carried.pop_back();
  return carried;
}
