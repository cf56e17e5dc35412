//===- Numbers.h - numbers in the text of attributes ---------------------===//

#ifndef PEER_DIALECT_NUMBERS_H
#define PEER_DIALECT_NUMBERS_H

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/OpImplementation.h"

namespace peer {

/// The least number above 0 that is one on every target: some flush subnormal numbers to 0.
constexpr double kLeastNumber = std::numeric_limits<float>::min();

mlir::FloatAttr f64(mlir::MLIRContext *context, double value);

/// A number that f32 has, with or without a point.
mlir::ParseResult parseNumber(mlir::AsmParser &parser, double &value);

/// The same as an f64 in the text of an op.
mlir::ParseResult parseFactor(mlir::OpAsmParser &parser, mlir::FloatAttr &factor);
void printFactor(mlir::OpAsmPrinter &printer, mlir::Operation *op, mlir::FloatAttr factor);

} // namespace peer

#endif // PEER_DIALECT_NUMBERS_H
