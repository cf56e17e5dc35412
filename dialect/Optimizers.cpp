//===- Optimizers.cpp - syntax and answers of optimizers -----------------===//

#include "artifact/format.h"
#include "dialect/Nearest.h"
#include "dialect/Numbers.h"
#include "dialect/PeerDialect.h"

#include "llvm/ADT/SmallBitVector.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace peer;

//===----------------------------------------------------------------------===//
// Attributes written as `<key = value, ...>` with defaults
//===----------------------------------------------------------------------===//

namespace {
/// A numeric field of an optimizer.
struct Field {
  StringLiteral key;
  double otherwise;
  double low, high; // the interval it must lie in, both ends included
};

/// Fields that are words.
struct Words {
  std::optional<bool> lazy = false;          // none: the optimizer has no lazy step
  std::optional<bool> narrow = std::nullopt; // none: no state of an optimizer is ever one of bf16
  StringAttr schedule = {};
  bool nearest = false;
};

/// Of an optimizer that has states of elements.
Words moments() { return {.narrow = false}; }

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

/// Parses `<key = number, ..., lazy = bool, schedule = word, rounding = word, states = word>`; `numbers` are those of the fields.
ParseResult parseFields(AsmParser &parser, ArrayRef<Field> fields, SmallVector<FloatAttr> &numbers, Words &words) {
  SmallVector<StringRef> known = llvm::map_to_vector(fields, [](const Field &f) -> StringRef { return f.key; });
  numbers = llvm::map_to_vector(fields, [&](const Field &f) { return f64(parser.getContext(), f.otherwise); });
  llvm::SmallBitVector given(fields.size());
  if (words.lazy)
    known.push_back("lazy");
  known.append({"schedule", "rounding"});
  if (words.narrow)
    known.push_back("states");
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
    if (key == "states" && words.narrow) {
      if (parseWord(parser, key, {"f32", "bf16"}, word))
        return failure();
      words.narrow = word == "bf16";
      return success();
    }
    const Field *field = llvm::find_if(fields, [&](const Field &f) { return f.key == key; });
    if (field == fields.end())
      return parser.emitError(loc, "unknown field '")
             << key << "'; known are " << llvm::join(known, ", ") << didYouMean(key, known);
    unsigned place = field - fields.begin();
    if (given.test(place))
      return parser.emitError(loc, "field '") << key << "' is given twice";
    given.set(place);
    double value = 0;
    if (parser.parseEqual() || parseNumber(parser, value))
      return failure();
    if (!(value >= field->low && value <= field->high))
      return parser.emitError(loc, "'") << key << "' must lie in [" << field->low << ", " << field->high << "], got "
                                        << value;
    numbers[place] = f64(parser.getContext(), value);
    return success();
  };
  if (succeeded(parser.parseOptionalLess())) {
    if (succeeded(parser.parseOptionalGreater()))
      return success();
    return failure(parser.parseCommaSeparatedList(parseOne) || parser.parseGreater());
  }
  return success();
}

void printFields(AsmPrinter &printer, ArrayRef<Field> fields, ArrayRef<FloatAttr> numbers,
                 OptimizerAttrInterface optimizer, bool narrow = false, bool canBeLazy = true) {
  printer << "<";
  llvm::interleaveComma(llvm::zip_equal(fields, numbers), printer, [&](auto pair) {
    auto [field, number] = pair;
    printer << field.key << " = ";
    printer.printFloat(number.getValue());
  });
  if (canBeLazy)
    printer << ", lazy = " << (optimizer.getLazy() ? "true" : "false");
  if (StringAttr schedule = optimizer.getSchedule())
    printer << ", schedule = " << schedule.getValue();
  if (optimizer.getNearest())
    printer << ", rounding = nearest";
  if (narrow)
    printer << ", states = bf16";
  printer << ">";
}

OptimizerState whole(MLIRContext *context, StringRef name, ArrayRef<int64_t> shape, bool narrow = false) {
  Type element = Float32Type::get(context);
  if (narrow)
    element = BFloat16Type::get(context);
  return {name, StateKind::Whole, llvm::to_vector(shape), element};
}

/// One number for what each first index picks.
/// None is kept where its factor is 0.
SmallVector<OptimizerState> firstMoment(StringRef name, ArrayRef<int64_t> shape, FloatAttr factor, bool narrow) {
  if (factor.getValue().isZero())
    return {};
  return {whole(factor.getContext(), name, shape, narrow)};
}

OptimizerState perRow(MLIRContext *context, StringRef name, ArrayRef<int64_t> shape) {
  return {name, StateKind::Row, llvm::to_vector(shape.take_front(1)), Float32Type::get(context)};
}
} // namespace

//===----------------------------------------------------------------------===//
// adamw
//===----------------------------------------------------------------------===//

SmallVector<OptimizerState> AdamWAttr::getStates(ArrayRef<int64_t> shape) const {
  SmallVector<OptimizerState> states = firstMoment("m", shape, getBeta1(), getNarrow());
  states.push_back(whole(getContext(), "v", shape, getNarrow()));
  return states;
}

/// Of all that have Adam's moments.
static constexpr Field kAdamFields[] = {{"learning_rate", 1e-3, 0, 1e3}, {"beta1", 0.9, 0, 0.9999999},
                                        {"beta2", 0.95, 0, 0.9999999},   {"epsilon", 1e-8, kLeastNumber, 1},
                                        {"weight_decay", 0, 0, 1e3},     {"clip_norm", 0, 0, 1e30}};

