//===- PeerDialect.cpp - registration, attributes ------------------------===//

#include "dialect/PeerDialect.h"
#include "dialect/Nearest.h"
#include "dialect/Numbers.h"
#include "dialect/PeerOps.h"
#include "dialect/interfaces/IndexRanges.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "mlir/IR/TypeUtilities.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace peer;

#include "PeerAttrInterfaces.cpp.inc"
#include "PeerDialect.cpp.inc"
#include "PeerEnums.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "PeerAttrs.cpp.inc"

void PeerDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "PeerAttrs.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "PeerOps.cpp.inc"
      >();
  attachIndexRanges(getContext());
}

bool peer::areCompatibleTypes(TypeRange inferred, TypeRange given) {
  if (inferred.size() != given.size())
    return false;
  for (auto [a, b] : llvm::zip(inferred, given)) {
    auto shapedA = dyn_cast<ShapedType>(a), shapedB = dyn_cast<ShapedType>(b);
    if (!shapedA || !shapedB || shapedA.getElementType() != shapedB.getElementType() ||
        failed(verifyCompatibleShape(shapedA, shapedB)))
      return false;
  }
  return true;
}

//===----------------------------------------------------------------------===//
// Initialisers
//===----------------------------------------------------------------------===//

Attribute InitAttr::parse(AsmParser &parser, Type) {
  MLIRContext *context = parser.getContext();
  // In `#peer.init<...>` the body is in angle brackets; parseInit is shared with peer.param.
  bool bracketed = succeeded(parser.parseOptionalLess());
  static constexpr StringLiteral kKnown = "normal(std), uniform(low, high), constant(value), zeros, ones";
  StringRef kind;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseOptionalKeyword(&kind))
    return parser.emitError(loc, "expected an initialiser; known are ") << kKnown, Attribute();
  auto number = [&](double &value) { return parseNumber(parser, value); };
  InitKind k = InitKind::Constant;
  double a = 0, b = 0;
  if (kind == "zeros" || kind == "ones") {
    a = kind == "ones" ? 1 : 0;
  } else if (kind == "normal") {
    k = InitKind::Normal;
    if (parser.parseLParen() || number(b) || parser.parseRParen())
      return {};
    if (!(b >= 0 && b <= 1e30))
      return parser.emitError(loc, "the standard deviation must lie in [0, 1e30], got ") << b, Attribute();
  } else if (kind == "uniform") {
    k = InitKind::Uniform;
    if (parser.parseLParen() || number(a) || parser.parseComma() || number(b) || parser.parseRParen())
      return {};
    if (!(a <= b))
      return parser.emitError(loc, "uniform wants low <= high, got ") << a << " and " << b, Attribute();
  } else if (kind == "constant") {
    if (parser.parseLParen() || number(a) || parser.parseRParen())
      return {};
  } else {
    return parser.emitError(loc, "unknown initialiser '")
               << kind << "'; known are " << kKnown
               << didYouMean(kind, {"normal", "uniform", "constant", "zeros", "ones"}),
           Attribute();
  }
  if (bracketed && parser.parseGreater())
    return {};
  return get(context, k, f64(context, a), f64(context, b));
}

static void printInitBody(AsmPrinter &printer, InitAttr init) {
  auto number = [&](FloatAttr value) { printer.printFloat(value.getValue()); };
  switch (init.getKind()) {
  case InitKind::Normal:
    printer << "normal(";
    number(init.getB());
    printer << ")";
    return;
  case InitKind::Uniform:
    printer << "uniform(";
    number(init.getA());
    printer << ", ";
    number(init.getB());
    printer << ")";
    return;
  case InitKind::Constant:
    if (init.getA().getValueAsDouble() == 0.0) {
      printer << "zeros";
    } else if (init.getA().getValueAsDouble() == 1.0) {
      printer << "ones";
    } else {
      printer << "constant(";
      number(init.getA());
      printer << ")";
    }
  }
}

void InitAttr::print(AsmPrinter &printer) const {
  printer << "<";
  printInitBody(printer, *this);
  printer << ">";
}

namespace peer {
/// The body shared by `peer.param` and `#peer.init`, for PeerOps.cpp.
void printInitAttrBody(AsmPrinter &printer, InitAttr init) { printInitBody(printer, init); }
} // namespace peer
