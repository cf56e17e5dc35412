// The profiling hook: which kernel of an entry ran when.
#pragma once

#include <cstdint>
#include <vector>

namespace peer::runtime {

/// "Kernel `kernel` starts at `nanoseconds`"; kernel -1: the last one ended.
struct ProfileMark {
  int64_t kernel, nanoseconds;
};

/// While it lives, marks of the thread that made it are collected. One at a time in a process.
class ProfileRecording {
public:
  ProfileRecording();
  ~ProfileRecording();
  ProfileRecording(const ProfileRecording &) = delete;
  ProfileRecording &operator=(const ProfileRecording &) = delete;

  /// The one whose marks this thread makes; null where there is none.
  static ProfileRecording *ofThisThread();

  std::vector<ProfileMark> marks;
};

/// The steady clock, in nanoseconds.
int64_t nowNanoseconds();

} // namespace peer::runtime
