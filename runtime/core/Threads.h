// How many threads compute, and whether the system has them.
#pragma once

#include "Status.h"

#include <string>

namespace peer::runtime {

/// The most threads that may be asked for.
inline constexpr int kMostThreads = 4096;

/// Threads to compute with from now on, whatever OMP_NUM_THREADS says. To be called, like all functions here, before OpenMP is used for the
/// first time, which reads the variable then, and ends the process where it is no number.
void setThreads(int count);

/// Checks that as many threads can be started as will compute: those of setThreads(), or of OMP_NUM_THREADS, or one per processor, but no more
/// than the control group has time for. Fails where the variable is nonsense, or limits on processes or memory do not let them start.
Status checkThreads();

/// While it lives, calls of the thread that made it compute with `count` threads; with as many as before where that is 0.
class ThreadScope {
public:
  explicit ThreadScope(int count);
  ~ThreadScope();
  ThreadScope(const ThreadScope &) = delete;
  ThreadScope &operator=(const ThreadScope &) = delete;

  /// Whether there can be so many.
  Status status;

private:
  int before = 0;
};

/// The number at the beginning of a value of OMP_NUM_THREADS ("8", or "8,2" for nested regions); 0 for an empty one. An error for anything else.
Result<int> parseThreadCount(const std::string &value);

} // namespace peer::runtime
