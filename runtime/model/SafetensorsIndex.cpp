#include "SafetensorsIndex.h"

#include "core/ListText.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

namespace peer::runtime {

namespace {
namespace fs = std::filesystem;
using nlohmann::json;

/// An index of a million tensors has about this size.
constexpr uint64_t kMaxIndex = 1'000'000'000;

/// The files of the map, each once. Names come from somewhere else: none may lead out of the directory.
Result<std::set<std::string>> filesOf(const json &map, const std::string &path) {
  std::set<std::string> files;
  for (const auto &[tensor, value] : map.items()) {
    if (!value.is_string())
      return Status::error(path, ": weight_map must name a file for each tensor, but that of \"", tensor, "\" is none");
    const auto &name = value.get_ref<const std::string &>();
    fs::path file(name);
    bool outside = name.empty() || file.is_absolute() || name.find('\0') != std::string::npos ||
                   std::find(file.begin(), file.end(), "..") != file.end();
    if (outside)
      return Status::error(path, ": weight_map puts \"", tensor, "\" into \"", name,
                           "\", expected a file beside the index");
    files.insert(name);
  }
  return files;
}
} // namespace

Result<std::string> findIndex(const std::string &directory) {
  std::vector<std::string> indices, others;
  std::error_code error;
  for (fs::directory_iterator at(directory, error), end; !error && at != end; at.increment(error)) {
    std::string name = at->path().filename().string();
    if (name.ends_with(".safetensors.index.json"))
      indices.push_back(name);
    else if (name.ends_with(".safetensors"))
      others.push_back(name);
  }
  if (error)
    return Status::error("cannot read ", directory, ": ", error.message());
  if (indices.size() == 1)
    return (fs::path(directory) / indices.front()).string();
  std::vector<std::string> &candidates = indices.empty() ? others : indices;
  std::sort(candidates.begin(), candidates.end());
  if (!indices.empty())
    return Status::error(directory, " is a directory with several indices: give one of ", listText(candidates));
  return Status::error(directory, " is a directory without an index of weights (NAME.safetensors.index.json)",
                       others.empty() ? ", and without safetensors files"
                                      : concat(": give one of its files (", listText(candidates), ")"));
}

Result<bool> looksLikeIndex(const MappedFile &file) {
  char first = 0;
  uint64_t header = 0;
  if (file.size() < 9)
    return false;
  PEER_TRY(file.read(0, &first, 1));
  PEER_TRY(file.read(0, &header, sizeof header));
  return first == '{' && header > file.size() - 8;
}

Result<SafetensorsIndex> readIndex(const MappedFile &file, const std::string &path) {
  if (file.size() > kMaxIndex)
    return Status::error(path, " is a JSON document of ", file.size(), " bytes, too large for an index of weights");
  std::string text(file.size(), '\0');
  PEER_TRY(file.read(0, text.data(), text.size()));
  json document = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (document.is_discarded())
    return Status::error(path, " is not an index of weights: it is not valid JSON");
  if (!document.is_object() || !document.contains("weight_map") || !document["weight_map"].is_object())
    return Status::error(path, " is a JSON document, but no index of weights: it has no weight_map");
  const json &map = document["weight_map"];
  PEER_TRY_ASSIGN(std::set<std::string> names, filesOf(map, path));

  SafetensorsIndex index;
  std::map<std::string, uint32_t, std::less<>> numbers;
  std::vector<std::string> missing;
  for (const std::string &name : names) {
    fs::path place = fs::path(path).parent_path() / name;
    std::error_code ignored;
    if (!fs::exists(place, ignored))
      missing.push_back(name);
    numbers.emplace(name, static_cast<uint32_t>(index.files.size()));
    index.files.push_back(place.string());
  }
  if (!missing.empty())
    return Status::error(path, " names ", names.size(), names.size() == 1 ? " file" : " files", ", and beside it ",
                         missing.size() == 1 ? "is missing " : "are missing ", listText(missing));
  for (const auto &[tensor, value] : map.items())
    index.fileOfName.emplace(tensor, numbers.find(value.get_ref<const std::string &>())->second);
  return index;
}

} // namespace peer::runtime
