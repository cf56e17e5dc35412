//===- PeerDialect.cpp - registration, attributes ------------------------===//

#include "dialect/PeerDialect.h"
#include "dialect/Nearest.h"
#include "dialect/PeerOps.h"
#include "dialect/interfaces/IndexRanges.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "mlir/IR/TypeUtilities.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/TypeSwitch.h"

#include <cmath>
#include <limits>

using namespace mlir;
using namespace peer;

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

unsigned peer::getNumStates(Attribute optimizer) {
  if (isa<AdamWAttr>(optimizer))
    return 2;
  return cast<SGDAttr>(optimizer).getMomentum().getValueAsDouble() != 0.0 ? 1 : 0;
}

bool peer::isLazy(Attribute optimizer) {
  if (auto adamw = dyn_cast<AdamWAttr>(optimizer))
    return adamw.getLazy();
  return cast<SGDAttr>(optimizer).getLazy();
}

//===----------------------------------------------------------------------===//
// Attributes written as `<key = value, ...>` with defaults
//===----------------------------------------------------------------------===//

namespace {
/// A numeric field of an optimizer.
struct Field {
  StringRef key;
  double number;
  double low, high; // the interval it must lie in, both ends included
  bool given = false;
};

FloatAttr f64(MLIRContext *context, double value) { return FloatAttr::get(Float64Type::get(context), value); }

/// The least number above 0 that is one on every target: some flush subnormal numbers to 0.
constexpr double kLeast = std::numeric_limits<float>::min();

/// A number that f32 has, with or without a point. parseFloat refuses `1` and parseOptionalInteger eats the sign of `-0.5`;
/// an attribute can be either.
ParseResult parseNumber(AsmParser &parser, double &value) {
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
  if (value != 0 && std::fabs(value) < kLeast)
    return parser.emitError(loc, "expected 0 or a number of at least 1.2e-38, which f32 can hold, got ") << number;
  return success();
}

/// Parses `<key = number, ..., lazy = bool>`; fields not given keep their value.
ParseResult parseFields(AsmParser &parser, MutableArrayRef<Field> fields, bool &lazy) {
  lazy = false;
  SmallVector<StringRef> known = llvm::map_to_vector(fields, [](Field &f) { return f.key; });
  known.push_back("lazy");
  auto parseOne = [&]() -> ParseResult {
    StringRef key;
    SMLoc loc = parser.getCurrentLocation();
    if (parser.parseOptionalKeyword(&key))
      return parser.emitError(loc, "expected FIELD = VALUE; known fields are ") << llvm::join(known, ", ");
    if (key == "lazy") {
      if (failed(parser.parseOptionalEqual())) {
        lazy = true;
        return success();
      }
      StringRef value;
      if (parser.parseOptionalKeyword(&value))
        return parser.emitError(parser.getCurrentLocation(), "'lazy' must be true or false");
      if (value != "true" && value != "false")
        return parser.emitError(loc, "'lazy' must be true or false, got '") << value << "'";
      lazy = value == "true";
      return success();
    }
    auto *field = llvm::find_if(fields, [&](Field &f) { return f.key == key; });
    if (field == fields.end())
      return parser.emitError(loc, "unknown field '")
             << key << "'; known are " << llvm::join(known, ", ") << didYouMean(key, known);
    if (std::exchange(field->given, true))
      return parser.emitError(loc, "field '") << key << "' is given twice";
    double value = 0;
    if (parser.parseEqual() || parseNumber(parser, value))
      return failure();
    if (!(value >= field->low && value <= field->high))
      return parser.emitError(loc, "'") << key << "' must lie in [" << field->low << ", " << field->high << "], got "
                                        << value;
    field->number = value;
    return success();
  };
  if (succeeded(parser.parseOptionalLess())) {
    if (succeeded(parser.parseOptionalGreater()))
      return success();
    return failure(parser.parseCommaSeparatedList(parseOne) || parser.parseGreater());
  }
  return success();
}

void printFields(AsmPrinter &printer, ArrayRef<std::pair<StringRef, FloatAttr>> fields, bool lazy) {
  printer << "<";
  for (auto &[key, value] : fields) {
    printer << key << " = ";
    printer.printFloat(value.getValue());
    printer << ", ";
  }
  printer << "lazy = " << (lazy ? "true" : "false") << ">";
}
} // namespace

Attribute AdamWAttr::parse(AsmParser &parser, Type) {
  Field fields[] = {{"learning_rate", 1e-3, 0, 1e3}, {"beta1", 0.9, 0, 0.9999999}, {"beta2", 0.95, 0, 0.9999999},
                    {"epsilon", 1e-8, kLeast, 1},    {"weight_decay", 0, 0, 1e3},  {"clip_norm", 0, 0, 1e30}};
  bool lazy;
  if (parseFields(parser, fields, lazy))
    return {};
  auto value = [&](int i) { return f64(parser.getContext(), fields[i].number); };
  return get(parser.getContext(), value(0), value(1), value(2), value(3), value(4), value(5), lazy);
}

void AdamWAttr::print(AsmPrinter &printer) const {
  printFields(printer,
              {{"learning_rate", getLearningRate()},
               {"beta1", getBeta1()},
               {"beta2", getBeta2()},
               {"epsilon", getEpsilon()},
               {"weight_decay", getWeightDecay()},
               {"clip_norm", getClipNorm()}},
              getLazy());
}

Attribute SGDAttr::parse(AsmParser &parser, Type) {
  Field fields[] = {{"learning_rate", 1e-2, 0, 1e3},
                    {"momentum", 0, 0, 0.9999999},
                    {"weight_decay", 0, 0, 1e3},
                    {"clip_norm", 0, 0, 1e30}};
  bool lazy;
  if (parseFields(parser, fields, lazy))
    return {};
  auto value = [&](int i) { return f64(parser.getContext(), fields[i].number); };
  return get(parser.getContext(), value(0), value(1), value(2), value(3), lazy);
}

void SGDAttr::print(AsmPrinter &printer) const {
  printFields(printer,
              {{"learning_rate", getLearningRate()},
               {"momentum", getMomentum()},
               {"weight_decay", getWeightDecay()},
               {"clip_norm", getClipNorm()}},
              getLazy());
}

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
