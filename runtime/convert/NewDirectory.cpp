#include "NewDirectory.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <utility>

namespace peer::runtime {

namespace fs = std::filesystem;

Result<NewDirectory> NewDirectory::create(const std::string &path, const std::string &option) {
  NewDirectory directory;
  directory.target = fs::path(path).has_filename() ? path : fs::path(path).parent_path().string();
  if (std::error_code ignored; fs::exists(fs::symlink_status(directory.target, ignored)))
    return Status::error(option, " ", path, " exists already: expected a name that is free");
  std::string name = directory.target + ".XXXXXX";
  if (!mkdtemp(name.data()))
    return Status::error("cannot create a directory beside ", path, ": ", std::strerror(errno));
  directory.temporary = name;
  // As any other that the user makes: mkdtemp's are for oneself.
  std::error_code ignored;
  fs::permissions(name, fs::perms::group_read | fs::perms::group_exec | fs::perms::others_read | fs::perms::others_exec,
                  fs::perm_options::add, ignored);
  return directory;
}

NewDirectory::NewDirectory(NewDirectory &&other) noexcept
    : target(std::move(other.target)), temporary(std::exchange(other.temporary, {})) {}

NewDirectory::~NewDirectory() {
  std::error_code ignored;
  if (!temporary.empty())
    fs::remove_all(temporary, ignored);
}

Status NewDirectory::commit() {
  std::error_code error;
  // An empty directory would be replaced.
  if (fs::exists(fs::symlink_status(target, error)))
    return Status::error(target, " was made by somebody else meanwhile: expected a name that is free");
  fs::rename(temporary, target, error);
  if (error)
    return Status::error("cannot name a directory ", target, ": ", error.message());
  temporary.clear();
  return {};
}

} // namespace peer::runtime
