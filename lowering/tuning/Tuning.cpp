//===- Tuning.cpp - the values of tuning parameters in a module ----------===//

#include "Tuning.h"

#include "dialect/Names.h"
#include "dialect/Nearest.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;

namespace peer {

static constexpr llvm::StringLiteral kTuning = "peer.tuning";

int64_t tuned(Operation *op, const TuningParameter &parameter) {
  auto module = dyn_cast<ModuleOp>(op);
  if (!module)
    module = op->getParentOfType<ModuleOp>();
  auto values = module ? module->getAttrOfType<DictionaryAttr>(kTuning) : DictionaryAttr();
  auto value = values ? values.getAs<IntegerAttr>(StringRef(parameter.name)) : IntegerAttr();
  return value ? value.getInt() : parameter.value;
}

int64_t tuned(OpBuilder &builder, const TuningParameter &parameter) {
  return tuned(builder.getInsertionBlock()->getParentOp(), parameter);
}

void setTuning(ModuleOp module, const TuningValues &values) {
  if (values.empty()) {
    module->removeAttr(kTuning);
    return;
  }
  Builder builder(module.getContext());
  SmallVector<NamedAttribute> attributes;
  for (const auto &[name, value] : values)
    attributes.push_back(builder.getNamedAttr(name, builder.getI64IntegerAttr(value)));
  module->setAttr(kTuning, builder.getDictionaryAttr(attributes));
}

TuningValues getTuning(ModuleOp module) {
  TuningValues values;
  if (auto attributes = module->getAttrOfType<DictionaryAttr>(kTuning))
    for (NamedAttribute each : attributes)
      if (auto value = dyn_cast<IntegerAttr>(each.getValue()))
        values[each.getName().str()] = value.getInt();
  return values;
}

llvm::Error checkTuning(StringRef name, int64_t value, StringRef where) {
  SmallVector<StringRef> names;
  for (const TuningParameter *parameter : kTuningParameters) {
    if (StringRef(parameter->name) != name) {
      names.push_back(parameter->name);
      continue;
    }
    if (value >= 1 && value <= parameter->most)
      return llvm::Error::success();
    return llvm::createStringError(
        llvm::formatv("{0}: {1} is {2}, expected 1 to {3}", where, name, value, parameter->most));
  }
  return llvm::createStringError(where + ": there is no tuning parameter " + quote(name) + didYouMean(name, names) +
                                 "; --tune=help lists them");
}

llvm::Expected<TuningValues> parseTuning(StringRef text) {
  TuningValues values;
  SmallVector<StringRef> parts;
  text.split(parts, ',');
  for (StringRef part : parts) {
    auto [name, number] = part.split('=');
    int64_t value;
    if (name.empty() || number.empty() || number.getAsInteger(10, value))
      return llvm::createStringError("--tune: " + quote(part) +
                                     ", expected NAME=VALUE with a whole number, such as mix.tokens=32");
    if (llvm::Error error = checkTuning(name, value, "--tune"))
      return std::move(error);
    if (!values.try_emplace(name.str(), value).second)
      return llvm::createStringError("--tune: " + name + " stands there twice");
  }
  return values;
}

std::string tuningText(const TuningValues &values) {
  return llvm::join(
      llvm::map_range(values, [](const auto &each) { return llvm::formatv("{0}={1}", each.first, each.second).str(); }),
      ",");
}

std::string tuningTable() {
  std::string text;
  llvm::raw_string_ostream out(text);
  for (const TuningParameter *parameter : kTuningParameters) {
    std::string tried;
    for (int64_t value : parameter->tried)
      if (value > 0)
        tried += (tried.empty() ? "" : " ") + std::to_string(value);
    out << llvm::formatv("{0,-24}{1,6}  ({2}) {3}\n", StringRef(parameter->name), parameter->value, tried,
                         StringRef(parameter->meaning));
  }
  return text;
}

} // namespace peer
