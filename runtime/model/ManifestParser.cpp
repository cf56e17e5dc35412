// The manifest from JSON. Everything that later code relies on is checked here, once.
#include "Manifest.h"
#include "artifact/format.h"

#include <algorithm>
#include <climits>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

namespace peer::runtime {

using nlohmann::json;
namespace key = format::key;

namespace {
/// Walks the JSON and remembers where it is, so that an error can say so. Errors are thrown and caught within parseManifest.
class Reader {
public:
  explicit Reader(std::string where) : where(std::move(where)) {}

  struct Error {
    std::string message;
  };

  template <typename... Args>
  [[noreturn]] void fail(const Args &...args) const {
    throw Error{concat(where, ": ", args...)};
  }

  Reader at(std::string_view inner) const { return Reader(concat(where, ", ", inner)); }

  const json &field(const json &object, const char *key) const {
    if (!object.is_object() || !object.contains(key))
      fail("\"", key, "\" is missing");
    return object[key];
  }
  std::string text(const json &object, const char *key) const {
    const json &value = field(object, key);
    if (!value.is_string())
      fail("\"", key, "\" must be a string");
    return value.get<std::string>();
  }
  double number(const json &object, const char *key) const {
    const json &value = field(object, key);
    if (!value.is_number())
      fail("\"", key, "\" must be a number");
    return value.get<double>();
  }
  bool flag(const json &object, const char *key, bool absent) const {
    if (!object.contains(key))
      return absent;
    if (!object[key].is_boolean())
      fail("\"", key, "\" must be true or false");
    return object[key].get<bool>();
  }
  const json &array(const json &object, const char *key) const {
    const json &value = field(object, key);
    if (!value.is_array())
      fail("\"", key, "\" must be an array");
    return value;
  }
  DType dtype(const json &object) const {
    std::string name = text(object, key::kDType);
    if (std::optional<DType> dtype = parseDType(name))
      return *dtype;
    fail("\"", name, "\" is no known dtype");
  }
  Shape shape(const json &object, bool mayBeDynamic) const {
    Shape shape;
    Shape smallest;
    for (const json &size : array(object, key::kShape)) {
      if (size.is_string() && size.get_ref<const std::string &>() == format::kTokens && mayBeDynamic)
        shape.push_back(kDynamic);
      else if (size.is_number_unsigned() && size.get<uint64_t>() <= INT64_MAX)
        shape.push_back(size.get<int64_t>());
      else
        fail("\"shape\" must hold non-negative integers", mayBeDynamic ? " or \"T\"" : "");
      smallest.push_back(std::max<int64_t>(shape.back(), 1));
    }
    if (!byteCount(DType::F64, smallest).ok())
      fail("shape ", shapeText(shape), " is too large");
    return shape;
  }
  template <typename T>
  std::array<T, 2> pair(const json &object, const char *key) const {
    const json &value = field(object, key);
    bool good = value.is_array() && value.size() == 2;
    for (size_t i = 0; good && i < 2; ++i)
      good = std::is_integral_v<T> ? value[i].is_number_integer() : value[i].is_number();
    if (!good)
      fail("\"", key, "\" must be two ", std::is_integral_v<T> ? "integers" : "numbers");
    return {value[0].get<T>(), value[1].get<T>()};
  }

private:
  std::string where;
};

Init parseInit(const Reader &reader, const json &value) {
  Init init;
  std::string kind = reader.text(value, key::kKind);
  if (kind == format::init::kNormal) {
    init.kind = Init::Kind::Normal;
    init.mean = reader.number(value, key::kMean);
    init.std = reader.number(value, key::kStd);
  } else if (kind == format::init::kUniform) {
    init.kind = Init::Kind::Uniform;
    init.low = reader.number(value, key::kLow);
    init.high = reader.number(value, key::kHigh);
  } else if (kind == format::init::kConstant) {
    init.kind = Init::Kind::Constant;
    init.value = reader.number(value, key::kValue);
  } else {
    reader.fail("init kind \"", kind, "\" is none of normal, uniform, constant");
  }
  return init;
}

Parameter parseParameter(const Reader &outer, const json &value) {
  Parameter parameter;
  parameter.name = outer.text(value, key::kName);
  Reader reader = outer.at(concat("parameter \"", parameter.name, "\""));
  parameter.dtype = reader.dtype(value);
  parameter.shape = reader.shape(value, false);
  parameter.group = value.contains(key::kGroup) ? reader.text(value, key::kGroup) : "default";
  parameter.trainable = reader.flag(value, key::kTrainable, true);
  parameter.frozen = reader.flag(value, key::kFrozen, false);
  if (parameter.frozen && parameter.trainable)
    reader.fail("it is both trainable and frozen");
  parameter.init = parseInit(reader, reader.field(value, key::kInit));
  if (parameter.init.kind != Init::Kind::Constant && isInteger(parameter.dtype))
    reader.fail("integers can only be initialised by a constant");
  return parameter;
}

template <typename Enum, size_t N>
Enum parseEnum(const Reader &reader, const json &value, const char *key, std::string_view (*nameOf)(Enum),
               const Enum (&all)[N]) {
  std::string name = reader.text(value, key);
  for (Enum candidate : all)
    if (nameOf(candidate) == name)
      return candidate;
  reader.fail("\"", name, "\" is no known ", key);
}

Argument parseArgument(const Reader &outer, const json &value, bool dynamic) {
  static constexpr Role roles[] = {Role::Input, Role::Parameter, Role::State, Role::Usage, Role::Scalar, Role::Derived};
  Argument argument;
  argument.name = outer.text(value, key::kName);
  Reader reader = outer.at(concat("argument \"", argument.name, "\""));
  argument.role = parseEnum<Role>(reader, value, key::kRole, roleName, roles);
  argument.dtype = reader.dtype(value);
  argument.shape = reader.shape(value, dynamic && argument.role == Role::Input);
  if (argument.role == Role::Scalar && !argument.shape.empty())
    reader.fail("a scalar must have the shape []");
  if (argument.role == Role::Scalar && argument.dtype != DType::F32 && argument.dtype != DType::F64 &&
      argument.dtype != DType::I32 && argument.dtype != DType::I64)
    reader.fail("a scalar must be f32, f64, i32 or i64");
  if (value.contains(key::kRange))
    argument.range = reader.pair<int64_t>(value, key::kRange);
  if (argument.range && !isInteger(argument.dtype))
    reader.fail("only integers have a range");
  if (value.contains(key::kGrid))
    argument.grid = reader.pair<int64_t>(value, key::kGrid);
  argument.updated = reader.flag(value, key::kUpdated, false);
  return argument;
}

IndexCheck parseCheck(const Reader &reader, const json &value, const ResultInfo &result) {
  if (result.dtype != DType::F32 || !result.shape.empty())
    reader.fail("a check must be a scalar of f32");
  return {reader.text(value, key::kWhat), reader.pair<int64_t>(value, key::kRange)};
}

Entry parseEntry(const Reader &outer, const json &value) {
  static constexpr EntryKind kinds[] = {EntryKind::Forward,   EntryKind::Gradient,   EntryKind::Loss,
                                        EntryKind::Train,     EntryKind::Accumulate, EntryKind::Update,
                                        EntryKind::Prefill,   EntryKind::Decode,     EntryKind::Backward,
                                        EntryKind::RowUpdate, EntryKind::RowNorm,    EntryKind::Derive};
  Entry entry;
  entry.name = outer.text(value, key::kName);
  Reader reader = outer.at(concat("entry \"", entry.name, "\""));
  entry.symbol = reader.text(value, key::kSymbol);
  entry.kind = parseEnum<EntryKind>(reader, value, key::kKind, entryKindName, kinds);
  entry.of = value.contains(key::kOf) ? reader.text(value, key::kOf) : "";
  entry.fingerprint = value.contains(key::kFingerprint) ? reader.text(value, key::kFingerprint) : "";
  if (value.contains(key::kDims) && value[key::kDims].is_object() && value[key::kDims].contains(format::kTokens)) {
    const json &tokens = value[key::kDims][format::kTokens];
    entry.dynamic = true;
    if (tokens.is_object() && tokens.contains(key::kMultipleOf)) {
      const json &multiple = tokens[key::kMultipleOf];
      if (!multiple.is_number_unsigned() || multiple.get<uint64_t>() < 1 || multiple.get<uint64_t>() > INT32_MAX)
        reader.fail("\"multiple_of\" must be a positive integer");
      entry.multipleOf = multiple.get<int64_t>();
    }
    if (tokens.is_object() && tokens.contains(key::kMax)) {
      const json &most = tokens[key::kMax];
      if (!most.is_number_unsigned() || most.get<uint64_t>() < 1 || most.get<uint64_t>() > INT32_MAX)
        reader.fail("\"max\" must be a positive integer");
      entry.most = most.get<int64_t>();
    }
  }
  std::set<std::string> names;
  bool hasT = false;
  for (const json &item : reader.array(value, key::kArguments)) {
    entry.arguments.push_back(parseArgument(reader, item, entry.dynamic));
    const Argument &argument = entry.arguments.back();
    // A usage tensor is named after the parameter it counts, so the two may share a name; so is what is derived of one.
    bool shares = argument.role == Role::Usage || argument.role == Role::Derived;
    if (!names.insert(concat(shares ? roleName(argument.role) : "", " ", argument.name)).second)
      reader.fail("argument \"", argument.name, "\" appears twice");
    hasT |= std::find(argument.shape.begin(), argument.shape.end(), kDynamic) != argument.shape.end();
  }
  if (entry.dynamic && !hasT)
    reader.fail("no input has the dimension T, so it cannot be known");
  for (const json &item : reader.array(value, key::kResults)) {
    ResultInfo result{reader.text(item, key::kName), reader.dtype(item), reader.shape(item, entry.dynamic), {}};
    if (item.contains(key::kCheck))
      result.check = parseCheck(reader.at(concat("result \"", result.name, "\"")), item[key::kCheck], result);
    if (entry.findResult(result.name))
      reader.fail("result \"", result.name, "\" appears twice");
    entry.results.push_back(std::move(result));
  }
  if (auto active = value.find(key::kActiveParameters); active != value.end()) {
    if (!active->is_number_integer() || active->get<int64_t>() < 0)
      reader.fail("\"active_parameters\" must be a non-negative integer");
    else
      entry.activeParameters = active->get<int64_t>();
  }
  if (value.contains(key::kKernels))
    for (const json &item : reader.array(value, key::kKernels))
      entry.kernels.push_back({reader.text(item, key::kName), reader.pair<double>(item, key::kBytes),
                               reader.pair<double>(item, key::kFlops)});
  return entry;
}

/// What a caller of an entry sees of it.
bool isSameCall(const Entry &one, const Entry &other) {
  auto isShown = [](const Argument &argument) { return argument.role != Role::Derived; };
  auto argumentsOf = [&](const Entry &entry) {
    std::vector<std::tuple<std::string_view, Role, DType, Shape, bool>> list;
    for (const Argument &each : entry.arguments)
      if (isShown(each))
        list.emplace_back(each.name, each.role, each.dtype, each.shape, each.updated);
    return list;
  };
  auto isSameResult = [](const ResultInfo &a, const ResultInfo &b) {
    return a.name == b.name && a.dtype == b.dtype && a.shape == b.shape && a.check.has_value() == b.check.has_value();
  };
  return one.name == other.name && one.kind == other.kind && one.of == other.of && one.dynamic == other.dynamic &&
         one.multipleOf == other.multipleOf && one.most == other.most && argumentsOf(one) == argumentsOf(other) &&
         std::ranges::equal(one.results, other.results, isSameResult);
}

/// A derivation makes one tensor of one parameter, which is named as that.
void checkDerivation(const Reader &reader, const Entry &entry) {
  if (entry.kind != EntryKind::Derive || entry.arguments.size() != 1 || entry.results.size() != 1 ||
      entry.arguments[0].role != Role::Parameter || entry.results[0].name != entry.arguments[0].name)
    reader.fail("derivation \"", entry.name, "\" must make one tensor of one parameter, named as that");
}

/// What must hold between the parts: every parameter argument is declared with the same type, states agree between entries, names differ.
void checkTogether(const Reader &reader, const Manifest &manifest) {
  std::set<std::string> parameters, entries;
  for (const Parameter &parameter : manifest.parameters)
    if (!parameters.insert(parameter.name).second)
      reader.fail("parameter \"", parameter.name, "\" appears twice");
  std::map<std::pair<Role, std::string>, const Argument *> kept;
  std::map<std::string, const ResultInfo *> derived;
  for (const Entry &entry : manifest.derivations) {
    checkDerivation(reader, entry);
    derived.emplace(entry.results[0].name, &entry.results[0]);
  }
  std::vector<const Entry *> all;
  for (const auto *list : {&manifest.derivations, &manifest.entries})
    for (const Entry &entry : *list)
      all.push_back(&entry);
  for (const Entry *each : all) {
    const Entry &entry = *each;
    if (!entries.insert(entry.name).second)
      reader.fail("entry \"", entry.name, "\" appears twice");
    for (const Argument &argument : entry.arguments) {
      auto disagrees = [&](DType dtype, const Shape &shape) {
        if (argument.dtype != dtype || argument.shape != shape)
          reader.fail("entry \"", entry.name, "\", argument \"", argument.name, "\" is ",
                      typeText(argument.dtype, argument.shape), ", but elsewhere ", typeText(dtype, shape));
      };
      if (argument.role == Role::Parameter) {
        const Parameter *parameter = manifest.findParameter(argument.name);
        if (!parameter)
          reader.fail("entry \"", entry.name, "\" takes the parameter \"", argument.name, "\", which is not declared");
        disagrees(parameter->dtype, parameter->shape);
      } else if (argument.role == Role::State || argument.role == Role::Usage) {
        const Argument *first = kept.emplace(std::pair(argument.role, argument.name), &argument).first->second;
        disagrees(first->dtype, first->shape);
      } else if (argument.role == Role::Derived) {
        auto maker = derived.find(argument.name);
        if (maker == derived.end())
          reader.fail("entry \"", entry.name, "\" takes what is derived of the parameter \"", argument.name,
                      "\", and nothing makes that");
        disagrees(maker->second->dtype, maker->second->shape);
      }
    }
  }
}

std::vector<std::string> parseFeatures(const Reader &reader, const json &target) {
  std::vector<std::string> features;
  if (target.contains(key::kFeatures))
    for (const json &feature : reader.array(target, key::kFeatures)) {
      if (!feature.is_string())
        reader.fail("\"features\" must be strings");
      features.push_back(feature.get<std::string>());
    }
  return features;
}

/// The parts that a version has for itself.
Version parseVersion(const Reader &reader, const json &object) {
  Version version;
  const json &target = reader.field(object, key::kTarget);
  version.cpu = target.contains(key::kCpu) ? reader.text(target, key::kCpu) : "";
  version.features = parseFeatures(reader, target);
  for (const json &item : reader.array(object, key::kEntries))
    version.entries.push_back(parseEntry(reader, item));
  if (object.contains(key::kDerivations))
    for (const json &item : reader.array(object, key::kDerivations))
      version.derivations.push_back(parseEntry(reader, item));
  if (object.contains(key::kTuning))
    for (const auto &[name, value] : object[key::kTuning].items()) {
      if (!value.is_number_integer())
        reader.fail("\"", key::kTuning, "\" must be whole numbers by name");
      version.tuning[name] = value.get<int64_t>();
    }
  return version;
}

/// The other versions must be the same to callers.
void parseVersions(const Reader &outer, const json &root, Manifest &manifest) {
  for (const json &item : outer.array(root, key::kVersions)) {
    manifest.others.push_back(parseVersion(outer.at(key::kVersions), item));
    Version &version = manifest.others.back();
    Reader reader = outer.at(concat("the version \"", version.cpu, "\""));
    if (reader.text(item[key::kTarget], key::kDevice) != format::device::kCpu ||
        manifest.device != format::device::kCpu)
      reader.fail("only code for CPUs has versions");
    if (!std::ranges::equal(version.entries, manifest.entries, isSameCall))
      reader.fail("its entries are not those of the first one, \"", manifest.cpu, "\"");
    std::swap<Version>(manifest, version);
    checkTogether(reader, manifest);
    std::swap<Version>(manifest, version);
  }
}

Manifest parseAll(const Reader &reader, const json &root) {
  Manifest manifest;
  const json &format = reader.field(root, key::kFormat);
  if (!format.is_number_integer() || format.get<int64_t>() != format::kManifestVersion)
    reader.fail("it has format ", format.dump(), ", and this runtime reads format ", format::kManifestVersion);
  manifest.compiler = root.contains(key::kCompiler) ? reader.text(root, key::kCompiler) : "";
  manifest.model = root.contains(key::kModel) ? reader.text(root, key::kModel) : "";
  const json &target = reader.field(root, key::kTarget);
  manifest.device = reader.text(target, key::kDevice);
  if (manifest.device == format::device::kCuda)
    manifest.arch = reader.at(key::kTarget).text(target, key::kArch);
  static_cast<Version &>(manifest) = parseVersion(reader, root);
  for (const json &item : reader.array(root, key::kParameters))
    manifest.parameters.push_back(parseParameter(reader, item));
  if (root.contains(key::kGroups))
    for (const json &item : reader.array(root, key::kGroups))
      manifest.groups.push_back({reader.text(item, key::kName), reader.text(item, key::kOptimizer),
                                 reader.number(item, key::kLearningRate), reader.flag(item, key::kLazy, false),
                                 item.contains(key::kSchedule) ? reader.text(item, key::kSchedule) : ""});
  checkTogether(reader, manifest);
  if (root.contains(key::kVersions))
    parseVersions(reader, root, manifest);
  return manifest;
}
} // namespace

Result<Manifest> parseManifest(std::string_view text, const std::string &path) {
  Reader reader(concat(path, ": the manifest is damaged"));
  try {
    return parseAll(reader, json::parse(text));
  } catch (const Reader::Error &error) {
    return Status::error(error.message);
  } catch (const json::exception &) {
    return Status::error(path, ": the manifest is damaged: it is not valid JSON");
  }
}

} // namespace peer::runtime
