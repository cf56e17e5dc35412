// Text as training data.

#include "Data.h"

#include "File.h"
#include "Random.h"
#include "Tensor.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <filesystem>
#include <set>
#include <sys/stat.h>

namespace peer::runtime {
namespace {

namespace fs = std::filesystem;

/// The regular files below a directory, in the order of their paths, each real file once.
Result<std::vector<std::string>> listFiles(const std::string &directory) {
  std::error_code error;
  fs::recursive_directory_iterator at(directory, error), end;
  std::vector<std::string> paths;
  while (!error && at != end) {
    // A link that leads nowhere is no regular file; it is passed over like a socket would be.
    std::error_code ignored;
    if (at->is_regular_file(ignored))
      paths.push_back(at->path().string());
    at.increment(error);
  }
  if (error)
    return Status::error("cannot read the directory ", directory, ": ", error.message());
  std::sort(paths.begin(), paths.end());

  std::set<std::pair<dev_t, ino_t>> seen;
  std::erase_if(paths, [&](const std::string &path) {
    struct stat info{};
    return ::stat(path.c_str(), &info) == 0 && !seen.insert({info.st_dev, info.st_ino}).second;
  });
  return paths;
}

} // namespace

Result<Text> readText(const std::string &path) {
  std::error_code error;
  fs::file_status kind = fs::status(path, error);
  if (!fs::exists(kind))
    return Status::error("cannot read the data ", path, ": ", error ? error.message() : "no such file or directory");

  std::vector<std::string> paths{path};
  if (fs::is_directory(kind)) {
    PEER_TRY_ASSIGN(paths, listFiles(path));
  } else if (!fs::is_regular_file(kind)) {
    return Status::error("cannot read the data ", path, ": expected a file or a directory");
  }

  // The files are opened one by one: a directory may hold more of them than a process may have open.
  uint64_t total = 0;
  for (const std::string &file : paths) {
    uint64_t bytes = fs::file_size(file, error);
    if (error)
      return Status::error("cannot read ", file, ": ", error.message());
    total += bytes;
  }
  if (total == 0)
    return Status::error("the data ", path, " is empty: expected text");
  PEER_TRY(checkMemory(concat("the text of ", path), total));

  Text text;
  text.reserve(total);
  for (const std::string &file : paths) {
    // An empty file cannot be mapped and has nothing to give.
    if (fs::file_size(file, error) == 0 && !error)
      continue;
    PEER_TRY_ASSIGN(auto mapped, MappedFile::open(file));
    size_t start = text.size();
    text.resize(start + mapped->size());
    PEER_TRY(mapped->read(0, text.data() + start, mapped->size()));
  }
  return text;
}

Status checkTextLength(TextView text, int64_t context, const std::string &path) {
  if (static_cast<int64_t>(text.size()) > context)
    return {};
  return Status::error("the data ", path, " has ", text.size(), " bytes: expected at least ", context + 1,
                       ", one context of ", context, " and the byte after it");
}

Result<TextSplit> splitText(TextView text, int64_t context, const std::string &path) {
  PEER_TRY(checkTextLength(text, context, path));
  size_t least = static_cast<size_t>(context) + 1;
  size_t held = std::max(text.size() / 20, least);
  if (text.size() < held + least)
    return Status::error("the data ", path, " has ", text.size(), " bytes: expected at least ", 2 * least,
                         " to hold out one context of ", context,
                         " for validation, or a text of its own with --eval-data");
  return TextSplit{text.first(text.size() - held), text.last(held)};
}

void drawWindows(TextView text, int64_t context, uint64_t seed, int64_t step, std::span<int32_t> tokens,
                 std::span<int32_t> targets) {
  assert(static_cast<int64_t>(text.size()) > context && tokens.size() == targets.size() &&
         tokens.size() % context == 0);
  RandomStream random(seed, "training windows");
  uint64_t places = text.size() - static_cast<size_t>(context), windows = tokens.size() / context;
  for (uint64_t window = 0; window < windows; ++window) {
    // The high half of a 64 x 64 bit product maps the random bits onto [0, places).
    uint64_t bits = random.bits(static_cast<uint64_t>(step) * windows + window);
    auto place = static_cast<size_t>(static_cast<unsigned __int128>(bits) * places >> 64);
    copyContext(text.subspan(place, context + 1), context, 0, &tokens[window * context], &targets[window * context]);
  }
}

int64_t countContexts(TextView text, int64_t context) {
  return text.empty() ? 0 : (static_cast<int64_t>(text.size()) - 1) / context;
}

void copyContext(TextView text, int64_t context, int64_t index, int32_t *tokens, int32_t *targets) {
  const uint8_t *from = text.data() + index * context;
  std::copy_n(from, context, tokens);
  std::copy_n(from + 1, context, targets);
}

uint64_t hashText(TextView text) { return fnv1a(text.data(), text.size()); }

double unigramEntropy(TextView text) {
  std::array<uint64_t, 256> counts{};
  for (uint8_t byte : text)
    ++counts[byte];
  double entropy = 0.0;
  for (uint64_t count : counts) {
    if (count == 0)
      continue;
    double p = static_cast<double>(count) / static_cast<double>(text.size());
    entropy -= p * std::log(p);
  }
  return entropy;
}

} // namespace peer::runtime
