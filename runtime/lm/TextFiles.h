// The files of a text: which ones of a directory are read, what they hold, and what is left out.
#pragma once

#include "core/Status.h"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace peer::runtime {

/// One file of a text; `name` is its path below the source, empty where the source is the file.
struct TextFile {
  std::string name;
  uint64_t bytes = 0;
};

/// How many of each kind were left out, by the kind's name ("archive", "hidden file").
using LeftOut = std::map<std::string, int64_t>;

/// Whether all of it is UTF-8.
bool isUtf8(std::string_view text);

/// The text files below a directory in the order of their paths, each real file once. Left out and counted are hidden files and
/// directories, what kindOfContents names, linked directories, links that lead nowhere, second links to one file, files
/// that may not be read, files that this process prints to, and directories of training runs (`ownRun`, which may be empty, is one).
Result<std::vector<TextFile>> listTextFiles(const std::string &directory, const std::string &ownRun, LeftOut &leftOut);

/// "2 archives, 1 hidden file".
std::string leftOutText(const LeftOut &leftOut);

/// Whether a directory is a training run's.
bool isRunDirectory(const std::string &directory);

} // namespace peer::runtime
