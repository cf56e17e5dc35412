#include "File.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace peer::runtime {

namespace {
Status failure(const char *verb, const std::string &path, int error) {
  return Status::error("cannot ", verb, " ", path, ": ", std::strerror(error));
}

std::string directoryOf(const std::string &path) {
  size_t slash = path.rfind('/');
  if (slash == std::string::npos)
    return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

/// Gives a new file the owner and the mode of the one it is going to replace.
void keepAccess(int descriptor, const struct stat &old) {
  mode_t mode = old.st_mode & 0777;
  struct stat now{};
  if (fstat(descriptor, &now) != 0)
    return;
  // Only root may give files away; a group can be kept by its members.
  if (now.st_uid != old.st_uid)
    (void)!fchown(descriptor, old.st_uid, static_cast<gid_t>(-1));
  bool sameGroup = now.st_gid == old.st_gid || fchown(descriptor, static_cast<uid_t>(-1), old.st_gid) == 0;
  // What the old group was allowed is not for another one.
  if (!sameGroup)
    mode &= 0707u | (mode & 07u) << 3;
  fchmod(descriptor, mode);
}
} // namespace

Result<std::shared_ptr<MappedFile>> MappedFile::open(const std::string &path) {
  std::shared_ptr<MappedFile> file(new MappedFile);
  file->path = path;
  // O_NONBLOCK: opening a pipe nobody writes to must not hang before the check below refuses it.
  file->descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file->descriptor < 0)
    return failure("open", path, errno);
  struct stat info{};
  if (fstat(file->descriptor, &info) != 0)
    return failure("read", path, errno);
  if (!S_ISREG(info.st_mode))
    return Status::error("cannot read ", path, ": it is ",
                         S_ISDIR(info.st_mode) ? "a directory" : "not a regular file");
  file->length = static_cast<uint64_t>(info.st_size);
  if (file->length > 0) {
    void *start = mmap(nullptr, file->length, PROT_READ, MAP_PRIVATE, file->descriptor, 0);
    if (start == MAP_FAILED)
      return failure("read", path, errno);
    file->start = start;
  }
  return file;
}

MappedFile::~MappedFile() {
  if (start)
    munmap(start, length);
  if (descriptor >= 0)
    close(descriptor);
}

Status MappedFile::read(uint64_t offset, void *destination, uint64_t bytes) const {
  char *next = static_cast<char *>(destination);
  while (bytes > 0) {
    ssize_t got = pread(descriptor, next, std::min<uint64_t>(bytes, uint64_t{1} << 30), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return failure("read", path, errno);
    if (got == 0)
      return Status::error("cannot read ", path, ": it became shorter while it was being read");
    next += got;
    offset += static_cast<uint64_t>(got);
    bytes -= static_cast<uint64_t>(got);
  }
  return {};
}

Result<std::string> readFile(const std::string &path) {
  PEER_TRY_ASSIGN(std::shared_ptr<MappedFile> file, MappedFile::open(path));
  std::string contents(file->size(), '\0');
  PEER_TRY(file->read(0, contents.data(), contents.size()));
  return contents;
}

Result<AtomicFile> AtomicFile::create(const std::string &path) {
  struct stat info{};
  bool exists = stat(path.c_str(), &info) == 0;
  // Renaming over a device or a pipe would replace it.
  if (exists && !S_ISREG(info.st_mode))
    return Status::error("cannot write ", path, ": it is ",
                         S_ISDIR(info.st_mode) ? "a directory" : "not a regular file");
  AtomicFile file;
  file.path = file.target = path;
  // Through a symbolic link the file it points to is written, as an ordinary open() would do.
  if (char *resolved = realpath(path.c_str(), nullptr)) {
    file.target = resolved;
    std::free(resolved);
  }
  // The longest name that a file system takes leaves no room for more.
  constexpr std::string_view suffix = ".tmp.XXXXXX";
  size_t slash = file.target.rfind('/'), begin = slash == std::string::npos ? 0 : slash + 1;
  file.temporary = file.target.substr(0, std::min(file.target.size(), begin + NAME_MAX - suffix.size()));
  file.temporary += suffix;
  file.descriptor = mkostemp(file.temporary.data(), O_CLOEXEC);
  if (file.descriptor < 0) {
    file.temporary.clear();
    return failure("write", path, errno);
  }
  if (exists) {
    keepAccess(file.descriptor, info);
    return file;
  }
  // mkostemp makes files for the owner alone; results are for whom the umask says.
  mode_t mask = umask(0);
  umask(mask);
  fchmod(file.descriptor, 0666 & ~mask);
  return file;
}

AtomicFile::AtomicFile(AtomicFile &&other) noexcept
    : path(std::move(other.path)), target(std::move(other.target)), temporary(std::exchange(other.temporary, {})),
      descriptor(std::exchange(other.descriptor, -1)) {}

AtomicFile::~AtomicFile() {
  if (descriptor >= 0)
    close(descriptor);
  if (!temporary.empty())
    unlink(temporary.c_str());
}

Status AtomicFile::write(const void *data, uint64_t bytes) {
  const char *next = static_cast<const char *>(data);
  while (bytes > 0) {
    ssize_t put = ::write(descriptor, next, std::min<uint64_t>(bytes, uint64_t{1} << 30));
    if (put < 0 && errno == EINTR)
      continue;
    if (put < 0)
      return failure("write", path, errno);
    next += put;
    bytes -= static_cast<uint64_t>(put);
  }
  return {};
}

Status AtomicFile::commit() {
  if (fsync(descriptor) != 0)
    return failure("write", path, errno);
  if (close(std::exchange(descriptor, -1)) != 0)
    return failure("write", path, errno);
  if (rename(temporary.c_str(), target.c_str()) != 0)
    return failure("write", path, errno);
  temporary.clear();
  // The rename lasts through a power cut only once the directory is on disk too.
  int directory = ::open(directoryOf(target).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory >= 0) {
    fsync(directory);
    close(directory);
  }
  return {};
}

Status writeFile(const std::string &path, std::string_view contents) {
  PEER_TRY_ASSIGN(AtomicFile file, AtomicFile::create(path));
  PEER_TRY(file.write(contents));
  return file.commit();
}

} // namespace peer::runtime
