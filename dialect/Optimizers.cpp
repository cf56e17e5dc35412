//===- Optimizers.cpp - syntax and answers of optimizers -----------------===//

#include "artifact/format.h"
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

/// Fields that are words.
struct Words {
  std::optional<bool> lazy = false; // none: the optimizer has no lazy step
  StringAttr schedule;
  bool nearest = false;
};

constexpr StringLiteral kSchedules[] = {format::schedule::kConstant, format::schedule::kLinear,
                                        format::schedule::kCosine};

/// Reads one of `words` as the value of the field `key`.
ParseResult parseWord(AsmParser &parser, StringRef key, ArrayRef<StringLiteral> words, StringRef &word) {
  if (parser.parseEqual())
    return failure();
  SMLoc loc = parser.getCurrentLocation();
  std::string known = llvm::join(words, ", ");
  if (parser.parseOptionalKeyword(&word))
    return parser.emitError(loc, "'") << key << "' must be one of " << known;
  if (!llvm::is_contained(words, word))
    return parser.emitError(loc, "'") << key << "' must be one of " << known << ", got '" << word << "'"
                                      << didYouMean(word, SmallVector<StringRef>(words.begin(), words.end()));
  return success();
}

ParseResult parseLazy(AsmParser &parser, SMLoc loc, bool &lazy) {
  lazy = true;
  if (failed(parser.parseOptionalEqual()))
    return success();
  StringRef value;
  if (parser.parseOptionalKeyword(&value))
    return parser.emitError(parser.getCurrentLocation(), "'lazy' must be true or false");
  if (value != "true" && value != "false")
    return parser.emitError(loc, "'lazy' must be true or false, got '") << value << "'";
  lazy = value == "true";
  return success();
}

