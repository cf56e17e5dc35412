// Stopping a run between two steps when the user asks for it.
#pragma once

#include <csignal>

namespace peer::runtime {

/// While an object of this class lives, SIGINT (Ctrl-C) and SIGTERM are remembered instead of ending the process. A second
/// one ends it at once: whoever presses Ctrl-C twice does not want to wait.
class TrainInterrupt {
public:
  TrainInterrupt();
  ~TrainInterrupt();
  TrainInterrupt(const TrainInterrupt &) = delete;
  TrainInterrupt &operator=(const TrainInterrupt &) = delete;

  /// The signal that arrived; 0 if none did.
  static int received();

private:
  struct sigaction before[2];
};

} // namespace peer::runtime
