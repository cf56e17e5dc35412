// One process at a time in a run directory.

#include "RunLock.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace peer::runtime {
namespace {

constexpr const char *kName = "lock";

std::string hostName() {
  char name[256] = {};
  return gethostname(name, sizeof(name) - 1) == 0 && name[0] ? name : "an unknown host";
}

/// "process 1234 on host, since 2026-01-31 12:00:00 UTC"
std::string describeThisProcess() {
  char when[32] = {};
  std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  std::strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S UTC", &parts);
  return concat("process ", getpid(), " on ", hostName(), ", since ", when);
}

/// The first line of a lock file; whoever is about to write it has none yet.
std::string readOwner(int descriptor) {
  char text[512];
  ssize_t got = pread(descriptor, text, sizeof(text), 0);
  std::string line(text, got > 0 ? static_cast<size_t>(got) : 0);
  line.resize(std::min(line.find('\n'), line.size()));
  for (char &c : line)
    if (static_cast<unsigned char>(c) < ' ')
      c = '?';
  return line;
}

/// Whether the name in the directory still leads to the open file.
bool isNamed(int directory, int descriptor) {
  struct stat open{}, named{};
  return fstat(descriptor, &open) == 0 && fstatat(directory, kName, &named, 0) == 0 && open.st_dev == named.st_dev &&
         open.st_ino == named.st_ino;
}

} // namespace

Result<RunLock> RunLock::acquire(const std::string &path) {
  RunLock lock;
  lock.directory = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (lock.directory < 0)
    return Status::error("cannot open the directory ", path, ": ", std::strerror(errno));
  while (true) {
    int file = openat(lock.directory, kName, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (file < 0)
      return Status::error("cannot write ", path, "/", kName, ": ", std::strerror(errno));
    int failed = 0;
    while ((failed = flock(file, LOCK_EX | LOCK_NB) == 0 ? 0 : errno) == EINTR)
      ;
    if (failed == EWOULDBLOCK) {
      std::string owner = readOwner(file);
      close(file);
      return Status::error(path, " is in use by ", owner.empty() ? "another process" : owner,
                           ": wait for its end, or name another directory with --out");
    }
    if (failed != 0) {
      lock.said =
          concat(path, " cannot be locked (", std::strerror(failed), "): see to it that no other process works there");
      unlinkat(lock.directory, kName, 0);
      close(file);
      return lock;
    }
    lock.descriptor = file;
    // Its last owner may have removed the file between our open() and our lock.
    if (isNamed(lock.directory, file))
      break;
    close(std::exchange(lock.descriptor, -1));
  }
  std::string owner = readOwner(lock.descriptor), self = describeThisProcess();
  // Some network file systems lock within one host alone.
  if (!owner.empty() && owner.find(concat(" on ", hostName(), ",")) == std::string::npos)
    lock.said = concat(path, " was left by ", owner, ", which did not end by itself: see to it that it runs no longer");
  self += '\n';
  // On a full disk the lock holds all the same; it only names nobody.
  if (ftruncate(lock.descriptor, 0) == 0)
    (void)!pwrite(lock.descriptor, self.data(), self.size(), 0);
  return lock;
}

RunLock::RunLock(RunLock &&other) noexcept
    : directory(std::exchange(other.directory, -1)), descriptor(std::exchange(other.descriptor, -1)),
      said(std::move(other.said)) {}

RunLock &RunLock::operator=(RunLock &&other) noexcept {
  std::swap(directory, other.directory);
  std::swap(descriptor, other.descriptor);
  std::swap(said, other.said);
  return *this;
}

RunLock::~RunLock() {
  // Removed while it is still ours: whoever waits at the old file sees that it has no name any more.
  if (descriptor >= 0 && isNamed(directory, descriptor))
    unlinkat(directory, kName, 0);
  if (descriptor >= 0)
    close(descriptor);
  if (directory >= 0)
    close(directory);
}

} // namespace peer::runtime