/// Parses `<key = number, ..., lazy = bool, schedule = word, rounding = word>`; fields not given keep their value.
ParseResult parseFields(AsmParser &parser, MutableArrayRef<Field> fields, Words &words) {
  SmallVector<StringRef> known = llvm::map_to_vector(fields, [](Field &f) { return f.key; });
  if (words.lazy)
    known.push_back("lazy");
  known.append({"schedule", "rounding"});
  auto parseOne = [&]() -> ParseResult {
    StringRef key, word;
    SMLoc loc = parser.getCurrentLocation();
    if (parser.parseOptionalKeyword(&key))
      return parser.emitError(loc, "expected FIELD = VALUE; known fields are ") << llvm::join(known, ", ");
    if (key == "lazy" && words.lazy)
      return parseLazy(parser, loc, *words.lazy);
    if (key == "schedule") {
      if (parseWord(parser, key, kSchedules, word))
        return failure();
      words.schedule = StringAttr::get(parser.getContext(), word);
      return success();
    }
    if (key == "rounding") {
      if (parseWord(parser, key, {"stochastic", "nearest"}, word))
        return failure();
      words.nearest = word == "nearest";
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

void printFields(AsmPrinter &printer, ArrayRef<std::pair<StringRef, FloatAttr>> fields,
                 OptimizerAttrInterface optimizer, bool canBeLazy = true) {
  printer << "<";
  llvm::interleaveComma(fields, printer, [&](auto &field) {
    printer << field.first << " = ";
    printer.printFloat(field.second.getValue());
  });
  if (canBeLazy)
    printer << ", lazy = " << (optimizer.getLazy() ? "true" : "false");
  if (StringAttr schedule = optimizer.getSchedule())
    printer << ", schedule = " << schedule.getValue();
  if (optimizer.getNearest())
    printer << ", rounding = nearest";
  printer << ">";
}

SmallVector<int64_t> toVector(ArrayRef<int64_t> shape) { return SmallVector<int64_t>(shape); }

OptimizerState whole(StringRef name, ArrayRef<int64_t> shape) { return {name, StateKind::Whole, toVector(shape)}; }

/// One number for what each first index picks.
OptimizerState perRow(StringRef name, ArrayRef<int64_t> shape) {
  return {name, StateKind::Row, toVector(shape.take_front(1))};
}
} // namespace

//===----------------------------------------------------------------------===//
// adamw
//===----------------------------------------------------------------------===//

SmallVector<OptimizerState> AdamWAttr::getStates(ArrayRef<int64_t> shape) const {
  return {whole("m", shape), whole("v", shape)};
}

Attribute AdamWAttr::parse(AsmParser &parser, Type) {
  Field fields[] = {{"learning_rate", 1e-3, 0, 1e3},    {"beta1", 0.9, 0, 0.9999999}, {"beta2", 0.95, 0, 0.9999999},
                    {"epsilon", 1e-8, kLeastNumber, 1}, {"weight_decay", 0, 0, 1e3},  {"clip_norm", 0, 0, 1e30}};
  Words words;
  if (parseFields(parser, fields, words))
    return {};
  auto value = [&](int i) { return f64(parser.getContext(), fields[i].number); };
  return get(parser.getContext(), value(0), value(1), value(2), value(3), value(4), value(5), *words.lazy,
             words.schedule, words.nearest);
}

void AdamWAttr::print(AsmPrinter &printer) const {
  printFields(printer,
              {{"learning_rate", getLearningRate()},
               {"beta1", getBeta1()},
               {"beta2", getBeta2()},
               {"epsilon", getEpsilon()},
               {"weight_decay", getWeightDecay()},
               {"clip_norm", getClipNorm()}},
              *this);
}

//===----------------------------------------------------------------------===//
// sgd
//===----------------------------------------------------------------------===//

SmallVector<OptimizerState> SGDAttr::getStates(ArrayRef<int64_t> shape) const {
  if (getMomentum().getValueAsDouble() == 0)
    return {};
  return {whole("momentum", shape)};
}

Attribute SGDAttr::parse(AsmParser &parser, Type) {
  Field fields[] = {{"learning_rate", 1e-2, 0, 1e3},
                    {"momentum", 0, 0, 0.9999999},
                    {"weight_decay", 0, 0, 1e3},
                    {"clip_norm", 0, 0, 1e30}};
  Words words;
  if (parseFields(parser, fields, words))
    return {};
  auto value = [&](int i) { return f64(parser.getContext(), fields[i].number); };
  return get(parser.getContext(), value(0), value(1), value(2), value(3), *words.lazy, words.schedule, words.nearest);
}

void SGDAttr::print(AsmPrinter &printer) const {
  printFields(printer,
              {{"learning_rate", getLearningRate()},
               {"momentum", getMomentum()},
               {"weight_decay", getWeightDecay()},
               {"clip_norm", getClipNorm()}},
              *this);
}

//===----------------------------------------------------------------------===//
// rowwise_adagrad
//===----------------------------------------------------------------------===//

SmallVector<OptimizerState> RowwiseAdagradAttr::getStates(ArrayRef<int64_t> shape) const {
  return {perRow("sum", shape)};
}

Attribute RowwiseAdagradAttr::parse(AsmParser &parser, Type) {
  Field fields[] = {{"learning_rate", 1e-2, 0, 1e3},
                    {"epsilon", 1e-8, kLeastNumber, 1},
                    {"weight_decay", 0, 0, 1e3},
                    {"clip_norm", 0, 0, 1e30}};
  Words words;
  if (parseFields(parser, fields, words))
    return {};
  auto value = [&](int i) { return f64(parser.getContext(), fields[i].number); };
  return get(parser.getContext(), value(0), value(1), value(2), value(3), *words.lazy, words.schedule, words.nearest);
}

void RowwiseAdagradAttr::print(AsmPrinter &printer) const {
  printFields(printer,
              {{"learning_rate", getLearningRate()},
               {"epsilon", getEpsilon()},
               {"weight_decay", getWeightDecay()},
               {"clip_norm", getClipNorm()}},
              *this);
}

//===----------------------------------------------------------------------===//
// rowwise_adam
//===----------------------------------------------------------------------===//

SmallVector<OptimizerState> RowwiseAdamAttr::getStates(ArrayRef<int64_t> shape) const {
  return {whole("m", shape), perRow("v", shape)};
}

Attribute RowwiseAdamAttr::parse(AsmParser &parser, Type type) {
  // The fields are those of adamw, and so are their defaults.
  auto adamw = llvm::dyn_cast_or_null<AdamWAttr>(AdamWAttr::parse(parser, type));
  if (!adamw)
    return {};
  return get(parser.getContext(), adamw.getLearningRate(), adamw.getBeta1(), adamw.getBeta2(), adamw.getEpsilon(),
             adamw.getWeightDecay(), adamw.getClipNorm(), adamw.getLazy(), adamw.getSchedule(), adamw.getNearest());
}

void RowwiseAdamAttr::print(AsmPrinter &printer) const {
  printFields(printer,
              {{"learning_rate", getLearningRate()},
               {"beta1", getBeta1()},
               {"beta2", getBeta2()},
               {"epsilon", getEpsilon()},
               {"weight_decay", getWeightDecay()},
               {"clip_norm", getClipNorm()}},
              *this);
}

//===----------------------------------------------------------------------===//
// adafactor
//===----------------------------------------------------------------------===//

SmallVector<OptimizerState> AdafactorAttr::getStates(ArrayRef<int64_t> shape) const {
  if (shape.size() < 2)
    return {whole("v", shape)};
  return {{"rows", StateKind::Row, toVector(shape.drop_back())}, {"columns", StateKind::Column, {shape.back()}}};
}

bool AdafactorAttr::getLazy() const { return false; }

Attribute AdafactorAttr::parse(AsmParser &parser, Type) {
  Field fields[] = {{"learning_rate", 1e-3, 0, 1e3},     {"decay_rate", 0.8, 0, 1},
                    {"epsilon", 1e-30, kLeastNumber, 1}, {"clip_threshold", 1, kLeastNumber, 1e30},
                    {"weight_decay", 0, 0, 1e3},         {"clip_norm", 0, 0, 1e30}};
  Words words{std::nullopt};
  if (parseFields(parser, fields, words))
    return {};
  auto value = [&](int i) { return f64(parser.getContext(), fields[i].number); };
  return get(parser.getContext(), value(0), value(1), value(2), value(3), value(4), value(5), words.schedule,
             words.nearest);
}

void AdafactorAttr::print(AsmPrinter &printer) const {
  printFields(printer,
              {{"learning_rate", getLearningRate()},
               {"decay_rate", getDecayRate()},
               {"epsilon", getEpsilon()},
               {"clip_threshold", getClipThreshold()},
               {"weight_decay", getWeightDecay()},
               {"clip_norm", getClipNorm()}},
              *this, /*canBeLazy=*/false);
}
