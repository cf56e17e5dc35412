//===- Numbers.cpp - numbers in the text of attributes -------------------===//

#include "dialect/Numbers.h"

#include <cmath>
#include <limits>

using namespace mlir;
using namespace peer;

FloatAttr peer::f64(MLIRContext *context, double value) { return FloatAttr::get(Float64Type::get(context), value); }

// parseFloat refuses `1` and parseOptionalInteger eats the sign of `-0.5`;
// an attribute can be either.
ParseResult peer::parseNumber(AsmParser &parser, double &value) {
  SMLoc loc = parser.getCurrentLocation();
  Attribute number;
  if (parser.parseAttribute(number))
    return failure();
  if (auto real = dyn_cast<FloatAttr>(number))
    value = real.getValueAsDouble();
  else if (auto whole = dyn_cast<IntegerAttr>(number); whole && whole.getType().isInteger(64))
    value = double(whole.getInt());
  else
    return parser.emitError(loc, "expected a number, got ") << number;
  // All arithmetic is f32: what is 0 or infinite there would not be what was written.
  if (!std::isfinite(value) || std::fabs(value) > std::numeric_limits<float>::max())
    return parser.emitError(loc, "expected a finite number of f32, got ") << number;
  if (value != 0 && std::fabs(value) < kLeastNumber)
    return parser.emitError(loc, "expected 0 or a number of at least 1.2e-38, which f32 can hold, got ") << number;
  return success();
}

ParseResult peer::parseFactor(OpAsmParser &parser, FloatAttr &factor) {
  double value = 0;
  if (parseNumber(parser, value))
    return failure();
  factor = f64(parser.getContext(), value);
  return success();
}

void peer::printFactor(OpAsmPrinter &printer, Operation *, FloatAttr factor) {
  printer.printAttributeWithoutType(factor);
}
