#include "WeightNames.h"

#include "core/ListText.h"

#include <algorithm>
#include <set>

namespace peer::runtime {

namespace {
/// Parameters whose names are looked for at the ends of a file's names: one is enough unless just that one is missing.
constexpr int kProbes = 4;

std::string quoted(std::string_view name) { return concat("\"", name, "\""); }

size_t countPresent(const Manifest &manifest, const SafetensorsFile &file, const std::string &prefix) {
  return static_cast<size_t>(
      std::count_if(manifest.parameters.begin(), manifest.parameters.end(),
                    [&](const Parameter &parameter) { return file.contains(prefix + parameter.name); }));
}

/// What wrappers put in front of all names; the one that leaves the fewest parameters without a tensor.
std::string findPrefix(const Manifest &manifest, const SafetensorsFile &file) {
  size_t most = countPresent(manifest, file, "");
  std::string best;
  std::set<std::string> tried;
  int probes = 0;
  for (const Parameter &parameter : manifest.parameters) {
    if (file.contains(parameter.name))
      continue;
    if (++probes > kProbes)
      break;
    for (const auto &[name, info] : file.tensors()) {
      if (!name.ends_with("." + parameter.name))
        continue;
      std::string prefix = name.substr(0, name.size() - parameter.name.size());
      if (!tried.insert(prefix).second)
        continue;
      if (size_t present = countPresent(manifest, file, prefix); present > most) {
        most = present;
        best = std::move(prefix);
      }
    }
  }
  return best;
}

/// What a file has and lacks.
struct Differences {
  std::vector<std::string> missing, extra, other;
  bool transposed = false;

  void compare(const Parameter &parameter, const TensorInfo &info) {
    if (info.dtype == parameter.dtype && info.shape == parameter.shape)
      return;
    other.push_back(concat(quoted(parameter.name), " is ", typeText(info.dtype, info.shape), ", expected ",
                           typeText(parameter.dtype, parameter.shape)));
    transposed |= info.shape.size() == 2 && info.shape != parameter.shape &&
                  Shape(info.shape.rbegin(), info.shape.rend()) == parameter.shape;
  }

  bool any() const { return !missing.empty() || !extra.empty() || !other.empty(); }

  /// To follow the path of the file.
  std::string text(const std::string &model) const {
    std::string sentence;
    if (missing.empty() && extra.empty() && other.size() == 1)
      return concat(": tensor ", other.front(), " by ", model);
    auto add = [&](const std::string &clause) { sentence += (sentence.empty() ? "" : "; it ") + clause; };
    if (!missing.empty())
      add(missing.size() == 1 ? concat("lacks the parameter ", missing.front(), " of ", model)
                              : concat("lacks ", missing.size(), " parameters of ", model, ": ", listText(missing)));
    if (!extra.empty())
      add(extra.size() == 1
              ? concat("holds the tensor ", extra.front(), ", which is no parameter of ", model)
              : concat("holds ", extra.size(), " tensors that are no parameters of ", model, ": ", listText(extra)));
    if (!other.empty())
      add(concat("holds ", other.size(), other.size() == 1 ? " tensor" : " tensors", " of another type than ", model,
                 " expects: ", listText(other)));
    return " " + sentence;
  }
};
} // namespace

Result<std::string> matchWeights(const Manifest &manifest, const SafetensorsFile &file, std::string_view ignorePrefix,
                                 const std::string &model, WeightsAre wanted) {
  std::string prefix = findPrefix(manifest, file);
  Differences differences;
  std::set<std::string, std::less<>> known;
  for (const Parameter &parameter : manifest.parameters) {
    std::string name = prefix + parameter.name;
    auto found = file.tensors().find(name);
    if (found == file.tensors().end())
      differences.missing.push_back(
          concat(quoted(parameter.name), " (", typeText(parameter.dtype, parameter.shape), ")"));
    else
      differences.compare(parameter, found->second);
    known.insert(std::move(name));
  }
  for (const auto &[name, info] : file.tensors())
    if (!known.contains(name) && (ignorePrefix.empty() || !name.starts_with(ignorePrefix)))
      differences.extra.push_back(quoted(name));
  // A file that has none of them is another model's.
  if (wanted == WeightsAre::Some && differences.missing.size() < manifest.parameters.size())
    differences.missing.clear();
  if (!differences.any())
    return prefix;
  return Status::error(
      file.path(), differences.text(model),
      prefix.empty() ? ""
                     : concat(" (names were compared without the prefix ", quoted(prefix), " that the file's have)"),
      differences.transposed
          ? "; weights of peer.linear are in x out, those of PyTorch's state dicts out x in: transpose them"
          : "");
}

} // namespace peer::runtime
