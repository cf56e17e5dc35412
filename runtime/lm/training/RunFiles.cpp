// The files of a run directory.

#include "RunFiles.h"

#include "core/File.h"
#include "model/Safetensors.h"

#include <charconv>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

namespace peer::runtime {
namespace {

using Json = nlohmann::json;

std::string encode(const std::string &path) {
  constexpr const char *kDigits = "0123456789ABCDEF";
  std::string text;
  for (unsigned char c : path) {
    if (c > ' ' && c < 0x7f && c != '%')
      text += static_cast<char>(c);
    else
      text += {'%', kDigits[c / 16], kDigits[c % 16]};
  }
  return text;
}

std::string decode(std::string_view text) {
  std::string path;
  for (size_t at = 0; at < text.size(); ++at) {
    unsigned byte = 0;
    bool coded = text[at] == '%' && at + 2 < text.size() &&
                 std::from_chars(text.data() + at + 1, text.data() + at + 3, byte, 16).ptr == text.data() + at + 3;
    path += coded ? static_cast<char>(byte) : text[at];
    at += coded ? 2 : 0;
  }
  return path;
}

Json toJson(const std::optional<std::vector<TextFile>> &files) {
  Json list = Json::array();
  for (const TextFile &file : files.value_or(std::vector<TextFile>{}))
    list.push_back({encode(file.name), file.bytes});
  return list;
}

/// A path that stays below its source.
bool isInside(const std::string &name) {
  std::filesystem::path path(name);
  return !path.is_absolute() && std::find(path.begin(), path.end(), "..") == path.end() &&
         name.find('\0') == std::string::npos;
}

std::optional<std::vector<TextFile>> fromJson(const Json &list) {
  if (!list.is_array())
    return std::nullopt;
  std::vector<TextFile> files;
  for (const Json &file : list) {
    if (!file.is_array() || file.size() != 2 || !file[0].is_string() || !file[1].is_number_unsigned())
      return std::nullopt;
    files.push_back({decode(file[0].get<std::string>()), file[1].get<uint64_t>()});
    if (!isInside(files.back().name))
      return std::nullopt;
  }
  return files;
}

} // namespace

Result<RunFiles> RunFiles::read(const std::string &directory) {
  std::string path = (std::filesystem::path(directory) / kDataFile).string();
  if (std::error_code ignored; !std::filesystem::exists(path, ignored))
    return RunFiles{};
  PEER_TRY_ASSIGN(std::string text, readFile(path));
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  RunFiles files;
  if (json.is_object()) {
    files.data = fromJson(json.value("data", Json()));
    files.evalData = fromJson(json.value("eval_data", Json()));
  }
  if (!files.data || !files.evalData)
    return Status::error(path,
                         " is damaged: expected the files that the run's texts were read from; without it the run "
                         "reads those that are there now");
  return files;
}

Status RunFiles::write(const std::string &directory) const {
  Json json{{"data", toJson(data)}, {"eval_data", toJson(evalData)}};
  return writeFile((std::filesystem::path(directory) / kDataFile).string(), json.dump() + "\n");
}

std::pair<double, int64_t> readBest(const std::string &path) {
  std::pair<double, int64_t> best{std::numeric_limits<double>::infinity(), 0};
  Result<SafetensorsFile> file = SafetensorsFile::open(path);
  if (!file.ok())
    return best;
  auto number = [&](const char *key, auto &value) {
    auto found = file->metadata().find(key);
    if (found == file->metadata().end())
      return false;
    const std::string &text = found->second;
    return std::from_chars(text.data(), text.data() + text.size(), value).ptr == text.data() + text.size();
  };
  double loss = 0;
  int64_t step = 0;
  if (number("validation_loss", loss) && number("step", step) && std::isfinite(loss))
    best = {loss, step};
  return best;
}

} // namespace peer::runtime
