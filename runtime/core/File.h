// Reading whole files, and writing them so that a reader sees the old file or the new one, never half of it.
#pragma once

#include "Status.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace peer::runtime {

/// A read-only mapping of a whole file; unmapped when the last copy of the pointer goes.
class MappedFile {
public:
  /// Fails where the file does not exist, is no regular file, or cannot be read.
  static Result<std::shared_ptr<MappedFile>> open(const std::string &path);
  ~MappedFile();
  MappedFile(const MappedFile &) = delete;
  MappedFile &operator=(const MappedFile &) = delete;

  const char *data() const { return static_cast<const char *>(start); }
  uint64_t size() const { return length; }
  int descriptorNumber() const { return descriptor; }

  /// pread()s, so that a file on a broken disk or cut off meanwhile is an error and no SIGBUS.
  Status read(uint64_t offset, void *destination, uint64_t bytes) const;

private:
  MappedFile() = default;
  std::string path;
  int descriptor = -1;
  void *start = nullptr;
  uint64_t length = 0;
};

/// The bytes of a (small) file.
Result<std::string> readFile(const std::string &path);

/// Writes PATH through a temporary file in the same directory: write, then commit() syncs and renames it and syncs the directory.
/// Without a commit the temporary file is removed and PATH stays as it was.
class AtomicFile {
public:
  static Result<AtomicFile> create(const std::string &path);
  AtomicFile(AtomicFile &&other) noexcept;
  AtomicFile &operator=(AtomicFile &&) = delete;
  ~AtomicFile();

  Status write(const void *data, uint64_t bytes);
  Status write(std::string_view text) { return write(text.data(), text.size()); }
  Status commit();

private:
  AtomicFile() = default;
  std::string path;              // as the caller named it, for messages
  std::string target, temporary; // the file behind symbolic links, and the one being written beside it
  int descriptor = -1;
};

/// AtomicFile in one call.
Status writeFile(const std::string &path, std::string_view contents);

} // namespace peer::runtime
