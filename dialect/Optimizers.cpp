//===- Optimizers.cpp - syntax and answers of optimizers -----------------===//

#include "dialect/Nearest.h"
#include "dialect/Numbers.h"
#include "dialect/PeerDialect.h"

#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace peer;

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

//===----------------------------------------------------------------------===//
// adamw
//===----------------------------------------------------------------------===//

SmallVector<StringRef> AdamWAttr::getStateNames() const { return {"m", "v"}; }

Attribute AdamWAttr::parse(AsmParser &parser, Type) {
  Field fields[] = {{"learning_rate", 1e-3, 0, 1e3},    {"beta1", 0.9, 0, 0.9999999}, {"beta2", 0.95, 0, 0.9999999},
                    {"epsilon", 1e-8, kLeastNumber, 1}, {"weight_decay", 0, 0, 1e3},  {"clip_norm", 0, 0, 1e30}};
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

//===----------------------------------------------------------------------===//
// sgd
//===----------------------------------------------------------------------===//

SmallVector<StringRef> SGDAttr::getStateNames() const {
  return getMomentum().getValueAsDouble() != 0 ? SmallVector<StringRef>{"momentum"} : SmallVector<StringRef>();
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
