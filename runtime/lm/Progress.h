// What a person watching a run sees: one live line in a terminal, a line every few seconds elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace peer::runtime {

/// The state of a run at one moment.
struct ProgressState {
  int64_t step = 0, steps = 0;
  double loss = 0.0;
  double tokensPerSecond = 0.0;
  double secondsLeft = 0.0;
  /// What `step` counts, and which run it is of, in front of it.
  std::string_view unit = "step";
  std::string of = {};
};

/// One line without a line end: `step 120/800  loss 2.413  5,210 tokens/s  1:25 left`, with a bar in front where `bar` is set.
std::string formatProgress(const ProgressState &state, bool bar);

/// `0:07`, `12:30`, `3:05:00`.
std::string formatDuration(double seconds);

/// `5,210`: a count with its thousands apart.
std::string formatCount(double value);

/// A number with the given digits after the point.
std::string fixed(double value, int digits);

/// Shows progress and messages through a function that writes text; the library itself never prints.
class Progress {
public:
  using Write = std::function<void(std::string_view)>;
  using Clock = std::chrono::steady_clock;

  struct Options {
    /// Redraw one line with \r, as a terminal can.
    bool live = false;
    /// Where the terminal wraps; a longer line could not be redrawn.
    int columns = 80;
    /// Least time between two lines, live and not.
    std::chrono::milliseconds liveInterval{100}, plainInterval{5000};
  };

  /// Shows nothing.
  Progress() = default;
  Progress(Write write, Options options) : write(std::move(write)), options(options) {}

  /// Shows the state if enough time has passed since the last one, or if `always`.
  void update(const ProgressState &state, bool always = false);

  /// Shows a message on a line of its own.
  void say(std::string_view message);

  /// Leaves the live line; what is printed next starts on a line of its own.
  void finish();

private:
  Write write;
  Options options;
  bool lineOpen = false, shown = false;
  Clock::time_point last;
};

} // namespace peer::runtime
