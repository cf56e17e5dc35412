// Stopping a run between two steps when the user asks for it.
#pragma once

#include <csignal>
#include <utility>
#include <vector>

namespace peer::runtime {

/// While an object of this class lives, signals are remembered instead of ending the process:
///
/// - SIGINT (Ctrl-C) and SIGTERM ask the run to stop. A second one ends the process at once: whoever presses Ctrl-C twice does not want to
///   wait. Copies of one request, as `timeout` and the like send them, are no second one.
/// - SIGHUP (the terminal was closed) and SIGXCPU (a batch system's limit) ask the run to stop, too, but never end the process.
/// - SIGUSR1 asks it to save and to go on.
/// - SIGPIPE and SIGXFSZ become errors of the write that met them.
///
/// What was ignored at the start (nohup) stays ignored. There is one such object at a time.
class TrainInterrupt {
public:
  TrainInterrupt();
  ~TrainInterrupt();
  TrainInterrupt(const TrainInterrupt &) = delete;
  TrainInterrupt &operator=(const TrainInterrupt &) = delete;

  /// The first signal that asked to stop; 0 if none did.
  static int received();
  /// Whether SIGUSR1 arrived since the last time this was asked.
  static bool takeSaveRequest();

private:
  std::vector<std::pair<int, struct sigaction>> before;
};

} // namespace peer::runtime
