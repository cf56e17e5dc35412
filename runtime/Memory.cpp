// How much memory there is, in words for messages.
#include "Tensor.h"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <limits>
#include <sys/resource.h>
#include <unistd.h>

namespace peer::runtime {

namespace {
/// The number in a one-line file such as a cgroup's memory.max; nothing where it says "max" or is not there.
std::optional<uint64_t> numberIn(const char *path) {
  std::ifstream file(path);
  uint64_t value = 0;
  if (file >> value)
    return value;
  return std::nullopt;
}

uint64_t memAvailable() {
  std::ifstream file("/proc/meminfo");
  std::string key;
  uint64_t kib = 0;
  while (file >> key >> kib) {
    if (key == "MemAvailable:")
      return kib * 1024;
    file.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  return std::numeric_limits<uint64_t>::max();
}
} // namespace

uint64_t availableMemory() {
  uint64_t available = memAvailable();
  std::optional<uint64_t> limit = numberIn("/sys/fs/cgroup/memory.max"),
                          used = numberIn("/sys/fs/cgroup/memory.current");
  if (limit && used)
    available = std::min(available, *limit > *used ? *limit - *used : 0);
  rlimit space{};
  uint64_t pages = 0;
  std::ifstream statm("/proc/self/statm");
  if (getrlimit(RLIMIT_AS, &space) == 0 && space.rlim_cur != RLIM_INFINITY && (statm >> pages)) {
    uint64_t mapped = pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
    available = std::min<uint64_t>(available, space.rlim_cur > mapped ? space.rlim_cur - mapped : 0);
  }
  return available;
}

std::string bytesText(uint64_t bytes) {
  static constexpr const char *units[] = {"bytes", "kB", "MB", "GB", "TB", "PB", "EB"};
  if (bytes < 1000)
    return concat(bytes, bytes == 1 ? " byte" : " bytes");
  double value = static_cast<double>(bytes);
  int unit = 0;
  while (value >= 999.95 && unit < 6) {
    value /= 1000;
    ++unit;
  }
  char text[32];
  std::snprintf(text, sizeof text, "%.1f %s", value, units[unit]);
  return text;
}

Status checkMemory(std::string_view what, uint64_t bytes) {
  uint64_t available = availableMemory();
  if (bytes <= available)
    return {};
  return Status::error(what, " needs ", bytesText(bytes), ", ", bytesText(available), " available");
}

} // namespace peer::runtime
