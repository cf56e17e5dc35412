#include "Memory.h"

#include "Cgroup.h"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <limits>
#include <sys/resource.h>
#include <unistd.h>

namespace peer::runtime {

namespace {
constexpr uint64_t kNoLimit = std::numeric_limits<uint64_t>::max();

/// A line of /proc/meminfo in bytes; nothing where there is none.
std::optional<uint64_t> memoryInfo(std::string_view wanted) {
  std::ifstream file("/proc/meminfo");
  std::string key;
  uint64_t kib = 0;
  while (file >> key >> kib) {
    if (key == wanted)
      return kib * 1024;
    file.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  return std::nullopt;
}

/// What the system still promises where it is told to promise no more than it has (vm.overcommit_memory=2).
uint64_t promisesLeft() {
  std::ifstream file("/proc/sys/vm/overcommit_memory");
  int mode = 0;
  if (!(file >> mode) || mode != 2)
    return kNoLimit;
  std::optional<uint64_t> limit = memoryInfo("CommitLimit:"), promised = memoryInfo("Committed_AS:");
  if (!limit || !promised)
    return kNoLimit;
  return *limit > *promised ? *limit - *promised : 0;
}
} // namespace

uint64_t availableAddresses() {
  rlimit space{};
  uint64_t pages = 0;
  std::ifstream statm("/proc/self/statm");
  uint64_t left = promisesLeft();
  if (getrlimit(RLIMIT_AS, &space) != 0 || space.rlim_cur == RLIM_INFINITY || !(statm >> pages))
    return left;
  uint64_t mapped = pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  return std::min<uint64_t>(left, space.rlim_cur > mapped ? space.rlim_cur - mapped : 0);
}

uint64_t availableMemory() {
  // A process is hardly ever moved to another group; what the group has left changes.
  static const Cgroups groups;
  uint64_t available = std::min(memoryInfo("MemAvailable:").value_or(kNoLimit), availableAddresses());
  return std::min(available, groups.memoryLeft().value_or(available));
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
