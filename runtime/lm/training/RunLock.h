// One process at a time in a run directory.
#pragma once

#include "core/Status.h"

#include <string>

namespace peer::runtime {

/// Holds DIR/lock, a file with this process's number, host and start, under flock(). The kernel drops the lock with the process, however that
/// ends, so what a killed one leaves is no obstacle. The file is removed with the object.
class RunLock {
public:
  RunLock() = default;
  /// Fails, naming the process, where another one holds the lock. Where the file system has no locks the object holds nothing, and `warning` says so.
  static Result<RunLock> acquire(const std::string &directory);
  RunLock(RunLock &&other) noexcept;
  RunLock &operator=(RunLock &&other) noexcept;
  ~RunLock();

  bool held() const { return descriptor >= 0; }
  /// What the user should know though it is no error; mostly empty.
  const std::string &warning() const { return said; }

private:
  int directory = -1, descriptor = -1; // the directory's own descriptor: it may be renamed meanwhile
  std::string said;
};

} // namespace peer::runtime
