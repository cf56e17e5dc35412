// Text as training data.

#include "Data.h"

#include "core/File.h"
#include "core/FileKind.h"
#include "core/Hash.h"
#include "core/Memory.h"
#include "core/Outputs.h"
#include "core/Tensor.h"
#include "model/Random.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <filesystem>

namespace peer::runtime {
namespace {

namespace fs = std::filesystem;

/// Where a file of a source lies.
std::string pathOf(const std::string &source, const TextFile &file) {
  return file.name.empty() ? source : (fs::path(source) / file.name).string();
}

/// Refuses a single file that is surely not meant as it is; a model of bytes may well be trained on a binary file.
Status checkContents(const std::string &path, const MappedFile &file) {
  std::string beginning(std::min<uint64_t>(file.size(), kContentsBytes), '\0');
  PEER_TRY(file.read(0, beginning.data(), beginning.size()));
  std::string_view kind = kindOfContents(beginning);
  if (kind == "archive")
    return Status::error("the data ", path, " is an archive or compressed: expected text, unpack it first");
  if (kind == "Git LFS pointer")
    return Status::error("the data ", path, " is a Git LFS pointer, not the text it stands for: run git lfs pull");
  if (kind.starts_with("UTF-")) {
    std::string_view encoding = kind.substr(0, kind.find(' '));
    return Status::error("the data ", path, " is ", encoding, ": expected text of bytes, such as \"iconv -f ", encoding,
                         " -t UTF-8\" makes of it");
  }
  return {};
}

/// The files to read, without their bytes.
Status chooseFiles(TextSource &source, const TextChoice &choice) {
  std::error_code error;
  fs::file_status kind = fs::status(source.path, error);
  if (!fs::exists(kind))
    return Status::error("cannot read the data ", source.path, ": ",
                         error ? error.message() : "no such file or directory");
  if (!fs::is_directory(kind) && !fs::is_regular_file(kind))
    return Status::error("cannot read the data ", source.path, ": expected a file or a directory");
  if (choice.files) {
    source.files = *choice.files;
  } else if (fs::is_directory(kind)) {
    if (isSameFile(source.path, choice.ownRun))
      return Status::error("the data ", source.path,
                           " is the directory that the run is written to: name another one with --out");
    PEER_TRY_ASSIGN(source.files, listTextFiles(source.path, choice.ownRun, source.leftOut));
  } else {
    source.files = {{"", fs::file_size(source.path, error)}};
  }
  for (const TextFile &file : source.files) {
    std::string path = pathOf(source.path, file);
    uint64_t bytes = fs::file_size(path, error);
    if (error && choice.files)
      return Status::error("the text from ", source.path, " is not the one its run began with: cannot read ", path,
                           ": ", error.message());
    if (error)
      return Status::error("cannot read ", path, ": ", error.message());
    if (bytes != file.bytes && choice.files)
      return Status::error("the text from ", source.path, " is not the one its run began with: ", path, " has ", bytes,
                           " bytes, expected ", file.bytes);
  }
  return {};
}

} // namespace

std::string TextSource::summary() const {
  std::string text = concat(files.size(), files.size() == 1 ? " file, " : " files, ", bytesText(bytes.size()));
  if (notUtf8 > 0)
    text += concat(", ", notUtf8, " of them not in UTF-8 and read as ", notUtf8 == 1 ? "it is" : "they are");
  return leftOut.empty() ? text : concat(text, "; left out: ", leftOutText(leftOut));
}

std::string TextSource::place(uint64_t offset) const {
  for (const TextFile &file : files) {
    if (offset < file.bytes)
      return concat(pathOf(path, file), " at offset ", offset);
    offset -= file.bytes;
  }
  return path;
}

Result<TextSource> readText(const std::string &path, const TextChoice &choice) {
  TextSource source;
  source.path = path;
  PEER_TRY(chooseFiles(source, choice));
  uint64_t total = 0;
  for (const TextFile &file : source.files)
    total += file.bytes;
  if (total == 0 && !source.leftOut.empty())
    return Status::error("the data ", path, " holds no text: expected some (left out: ", leftOutText(source.leftOut),
                         ")");
  if (total == 0)
    return Status::error("the data ", path, " is empty: expected text");
  PEER_TRY(checkMemory(concat("the text of ", path), total));

  // The files are opened one by one: a directory may hold more of them than a process may have open.
  Text &text = source.bytes;
  text.reserve(total);
  for (const TextFile &file : source.files) {
    // An empty file cannot be mapped and has nothing to give.
    if (file.bytes == 0)
      continue;
    std::string name = pathOf(path, file);
    PEER_TRY_ASSIGN(auto mapped, MappedFile::open(name));
    if (file.name.empty())
      PEER_TRY(checkContents(name, *mapped));
    size_t start = text.size();
    text.resize(start + file.bytes);
    // A file that has grown since it was listed is read as it was; one that was cut off is an error.
    PEER_TRY(mapped->read(0, text.data() + start, file.bytes));
    if (!isUtf8({reinterpret_cast<const char *>(text.data()) + start, file.bytes}))
      ++source.notUtf8;
  }
  return source;
}

Status checkTextRange(const TextSource &text, const std::array<int64_t, 2> &range, const std::string &model) {
  if (range[0] <= 0 && range[1] >= 256)
    return {};
  auto outside = [&](uint8_t byte) { return byte < range[0] || byte >= range[1]; };
  auto found = std::find_if(text.bytes.begin(), text.bytes.end(), outside);
  if (found == text.bytes.end())
    return {};
  return Status::error("the data ", text.place(static_cast<uint64_t>(found - text.bytes.begin())), " has the byte ",
                       static_cast<int>(*found), ": expected bytes from ", range[0], " to ", range[1] - 1, ", which ",
                       model, " knows");
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
                 std::span<int32_t> targets, MicroBatch part) {
  assert(static_cast<int64_t>(text.size()) > context && tokens.size() == targets.size() &&
         tokens.size() % context == 0);
  RandomStream random(seed, "training windows");
  uint64_t places = text.size() - static_cast<size_t>(context), windows = tokens.size() / context;
  uint64_t first = (static_cast<uint64_t>(step) * part.count + part.number) * windows;
  for (uint64_t window = 0; window < windows; ++window) {
    // The high half of a 64 x 64 bit product maps the random bits onto [0, places).
    uint64_t bits = random.bits(first + window);
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
