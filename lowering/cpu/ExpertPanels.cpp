//===- ExpertPanels.cpp - experts of many rows as matrices ---------------===//

#include "ExpertPanels.h"

using namespace mlir;
using namespace peer;

Value cpu::corner(LoopBuilder &b, Value matrix, OpFoldResult rows, OpFoldResult columns) {
  OpFoldResult zero = b.getIndexAttr(0), one = b.getIndexAttr(1);
  return memref::SubViewOp::create(b, matrix, SmallVector<OpFoldResult>{zero, zero},
                                   SmallVector<OpFoldResult>{rows, columns}, SmallVector<OpFoldResult>{one, one});
}

Value cpu::vectorsOf(LoopBuilder &b, Value table, Value first, OpFoldResult rows, int64_t f) {
  auto type = cast<MemRefType>(table.getType());
  OpFoldResult zero = b.getIndexAttr(0), one = b.getIndexAttr(1);
  SmallVector<OpFoldResult> offsets{first, b.getIndexAttr(f), zero};
  SmallVector<OpFoldResult> sizes{rows, one, b.getIndexAttr(type.getDimSize(2))}, strides(3, one);
  int64_t count = getConstantIntValue(rows).value_or(ShapedType::kDynamic);
  auto reduced =
      memref::SubViewOp::inferRankReducedResultType({count, type.getDimSize(2)}, type, offsets, sizes, strides);
  return memref::SubViewOp::create(b, cast<MemRefType>(reduced), table, offsets, sizes, strides);
}

Value cpu::rowsAt(LoopBuilder &b, Value table, Value first, OpFoldResult rows) {
  OpFoldResult zero = b.getIndexAttr(0), one = b.getIndexAttr(1);
  auto size = [&](unsigned i) -> OpFoldResult { return b.getIndexAttr(b.staticDim(table, i)); };
  return memref::SubViewOp::create(b, table, SmallVector<OpFoldResult>{first, zero, zero},
                                   SmallVector<OpFoldResult>{rows, size(1), size(2)},
                                   SmallVector<OpFoldResult>{one, one, one});
}

void cpu::gatherRows(LoopBuilder &b, Value from, Value into, Value order, Value first, Value count, int64_t pairs,
                     int64_t width) {
  b.loop(count, [&](Value i) {
    Value token = b.div(b.toIndex(b.load(order, {b.add(first, i)})), b.index(pairs));
    b.strips(b.dim(from, 1), width,
             [&](Value at, int64_t lanes) { b.store(b.load(from, {token, at}, lanes), into, {i, at}); });
  });
}
