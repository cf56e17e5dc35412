//===- StoredWords.cpp - what a lane reads of a vector in fewer bits ------===//

#include "StoredWords.h"

#include "LaneRows.h"
#include "Scan.h"

#include "lowering/emit/narrow/FP8.h"

using namespace mlir;
using namespace peer;
using namespace peer::device;

int64_t StoredWords::width(const StoredTable &table, int64_t most) {
  int64_t bytes = table.packed ? table.width / 2 : table.width;
  for (int64_t width = most; width >= 4; width /= 2)
    if (bytes % width == 0)
      return width;
  return 1;
}

StoredWords::StoredWords(BlockBuilder &b, const StoredTable &table, Value row, Value at, int64_t width)
    : b(b), table(table), row(row), at(at) {
  bytes = b.loadWide(table.table, {row, table.byteOf(b, at)}, width, /*readOnly=*/true);
  if (width >= 4)
    bytes = vector::BitCastOp::create(b, VectorType::get({width / 4}, b.getI32Type()), bytes);
}

Value StoredWords::widen(Value shift) const {
  bool isVector = isa<VectorType>(bytes.getType());
  if (table.isFP8)
    return isVector ? widenFP8Words(b, bytes) : widenFP8(b, bytes);
  if (!isVector)
    return arith::SIToFPOp::create(b, b.getF32Type(), bytes);
  return table.packed ? widenNibbles(b, bytes, shift) : widenWords(b, bytes);
}

Value StoredWords::half(int64_t upper) const { return widen(b.i32(4 * upper)); }

Value StoredWords::halfOfAt() const { return widen(b.select(table.isUpper(b, at), b.i32(4), b.i32(0))); }

Value StoredWords::scale() const {
  SmallVector<Value> position{row};
  if (table.isGrouped)
    position.push_back(b.div(at, b.index(table.elementsOfGroup())));
  return b.loadWide(table.scales, position, 1, /*readOnly=*/true);
}

Value StoredWords::scaled() const {
  Value elements = halfOfAt();
  return b.mul(elements, b.splat(scale(), elements.getType()));
}
