// What the control groups of this process leave it: a container's memory and processor time. Versions 1 and 2, and both at once.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace peer::runtime {

/// The directories that limit this process: its own group's and those of all groups above it that can be seen.
class Cgroups {
public:
  /// Finds them by /proc/self/cgroup and /proc/self/mountinfo; all paths are taken below `root`.
  explicit Cgroups(const std::string &root = "");

  /// Bytes that this process may still take: the smallest rest of any group. Page cache and other memory that the kernel takes back when
  /// it is needed counts as free. Nothing where no group has a limit.
  std::optional<uint64_t> memoryLeft() const;

  /// Processors' worth of time: the smallest quota of any group.
  std::optional<double> processors() const;

private:
  struct Directory {
    std::string path;
    bool unified; // version 2
  };
  std::vector<Directory> memory, cpu;
};

} // namespace peer::runtime
