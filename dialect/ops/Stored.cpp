//===- Stored.cpp - tables of vectors in fewer bits -----------------------===//

#include "dialect/ops/Stored.h"

using namespace mlir;
using namespace peer;

StoredRows::StoredRows(Value table, Value scales, int64_t width) : width(width), groups(1) {
  auto type = cast<ShapedType>(table.getType());
  packed = type.getElementType().isInteger(8) && type.getShape().back() != width;
  isFP8 = isa<Float8E4M3FNType>(type.getElementType());
  isGrouped = scales && cast<ShapedType>(scales.getType()).getRank() == type.getRank();
  if (isGrouped)
    groups = cast<ShapedType>(scales.getType()).getShape().back();
}

LogicalResult peer::checkStored(Check &check, ConstraintNumbers c, int blocks, StringRef name, Value table,
                                Value scales, StringRef outer, char letter) {
  auto type = cast<ShapedType>(table.getType()), scale = cast<ShapedType>(scales.getType());
  int64_t width = check[letter], rank = outer.count(' ') + 2;
  bool packed = width > 0 && type.getRank() == rank && 2 * type.getShape().back() == width &&
                !isa<Float8E4M3FNType>(type.getElementType());
  bool grouped = scale.getRank() == rank;
  // A letter of its own for what no other operand has.
  std::string pattern = (outer + (packed ? " B" : " " + Twine(letter))).str();
  if (failed(check.shape(c, name, table, pattern, Elements::I8OrFP8)) ||
      failed(check.shape(c, "scales", scales, (outer + (grouped ? " G" : "")).str(), Elements::F32)) ||
      failed(check.require(blocks, !packed || width % kStoredBlock == 0,
                           "expected two elements a byte of vectors whose width is a multiple of 32, got " +
                               Twine(width))))
    return failure();
  int64_t groups = grouped ? check['G'] : 1;
  return check.require(blocks, groups == 1 || (groups > 0 && width % (groups * kStoredBlock) == 0),
                       "expected scales of groups whose sizes are multiples of 32, got " + Twine(groups) +
                           " groups of the " + Twine(width) + " elements");
}
