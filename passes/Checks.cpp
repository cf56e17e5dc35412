//===- Checks.cpp - results by which an entry says that a call went wrong ===//

#include "Checks.h"

#include "Entries.h"

#include "llvm/ADT/StringSet.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using namespace peer;

std::string peer::describePlace(Operation *op) {
  std::string place;
  op->getLoc()->walk([&](Location loc) {
    auto file = dyn_cast<FileLineColLoc>(loc);
    if (!file)
      return WalkResult::advance();
    place =
        (llvm::sys::path::filename(file.getFilename()) + ":" + Twine(file.getLine()) + ":" + Twine(file.getColumn()))
            .str();
    return WalkResult::interrupt();
  });
  return place;
}

DictionaryAttr peer::describeCheck(Builder &builder, StringRef what, IndexRange range) {
  return builder.getDictionaryAttr(
      {builder.getNamedAttr("what", builder.getStringAttr(what)),
       builder.getNamedAttr("range", builder.getI64ArrayAttr({range.first, range.second}))});
}

void peer::appendCheck(func::FuncOp function, Value value, DictionaryAttr check) {
  Builder builder(function);
  llvm::StringSet<> names;
  for (unsigned i = 0; i < function.getNumResults(); ++i)
    names.insert(getResultName(function, i));
  unsigned number = 0;
  while (names.contains("check." + std::to_string(number)))
    ++number;
  Operation *terminator = function.getBody().front().getTerminator();
  terminator->insertOperands(terminator->getNumOperands(), value);
  (void)function.insertResult(
      function.getNumResults(), value.getType(),
      builder.getDictionaryAttr({builder.getNamedAttr(attrs::kName, builder.getStringAttr("check." + Twine(number))),
                                 builder.getNamedAttr(attrs::kCheck, check)}));
}

Value peer::zeroIfVetoed(OpBuilder &builder, Location loc, Value weights, Value scale) {
  auto type = cast<RankedTensorType>(weights.getType());
  int64_t rank = type.getRank();
  Value out =
      tensor::EmptyOp::create(builder, loc, tensor::getMixedSizes(builder, loc, weights), type.getElementType());
  AffineMap all = builder.getMultiDimIdentityMap(rank), none = AffineMap::get(rank, 0, builder.getContext());
  SmallVector<utils::IteratorType> loops(rank, utils::IteratorType::parallel);
  auto select = [](OpBuilder &b, Location loc, ValueRange values) {
    Value zero = arith::ConstantOp::create(b, loc, b.getF32FloatAttr(0.0f));
    Value vetoed = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::UNO, values[1], values[1]);
    linalg::YieldOp::create(b, loc, Value(arith::SelectOp::create(b, loc, vetoed, zero, values[0])));
  };
  return linalg::GenericOp::create(builder, loc, TypeRange{type}, ValueRange{weights, scale}, ValueRange{out},
                                   {all, none, all}, loops, select)
      .getResult(0);
}
