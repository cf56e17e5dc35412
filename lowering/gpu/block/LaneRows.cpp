//===- LaneRows.cpp - rows of numbers in the registers of warps ----------===//

#include "LaneRows.h"
#include "Scan.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace peer;
using namespace peer::device;
using arith::CmpIPredicate;

RowLayout RowLayout::choose(int64_t width, Type element, int64_t most) {
  RowLayout layout{width, 1, int64_t(llvm::divideCeil(width, kWarpSize)), 1};
  for (int64_t vector = 2; vector * element.getIntOrFloatBitWidth() <= 128 && width % vector == 0; vector *= 2) {
    // Narrower accesses leave fewer lanes idle where they are not more.
    int64_t chunks = llvm::divideCeil(width, vector * kWarpSize);
    if (chunks < layout.chunks)
      layout.vector = vector, layout.chunks = chunks;
  }
  layout.warps = llvm::PowerOf2Ceil(llvm::divideCeil(layout.perLane(), std::max(most, layout.vector)));
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

Values LaneRow::zeros() const { return Values(layout.chunks, b.f32(0, b.floats(layout.vector))); }

static Values with(ValueRange at, Value last) {
  Values all(at);
  all.push_back(last);
  return all;
}

Values LaneRow::load(Value buffer, ValueRange at) const {
  bool inWords = cast<MemRefType>(buffer.getType()).getElementType().isInteger(8) && layout.vector % 4 == 0;
  auto words = VectorType::get({std::max<int64_t>(layout.vector / 4, 1)}, b.getI32Type());
  return llvm::map_to_vector(starts, [&](Value start) -> Value {
    Value loaded = b.loadWide(buffer, with(at, start), layout.vector, /*readOnly=*/true);
    return inWords ? Value(vector::BitCastOp::create(b, words, loaded)) : loaded;
  });
}

/// The four i8 of each word as f32. A conversion takes several instructions, of which some run at a quarter of the rate; here
/// a byte, offset by 128, becomes the last one of 2^23, whose unit is 1, and what was added is taken away: both exact.
static Value widenWords(BlockBuilder &b, Value words) {
  constexpr int64_t kTwoTo23 = 0x4b000000, kOffsets = 0x80808080;
  auto type = cast<VectorType>(words.getType());
  Values floats;
  for (int64_t i = 0; i < type.getNumElements(); ++i) {
    Value word = arith::XOrIOp::create(b, vector::ExtractOp::create(b, words, i), b.i32(int32_t(kOffsets)));
    for (int64_t byte = 0; byte < 4; ++byte) {
      // Bytes 4 to 7 are those of the constant.
      Value selector = b.i32(0x7540 + byte);
      Value bits =
          NVVM::PermuteOp::create(b, b.getI32Type(), word, b.i32(kTwoTo23), selector, NVVM::PermuteMode::DEFAULT);
      floats.push_back(b.sub(arith::BitcastOp::create(b, b.getF32Type(), bits), b.f32((1 << 23) + 128)));
    }
  }
  return vector::FromElementsOp::create(b, cast<VectorType>(b.floats(floats.size())), floats);
}

Values LaneRow::widen(ValueRange row) const {
  return llvm::map_to_vector(row, [&](Value v) -> Value {
    Type element = getElementTypeOrSelf(v.getType());
    if (element.isF32())
      return v;
    if (element.isInteger(32))
      return widenWords(b, v);
    if (element.isInteger(8))
      return arith::SIToFPOp::create(b, b.floats(layout.vector), v);
    return arith::ExtFOp::create(b, b.floats(layout.vector), v);
  });
}

// A product with 0 would not do: what lies beyond may be infinite.
Value LaneRow::insideOnly(Value floats, int64_t chunk) const {
  return inside[chunk] ? b.select(inside[chunk], floats, b.f32(0, floats.getType())) : floats;
}

Values LaneRow::loadFloats(Value buffer, ValueRange at) const {
  Values floats = widen(load(buffer, at));
  for (auto [chunk, value] : llvm::enumerate(floats))
    value = insideOnly(value, chunk);
  return floats;
}

Value LaneRow::dot(ValueRange row, ValueRange floats) const {
  Value sum;
  for (auto [chunk, value] : llvm::enumerate(widen(row))) {
    Value part = insideOnly(value, chunk);
    sum = sum ? b.fma(part, floats[chunk], sum) : b.mul(part, floats[chunk]);
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
    for (auto [chunk, value] : llvm::enumerate(floats)) {
      auto write = [&, value = value, chunk = chunk] { b.store(value, buffer, with(at, columns[chunk])); };
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
  b.onEachThread([&] {
    for (auto [chunk, value] : llvm::enumerate(floats))
      for (int64_t v = 0; v < layout.vector; ++v) {
        Value element = layout.vector == 1 ? value : Value(vector::ExtractOp::create(b, value, v));
        Value column = b.add(first, b.index(int64_t(chunk) * kWarpSize * layout.vector + v));
        b.store(element, shared, {warp, padded(column)});
      }
  });
  b.barrier();
  Value count = b.index(layout.width);
  if (slice)
    count = b.min(b.sub(count, slice), b.index(layout.perLane() * kWarpSize));
  b.forThreads(count, [&](Value column) {
    Value sum;
    for (int64_t w = 0; w < b.warps(); ++w) {
      Value part = b.load(shared, {b.index(w), padded(column)});
      sum = sum ? b.add(sum, part) : part;
    }
    b.store(sum, buffer, with(at, slice ? b.add(slice, column) : column));
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
