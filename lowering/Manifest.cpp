//===- Manifest.cpp - what an artifact says about itself -----------------===//

#include "Manifest.h"

#include "artifact/format.h"
#include "lowering/tuning/Tuning.h"
#include "passes/Checks.h"
#include "passes/Entries.h"
#include "passes/analysis/KernelWork.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/JSON.h"

#include <cmath>

using namespace mlir;
namespace json = llvm::json;
namespace key = peer::format::key;

namespace peer {

static json::Array shapeOf(RankedTensorType type) {
  json::Array shape;
  for (int64_t size : type.getShape()) {
    if (ShapedType::isDynamic(size))
      shape.push_back(format::kTokens);
    else
      shape.push_back(size);
  }
  return shape;
}

/// f32, bf16, i32, ..., and the name that files have for what they call F8_E4M3.
static std::string dtypeOf(RankedTensorType type) {
  if (isa<Float8E4M3FNType>(type.getElementType()))
    return "f8_e4m3";
  std::string text;
  llvm::raw_string_ostream(text) << type.getElementType();
  return text;
}

static json::Object describeTensor(StringRef name, RankedTensorType type) {
  return json::Object{{key::kName, name}, {key::kDType, dtypeOf(type)}, {key::kShape, shapeOf(type)}};
}

static json::Object describeInit(InitAttr init) {
  double a = init.getA().getValueAsDouble(), b = init.getB().getValueAsDouble();
  switch (init.getKind()) {
  case InitKind::Normal:
    return json::Object{{key::kKind, format::init::kNormal}, {key::kMean, a}, {key::kStd, b}};
  case InitKind::Uniform:
    return json::Object{{key::kKind, format::init::kUniform}, {key::kLow, a}, {key::kHigh, b}};
  case InitKind::Constant:
    return json::Object{{key::kKind, format::init::kConstant}, {key::kValue, a}};
  }
  llvm_unreachable("all initialisers are listed");
}

static json::Array numbers(ArrayRef<int64_t> values) {
  json::Array array;
  for (int64_t value : values)
    array.push_back(value);
  return array;
}

static SmallVector<int64_t> integers(Attribute attribute) {
  return llvm::map_to_vector(cast<ArrayAttr>(attribute).getAsRange<IntegerAttr>(),
                             [](IntegerAttr value) { return value.getInt(); });
}

/// Letters, digits and `_` as they are, other bytes as `.` and two hexadecimal digits: different names are different symbols.
static std::string toSymbol(StringRef name) {
  std::string symbol;
  for (unsigned char byte : name.bytes()) {
    if (llvm::isAlnum(char(byte)) || byte == '_')
      symbol += char(byte);
    else
      symbol += {'.', llvm::hexdigit(byte >> 4), llvm::hexdigit(byte & 15)};
  }
  return symbol;
}

namespace {
/// Collects entries and, across them, parameters.
class ManifestBuilder {
public:
  ManifestBuilder(const GraphFactsMap &facts, unsigned version)
      : facts(facts), prefix(version ? ("peer_v" + llvm::Twine(version) + "_entry_").str() : "peer_entry_") {}
  LogicalResult addEntry(func::FuncOp function);
  json::Array entries, derivations, parameters;
  std::vector<EntrySignature> signatures;

private:
  FailureOr<json::Object> describeArgument(func::FuncOp function, unsigned i,
                                           const llvm::SmallDenseSet<int64_t> &updated);
  const GraphFactsMap &facts;
  std::string prefix; // of symbols
  llvm::StringMap<bool> seen;
};
} // namespace

FailureOr<json::Object> ManifestBuilder::describeArgument(func::FuncOp function, unsigned i,
                                                          const llvm::SmallDenseSet<int64_t> &updated) {
  auto type = dyn_cast<RankedTensorType>(function.getArgumentTypes()[i]);
  StringRef name = getArgumentName(function, i), role = getRole(function, i);
  if (!type || name.empty() || role.empty())
    return function.emitError("argument ")
           << i << " of entry @" << function.getName() << " must be a tensor with a name and a role";
  json::Object argument = describeTensor(name, type);
  argument[key::kRole] = role;
  argument[key::kUpdated] = updated.contains(i);
  if (Attribute range = function.getArgAttr(i, attrs::kRange))
    argument[key::kRange] = numbers(integers(range));
  if (Attribute grid = function.getArgAttr(i, attrs::kGrid))
    argument[key::kGrid] = numbers(integers(grid));
  if (ParameterAttr parameter = getParameter(function, i); parameter && seen.try_emplace(name, true).second) {
    json::Object description = describeTensor(name, type);
    description[key::kGroup] = parameter.getGroup().getValue();
    description[key::kTrainable] = parameter.getTrainable();
    if (parameter.getFrozen())
      description[key::kFrozen] = true;
    description[key::kInit] = describeInit(parameter.getInit());
    parameters.push_back(std::move(description));
  }
  return argument;
}

LogicalResult ManifestBuilder::addEntry(func::FuncOp function) {
  llvm::SmallDenseSet<int64_t> updated;
  json::Array arguments, results, kernels;
  for (unsigned i = 0; i < function.getNumResults(); ++i) {
    if (auto argument = function.getResultAttrOfType<IntegerAttr>(i, attrs::kUpdates)) {
      updated.insert(argument.getInt());
      continue;
    }
    auto type = dyn_cast<RankedTensorType>(function.getResultTypes()[i]);
    if (!type)
      return function.emitError("result ") << i << " of entry @" << function.getName() << " must be a tensor";
    json::Object result = describeTensor(getResultName(function, i), type);
    if (auto check = function.getResultAttrOfType<DictionaryAttr>(i, attrs::kCheck))
      result[key::kCheck] = json::Object{{key::kWhat, cast<StringAttr>(check.get("what")).str()},
                                         {key::kRange, numbers(integers(check.get("range")))}};
    results.push_back(std::move(result));
  }
  bool dynamic = false;
  for (unsigned i = 0; i < function.getNumArguments(); ++i) {
    FailureOr<json::Object> argument = describeArgument(function, i, updated);
    if (failed(argument))
      return failure();
    dynamic |= !cast<ShapedType>(function.getArgumentTypes()[i]).hasStaticShape();
    arguments.push_back(std::move(*argument));
  }
  function.walk([&](MarkOp mark) {
    if (int64_t(mark.getIndex()) >= 0)
      kernels.push_back(json::Object{{key::kName, mark.getKernel()},
                                     {key::kBytes, numbers(mark.getBytes())},
                                     {key::kFlops, numbers(mark.getFlops())}});
  });
  json::Object dims;
  if (dynamic) {
    json::Object tokens;
    auto multiple = function->getAttrOfType<IntegerAttr>(attrs::kMultipleOf);
    tokens[key::kMultipleOf] = multiple ? multiple.getInt() : 1;
    if (auto max = function->getAttrOfType<IntegerAttr>(attrs::kMaxTokens))
      tokens[key::kMax] = max.getInt();
    dims[format::kTokens] = std::move(tokens);
  }
  auto text = [&](StringRef name) -> std::string {
    auto attribute = function->getAttrOfType<StringAttr>(name);
    return attribute ? attribute.str() : "";
  };
  std::string symbol = toSymbol(function.getName());
  EntrySignature signature{function.getName().str(), "entry_" + symbol, prefix + symbol, function.getNumArguments(),
                           unsigned(results.size())};
  json::Array pairs;
  if (auto list = function->getAttrOfType<ArrayAttr>(attrs::kPairs))
    for (auto parts : list.getAsRange<DictionaryAttr>()) {
      json::Object described;
      for (NamedAttribute part : parts)
        described[part.getName().getValue()] = cast<StringAttr>(part.getValue()).getValue();
      pairs.push_back(std::move(described));
    }
  GraphFacts known = facts.lookup(signature.name);
  bool derives = text(attrs::kKind) == format::kind::kDerive;
  json::Array &list = derives ? derivations : entries;
  list.push_back(json::Object{{key::kName, signature.name},
                              {key::kSymbol, signature.symbol},
                              {key::kKind, text(attrs::kKind)},
                              {key::kOf, text(attrs::kOf)},
                              {key::kFingerprint, known.fingerprint},
                              {key::kDims, std::move(dims)},
                              {key::kArguments, std::move(arguments)},
                              {key::kResults, std::move(results)},
                              {key::kKernels, std::move(kernels)}});
  if (known.activeParameters)
    (*list.back().getAsObject())[key::kActiveParameters] = *known.activeParameters;
  if (!pairs.empty())
    (*list.back().getAsObject())[key::kPairs] = std::move(pairs);
  signatures.push_back(std::move(signature));
  return success();
}

static json::Array describeGroups(ModuleOp module) {
  json::Array groups;
  auto list = module->getAttrOfType<ArrayAttr>(attrs::kGroups);
  for (Attribute element : list ? list.getValue() : ArrayRef<Attribute>()) {
    auto group = cast<DictionaryAttr>(element);
    groups.push_back(json::Object{{key::kName, cast<StringAttr>(group.get("name")).str()},
                                  {key::kOptimizer, cast<StringAttr>(group.get("optimizer")).str()},
                                  {key::kLearningRate, cast<FloatAttr>(group.get("learning_rate")).getValueAsDouble()},
                                  {key::kLazy, cast<BoolAttr>(group.get("lazy")).getValue()}});
    if (auto schedule = group.getAs<StringAttr>("schedule"))
      (*groups.back().getAsObject())[key::kSchedule] = schedule.str();
  }
  return groups;
}

static uint64_t fnv1a(StringRef bytes, uint64_t hash = format::kFnvStart) {
  for (unsigned char byte : bytes)
    hash = (hash ^ byte) * format::kFnvPrime;
  return hash;
}

/// Gradients and updates touch what the forward direction does, and more.
static std::optional<int64_t> countActiveParameters(func::FuncOp function) {
  auto kind = function->getAttrOfType<StringAttr>(attrs::kKind);
  if (!kind || !llvm::is_contained({StringRef(format::kind::kForward), StringRef(format::kind::kLoss),
                                    StringRef(format::kind::kPrefill), StringRef(format::kind::kDecode)},
                                   kind.getValue()))
    return std::nullopt;
  WorkMeter meter(function.front());
  double total = 0;
  for (unsigned i = 0; i < function.getNumArguments(); ++i)
    if (getParameter(function, i))
      total += meter.elementsPerToken(function.getArgument(i));
  return total < 9e15 ? std::optional(std::llround(total)) : std::nullopt;
}

GraphFactsMap collectGraphFacts(ModuleOp module) {
  OpPrintingFlags flags;
  flags.useLocalScope().enableDebugInfo(false);
  auto textOf = [&](func::FuncOp function) {
    std::string text;
    llvm::raw_string_ostream stream(text);
    function->print(stream, flags);
    return text;
  };
  // What entries may call counts for each of them.
  uint64_t shared = fnv1a("");
  for (func::FuncOp function : module.getOps<func::FuncOp>())
    if (!function.isPublic())
      shared = fnv1a(textOf(function), shared);
  GraphFactsMap facts;
  for (func::FuncOp function : module.getOps<func::FuncOp>())
    if (function.isPublic() && !function.isExternal())
      facts[function.getName()] = {llvm::utohexstr(fnv1a(textOf(function), shared), /*LowerCase=*/true, 16),
                                   countActiveParameters(function)};
  return facts;
}

llvm::Error Manifest::addVersion(Manifest other) {
  for (StringRef shared : {key::kParameters, key::kGroups})
    if (*root.get(shared) != *other.root.get(shared))
      return llvm::createStringError("two versions of the code differ in the manifest's %s", shared.data());
  json::Object version;
  for (StringRef own : {key::kTarget, key::kEntries, key::kDerivations, key::kTuning})
    if (json::Value *value = other.root.get(own))
      version[own] = std::move(*value);
  root.try_emplace(key::kVersions, json::Array()).first->second.getAsArray()->push_back(std::move(version));
  return llvm::Error::success();
}

std::string Manifest::text() const { return llvm::formatv("{0:2}", json::Value(json::Object(root))); }

FailureOr<Manifest> buildManifest(ModuleOp module, StringRef model, const GraphFactsMap &facts, const Target &target,
                                  unsigned version) {
  ManifestBuilder builder(facts, version);
  for (func::FuncOp function : module.getOps<func::FuncOp>())
    if (function.isPublic() && !function.isExternal() && failed(builder.addEntry(function)))
      return failure();
  if (builder.signatures.empty())
    return module.emitError("a model needs at least one public function");
  json::Object root{{key::kFormat, format::kManifestVersion},
                    {key::kCompiler, "peer-opt " PEER_VERSION},
                    // A file may have any bytes as its name.
                    {key::kModel, json::fixUTF8(model)},
                    {key::kTarget, target.describe()},
                    {key::kParameters, std::move(builder.parameters)},
                    {key::kGroups, describeGroups(module)},
                    {key::kEntries, std::move(builder.entries)}};
  if (!builder.derivations.empty())
    root[key::kDerivations] = std::move(builder.derivations);
  if (TuningValues tuning = getTuning(module); !tuning.empty()) {
    json::Object values;
    for (const auto &[name, value] : tuning)
      values[name] = value;
    root[key::kTuning] = std::move(values);
  }
  return Manifest{std::move(root), std::move(builder.signatures)};
}

void renameEntries(ModuleOp module, ArrayRef<EntrySignature> entries) {
  SymbolTable symbols(module);
  for (const EntrySignature &entry : entries)
    symbols.lookup<func::FuncOp>(entry.name).setSymName(entry.function);
}

std::string packArtifact(StringRef sharedObject, StringRef manifest, StringRef description) {
  std::string bytes = (sharedObject + manifest + description).str();
  uint64_t checksum = fnv1a(bytes);
  char footer[format::kFooterBytes] = {};
  llvm::copy(format::kMagic, footer);
  llvm::support::endian::write32le(footer + format::kVersionAt,
                                   description.empty() ? format::kVersionWithout : format::kVersion);
  llvm::support::endian::write64le(footer + format::kObjectBytesAt, sharedObject.size());
  llvm::support::endian::write64le(footer + format::kManifestBytesAt, manifest.size());
  llvm::support::endian::write64le(footer + format::kChecksumAt, checksum);
  llvm::support::endian::write64le(footer + format::kDescriptionBytesAt, description.size());
  bytes.append(footer, sizeof(footer));
  return bytes;
}

} // namespace peer
