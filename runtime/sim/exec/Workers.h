// The threads of this machine that run blocks. They sleep between launches, so that a small launch does not pay for their start.
#pragma once

#include "Scratch.h"

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace peer::runtime::sim {

class Workers {
public:
  ~Workers();
  /// Calls `work` on up to `count` threads, the calling one among them, each with its own scratch, and waits until all have returned.
  /// A thread that wakes up after the caller is done takes no part.
  void run(unsigned count, const std::function<void(Scratch &)> &work);

private:
  void serve(size_t number);

  /// Launches come one after the other.
  std::mutex launching;
  std::mutex mutex;
  std::condition_variable wake, done;
  const std::function<void(Scratch &)> *work = nullptr;
  /// How many more threads may take part, and how many do now.
  unsigned open = 0, busy = 0;
  bool stopping = false;
  /// The first is that of callers.
  std::vector<std::unique_ptr<Scratch>> scratch;
  std::vector<std::thread> threads;
};

} // namespace peer::runtime::sim
