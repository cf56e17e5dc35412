// A directory that appears whole or not at all.
#pragma once

#include "core/Status.h"

#include <string>

namespace peer::runtime {

/// Files are written to a directory beside the one that is wanted, which gets its name when all are there, and is removed where that never happens.
class NewDirectory {
public:
  /// Fails where there is something of this name. `option` is what the user gave it by, for messages.
  static Result<NewDirectory> create(const std::string &path, const std::string &option);
  NewDirectory(NewDirectory &&other) noexcept;
  NewDirectory &operator=(NewDirectory &&) = delete;
  ~NewDirectory();

  /// Where a file of this name is until then.
  std::string file(const std::string &name) const { return temporary + "/" + name; }
  Status commit();

private:
  NewDirectory() = default;
  std::string target, temporary;
};

} // namespace peer::runtime
