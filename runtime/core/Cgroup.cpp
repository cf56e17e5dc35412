#include "Cgroup.h"

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string_view>

namespace peer::runtime {

namespace {
/// A line "hierarchy:controllers:path" of /proc/self/cgroup. The unified hierarchy has no controllers.
struct Membership {
  std::string controllers, path;
};

struct Mount {
  std::string root, point, type, options;
};

bool hasWord(std::string_view list, std::string_view word) {
  while (!list.empty()) {
    size_t comma = list.find(',');
    if (list.substr(0, comma) == word)
      return true;
    list = comma == std::string_view::npos ? "" : list.substr(comma + 1);
  }
  return false;
}

std::vector<Membership> readMemberships(const std::string &root) {
  std::vector<Membership> groups;
  std::ifstream file(root + "/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first != std::string::npos && second != std::string::npos)
      groups.push_back({line.substr(first + 1, second - first - 1), line.substr(second + 1)});
  }
  return groups;
}

/// Spaces and the like are written as three octal digits.
std::string unescape(const std::string &text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    bool escaped = text[i] == '\\' && i + 3 < text.size() &&
                   std::all_of(&text[i + 1], &text[i + 4], [](char c) { return c >= '0' && c <= '7'; });
    if (!escaped) {
      result += text[i];
      continue;
    }
    result += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + text[i + 3] - '0');
    i += 3;
  }
  return result;
}

std::vector<Mount> readMounts(const std::string &root) {
  std::vector<Mount> mounts;
  std::ifstream file(root + "/proc/self/mountinfo");
  for (std::string line; std::getline(file, line);) {
    // id parent device root point options [optional ...] - type source options
    size_t dash = line.find(" - ");
    if (dash == std::string::npos)
      continue;
    std::istringstream before(line.substr(0, dash)), after(line.substr(dash + 3));
    std::string skipped;
    Mount mount;
    before >> skipped >> skipped >> skipped >> mount.root >> mount.point;
    after >> mount.type >> skipped >> mount.options;
    mount.root = unescape(mount.root);
    mount.point = unescape(mount.point);
    mounts.push_back(std::move(mount));
  }
  return mounts;
}

/// The path of a group within a mount of which `root` is what is mounted. In a container without a namespace of its own the kernel names
/// groups that the mount does not show; then the mount is the container's group.
std::string pathWithin(const std::string &group, const std::string &root) {
  if (root == "/")
    return group == "/" || group.find("/..") != std::string::npos ? "" : group;
  if (group.starts_with(root) && group.size() > root.size() && group[root.size()] == '/')
    return group.substr(root.size());
  return "";
}

/// A number, which must be all that a line begins with; nothing where it says "max" or there is no file.
std::optional<uint64_t> numberIn(const std::string &path) {
  std::ifstream file(path);
  int64_t value = 0;
  if (file >> value && value >= 0)
    return static_cast<uint64_t>(value);
  return std::nullopt;
}

/// The sum of the named lines of a memory.stat.
uint64_t sumIn(const std::string &path, std::initializer_list<std::string_view> names) {
  std::ifstream file(path);
  std::string name;
  uint64_t value = 0, sum = 0;
  while (file >> name >> value)
    if (std::find(names.begin(), names.end(), name) != names.end())
      sum += value;
  return sum;
}

void keepSmaller(std::optional<uint64_t> &least, std::optional<uint64_t> value) {
  if (value && (!least || *value < *least))
    least = value;
}
} // namespace

Cgroups::Cgroups(const std::string &root) {
  std::vector<Membership> groups = readMemberships(root);
  std::vector<Mount> mounts = readMounts(root);
  // Where the list of mounts cannot be read, or something was mounted over it.
  mounts.push_back({"/", "/sys/fs/cgroup", "cgroup2", ""});
  auto add = [&](std::vector<Directory> &list, const Mount &mount, const std::string &group, bool unified) {
    for (std::string path = pathWithin(group, mount.root);; path.erase(path.rfind('/'))) {
      list.push_back({root + mount.point + path, unified});
      if (path.empty() || path.rfind('/') == std::string::npos)
        break;
    }
  };
  for (const Mount &mount : mounts) {
    bool unified = mount.type == "cgroup2";
    if (!unified && mount.type != "cgroup")
      continue;
    for (const Membership &group : groups) {
      auto concerns = [&](std::string_view controller) {
        return unified ? group.controllers.empty()
                       : hasWord(mount.options, controller) && hasWord(group.controllers, controller);
      };
      if (concerns("memory"))
        add(memory, mount, group.path, unified);
      if (concerns("cpu"))
        add(cpu, mount, group.path, unified);
    }
  }
}

std::optional<uint64_t> Cgroups::memoryLeft() const {
  std::optional<uint64_t> least;
  for (const auto &[path, unified] : memory) {
    std::string stat = path + "/memory.stat";
    std::optional<uint64_t> limit = numberIn(path + (unified ? "/memory.max" : "/memory.limit_in_bytes")),
                            used = numberIn(path + (unified ? "/memory.current" : "/memory.usage_in_bytes"));
    // Beyond `high` a group is slowed down until it gives memory back.
    if (unified)
      keepSmaller(limit, numberIn(path + "/memory.high"));
    else if (uint64_t inherited = sumIn(stat, {"hierarchical_memory_limit"}))
      keepSmaller(limit, inherited);
    if (!limit || !used)
      continue;
    // As the kernel counts for MemAvailable; files in memory alone (tmpfs) are not among these.
    uint64_t cache = unified ? sumIn(stat, {"inactive_file", "active_file", "slab_reclaimable"})
                             : sumIn(stat, {"total_inactive_file", "total_active_file"});
    uint64_t held = *used - std::min(cache, *used);
    keepSmaller(least, *limit - std::min(held, *limit));
  }
  return least;
}

std::optional<double> Cgroups::processors() const {
  std::optional<double> least;
  for (const auto &[path, unified] : cpu) {
    std::optional<uint64_t> quota, period;
    if (unified) {
      std::ifstream file(path + "/cpu.max");
      uint64_t first = 0, second = 0;
      if (file >> first >> second) {
        quota = first;
        period = second;
      }
    } else {
      quota = numberIn(path + "/cpu.cfs_quota_us");
      period = numberIn(path + "/cpu.cfs_period_us");
    }
    if (!quota || !period || *quota == 0 || *period == 0)
      continue;
    double share = static_cast<double>(*quota) / static_cast<double>(*period);
    if (!least || share < *least)
      least = share;
  }
  return least;
}

} // namespace peer::runtime
