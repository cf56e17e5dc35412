// The profiling hook: which kernel of an entry ran when.
#pragma once

#include <cstdint>
#include <vector>

namespace peer::runtime {

/// "Kernel `kernel` starts at `nanoseconds`"; kernel -1: the last one ended.
struct ProfileMark {
  int64_t kernel, nanoseconds;
};

/// What is timed on a device: an entry's kernels, for which its host code runs, or calls as a whole (kernel 0), as they run when nobody looks:
/// replayed as graphs. Transfers of inputs and results are outside.
enum class ProfileGrain { Kernels, Calls };

/// While it lives, marks of the thread that made it are collected. One at a time in a process.
class ProfileRecording {
public:
  explicit ProfileRecording(ProfileGrain grain = ProfileGrain::Kernels);
  ~ProfileRecording();
  ProfileRecording(const ProfileRecording &) = delete;
  ProfileRecording &operator=(const ProfileRecording &) = delete;

  /// The one whose marks this thread makes; null where there is none.
  static ProfileRecording *ofThisThread();

  const ProfileGrain grain;
  std::vector<ProfileMark> marks;
};

/// The steady clock, in nanoseconds.
int64_t nowNanoseconds();

} // namespace peer::runtime
