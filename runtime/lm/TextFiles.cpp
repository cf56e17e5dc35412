// The files of a text.

#include "TextFiles.h"

#include "core/FileKind.h"
#include "core/Outputs.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <sys/stat.h>
#include <unistd.h>

namespace peer::runtime {
namespace {

namespace fs = std::filesystem;

/// Walks a directory tree.
class Listing {
public:
  Listing(const std::string &root, const std::string &ownRun, LeftOut &leftOut)
      : root(root), ownRun(ownRun), leftOut(leftOut) {
    for (int descriptor : {STDOUT_FILENO, STDERR_FILENO})
      if (struct stat info{}; fstat(descriptor, &info) == 0 && S_ISREG(info.st_mode))
        printed.insert({info.st_dev, info.st_ino});
  }

  Status visit(const std::string &directory) {
    std::error_code error;
    fs::directory_iterator at(directory, error), end;
    if (error == std::errc::permission_denied && directory != root) {
      ++leftOut["unreadable directory"];
      return {};
    }
    std::vector<fs::directory_entry> entries;
    for (; !error && at != end; at.increment(error))
      entries.push_back(*at);
    if (error)
      return Status::error("cannot read the directory ", directory, ": ", error.message());
    for (const fs::directory_entry &entry : entries)
      PEER_TRY(visit(entry));
    return {};
  }

  /// In the order of their paths, each real file once.
  std::vector<TextFile> take() {
    std::sort(found.begin(), found.end(), [](const Found &a, const Found &b) { return a.path < b.path; });
    std::set<std::pair<dev_t, ino_t>> seen;
    std::vector<TextFile> files;
    for (const Found &file : found) {
      if (!seen.insert(file.id).second)
        ++leftOut["duplicate link"];
      else if (file.bytes > 0)
        files.push_back({fs::path(file.path).lexically_relative(root).string(), file.bytes});
    }
    return files;
  }

private:
  struct Found {
    std::string path;
    uint64_t bytes;
    std::pair<dev_t, ino_t> id;
  };

  Status visit(const fs::directory_entry &entry) {
    std::string path = entry.path().string(), name = entry.path().filename().string();
    std::error_code ignored;
    bool link = entry.is_symlink(ignored);
    struct stat info{};
    if (::stat(path.c_str(), &info) != 0) {
      ++leftOut[link ? "broken link" : "unreadable file"];
      return {};
    }
    if (S_ISDIR(info.st_mode)) {
      if (name.starts_with('.'))
        ++leftOut["hidden directory"];
      else if (link)
        ++leftOut["linked directory"];
      else if (isSameFile(path, ownRun) || isRunDirectory(path))
        ++leftOut["training run"];
      else
        return visit(path);
      return {};
    }
    if (std::string_view kind = kindOf(path, name, info); !kind.empty())
      ++leftOut[std::string(kind)];
    else
      found.push_back({path, static_cast<uint64_t>(info.st_size), {info.st_dev, info.st_ino}});
    return {};
  }

  std::string_view kindOf(const std::string &path, const std::string &name, const struct stat &info) const {
    if (name.starts_with('.'))
      return "hidden file";
    if (!S_ISREG(info.st_mode))
      return "special file";
    if (printed.contains({info.st_dev, info.st_ino}))
      return "file printed to";
    std::ifstream file(path, std::ios::binary);
    if (!file)
      return "unreadable file";
    char beginning[kContentsBytes];
    file.read(beginning, sizeof(beginning));
    return kindOfContents({beginning, static_cast<size_t>(file.gcount())});
  }

  const std::string &root, &ownRun;
  LeftOut &leftOut;
  std::set<std::pair<dev_t, ino_t>> printed;
  std::vector<Found> found;
};

} // namespace

bool isUtf8(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    auto lead = static_cast<unsigned char>(text[at]);
    if (lead < 0x80) {
      ++at;
      continue;
    }
    size_t more = lead >= 0xc2 && lead <= 0xdf   ? 1
                  : lead >= 0xe0 && lead <= 0xef ? 2
                  : lead >= 0xf0 && lead <= 0xf4 ? 3
                                                 : 0;
    if (more == 0 || at + more >= text.size())
      return false;
    for (size_t i = 1; i <= more; ++i)
      if ((static_cast<unsigned char>(text[at + i]) & 0xc0) != 0x80)
        return false;
    // Overlong forms, surrogates and what lies beyond U+10FFFF show in the second byte.
    auto second = static_cast<unsigned char>(text[at + 1]);
    if ((lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f) || (lead == 0xf0 && second < 0x90) ||
        (lead == 0xf4 && second > 0x8f))
      return false;
    at += more + 1;
  }
  return true;
}

Result<std::vector<TextFile>> listTextFiles(const std::string &directory, const std::string &ownRun, LeftOut &leftOut) {
  Listing listing(directory, ownRun, leftOut);
  PEER_TRY(listing.visit(directory));
  return listing.take();
}

std::string leftOutText(const LeftOut &leftOut) {
  std::string text;
  for (const auto &[kind, count] : leftOut) {
    std::string name = kind;
    if (count > 1 && name.ends_with("directory"))
      name.replace(name.size() - 1, 1, "ies");
    else if (count > 1 && name.starts_with("file "))
      name.insert(4, "s");
    else if (count > 1)
      name += "s";
    text += concat(text.empty() ? "" : ", ", count, " ", name);
  }
  return text;
}

bool isRunDirectory(const std::string &directory) {
  constexpr std::string_view kStart = R"({"run":)";
  char start[kStart.size()] = {};
  std::ifstream log(fs::path(directory) / "log.jsonl", std::ios::binary);
  if (log.read(start, sizeof(start)) && std::string_view(start, sizeof(start)) == kStart)
    return true;
  // A comparison of many runs.
  std::string settings;
  return std::getline(std::ifstream(fs::path(directory) / "settings.json"), settings, ':') &&
         settings.find("\"comparison\"") != std::string::npos;
}

} // namespace peer::runtime