Attribute AdamWAttr::parse(AsmParser &parser, Type) {
  SmallVector<FloatAttr> n;
  Words words = moments();
  if (parseFields(parser, kAdamFields, n, words))
    return {};
  return get(parser.getContext(), n[0], n[1], n[2], n[3], n[4], n[5], *words.lazy, words.schedule, words.nearest,
             *words.narrow);
}

void AdamWAttr::print(AsmPrinter &printer) const {
  printFields(printer, kAdamFields,
              {getLearningRate(), getBeta1(), getBeta2(), getEpsilon(), getWeightDecay(), getClipNorm()}, *this,
              getNarrow());
}

//===----------------------------------------------------------------------===//
// sgd
//===----------------------------------------------------------------------===//

SmallVector<OptimizerState> SGDAttr::getStates(ArrayRef<int64_t> shape) const {
  return firstMoment("momentum", shape, getMomentum(), getNarrow());
}

static constexpr Field kSGDFields[] = {{"learning_rate", 1e-2, 0, 1e3},
                                       {"momentum", 0, 0, 0.9999999},
                                       {"weight_decay", 0, 0, 1e3},
                                       {"clip_norm", 0, 0, 1e30}};

Attribute SGDAttr::parse(AsmParser &parser, Type) {
  SmallVector<FloatAttr> n;
  Words words = moments();
  if (parseFields(parser, kSGDFields, n, words))
    return {};
  return get(parser.getContext(), n[0], n[1], n[2], n[3], *words.lazy, words.schedule, words.nearest, *words.narrow);
}

void SGDAttr::print(AsmPrinter &printer) const {
  printFields(printer, kSGDFields, {getLearningRate(), getMomentum(), getWeightDecay(), getClipNorm()}, *this,
              getNarrow());
}

//===----------------------------------------------------------------------===//
// rowwise_adagrad
//===----------------------------------------------------------------------===//

SmallVector<OptimizerState> RowwiseAdagradAttr::getStates(ArrayRef<int64_t> shape) const {
  return {perRow(getContext(), "sum", shape)};
}

static constexpr Field kAdagradFields[] = {{"learning_rate", 1e-2, 0, 1e3},
                                           {"epsilon", 1e-8, kLeastNumber, 1},
                                           {"weight_decay", 0, 0, 1e3},
                                           {"clip_norm", 0, 0, 1e30}};

Attribute RowwiseAdagradAttr::parse(AsmParser &parser, Type) {
  SmallVector<FloatAttr> n;
  Words words;
  if (parseFields(parser, kAdagradFields, n, words))
    return {};
  return get(parser.getContext(), n[0], n[1], n[2], n[3], *words.lazy, words.schedule, words.nearest);
}

void RowwiseAdagradAttr::print(AsmPrinter &printer) const {
  printFields(printer, kAdagradFields, {getLearningRate(), getEpsilon(), getWeightDecay(), getClipNorm()}, *this);
}

//===----------------------------------------------------------------------===//
// rowwise_adam
//===----------------------------------------------------------------------===//

SmallVector<OptimizerState> RowwiseAdamAttr::getStates(ArrayRef<int64_t> shape) const {
  SmallVector<OptimizerState> states = firstMoment("m", shape, getBeta1(), getNarrow());
  states.push_back(perRow(getContext(), "v", shape));
  return states;
}

Attribute RowwiseAdamAttr::parse(AsmParser &parser, Type) {
  SmallVector<FloatAttr> n;
  Words words = moments();
  if (parseFields(parser, kAdamFields, n, words))
    return {};
  return get(parser.getContext(), n[0], n[1], n[2], n[3], n[4], n[5], *words.lazy, words.schedule, words.nearest,
             *words.narrow);
}

void RowwiseAdamAttr::print(AsmPrinter &printer) const {
  printFields(printer, kAdamFields,
              {getLearningRate(), getBeta1(), getBeta2(), getEpsilon(), getWeightDecay(), getClipNorm()}, *this,
              getNarrow());
}

//===----------------------------------------------------------------------===//
// adafactor
//===----------------------------------------------------------------------===//

SmallVector<OptimizerState> AdafactorAttr::getStates(ArrayRef<int64_t> shape) const {
  if (shape.size() < 2)
    return {whole(getContext(), "v", shape)};
  Type f32 = Float32Type::get(getContext());
  return {{"rows", StateKind::Row, llvm::to_vector(shape.drop_back()), f32},
          {"columns", StateKind::Column, {shape.back()}, f32}};
}

bool AdafactorAttr::getLazy() const { return false; }

static constexpr Field kAdafactorFields[] = {
    {"learning_rate", 1e-3, 0, 1e3},           {"decay_rate", 0.8, 0, 1},   {"epsilon", 1e-30, kLeastNumber, 1},
    {"clip_threshold", 1, kLeastNumber, 1e30}, {"weight_decay", 0, 0, 1e3}, {"clip_norm", 0, 0, 1e30}};

Attribute AdafactorAttr::parse(AsmParser &parser, Type) {
  SmallVector<FloatAttr> n;
  Words words{.lazy = std::nullopt};
  if (parseFields(parser, kAdafactorFields, n, words))
    return {};
  return get(parser.getContext(), n[0], n[1], n[2], n[3], n[4], n[5], words.schedule, words.nearest);
}

void AdafactorAttr::print(AsmPrinter &printer) const {
  printFields(printer, kAdafactorFields,
              {getLearningRate(), getDecayRate(), getEpsilon(), getClipThreshold(), getWeightDecay(), getClipNorm()},
              *this, /*narrow=*/false, /*canBeLazy=*/false);
}
