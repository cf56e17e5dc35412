// What a person watching a run sees.

#include "Progress.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace peer::runtime {

std::string formatCount(double value) {
  if (!std::isfinite(value) || std::fabs(value) >= 9e15)
    return "?";
  std::string digits = std::to_string(static_cast<int64_t>(std::llround(value)));
  size_t first = digits.front() == '-' ? 1 : 0;
  for (size_t at = digits.size(); at > first + 3;)
    digits.insert(at -= 3, ",");
  return digits;
}

std::string fixed(double value, int digits) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

std::string formatDuration(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0 || seconds >= 1e9)
    return "?";
  auto whole = static_cast<int64_t>(std::llround(seconds));
  char text[48];
  if (whole >= 3600)
    std::snprintf(text, sizeof(text), "%lld:%02d:%02d", static_cast<long long>(whole / 3600),
                  static_cast<int>(whole / 60 % 60), static_cast<int>(whole % 60));
  else
    std::snprintf(text, sizeof(text), "%d:%02d", static_cast<int>(whole / 60), static_cast<int>(whole % 60));
  return text;
}

std::string formatProgress(const ProgressState &state, bool bar) {
  std::string line;
  if (bar) {
    constexpr int kCells = 16;
    double done = state.steps > 0 ? static_cast<double>(state.step) / static_cast<double>(state.steps) : 1.0;
    int filled = std::clamp(static_cast<int>(done * kCells), 0, kCells);
    line = "[" + std::string(filled, '#') + std::string(kCells - filled, '.') + "] ";
  }
  char loss[32];
  std::snprintf(loss, sizeof(loss), "%.3f", state.loss);
  return line + state.of + std::string(state.unit) + " " + std::to_string(state.step) + "/" +
         std::to_string(state.steps) + "  loss " + loss + "  " + formatCount(state.tokensPerSecond) + " tokens/s  " +
         formatDuration(state.secondsLeft) + " left";
}

void Progress::update(const ProgressState &state, bool always) {
  if (!write)
    return;
  Clock::time_point now = Clock::now();
  if (!always && shown && now - last < (options.live ? options.liveInterval : options.plainInterval))
    return;
  last = now;
  shown = true;
  std::string line = formatProgress(state, options.live && options.columns >= 80);
  if (!options.live) {
    write(line + "\n");
    return;
  }
  // The last column stays free: writing it makes some terminals wrap.
  line.resize(std::min(line.size(), static_cast<size_t>(std::max(options.columns - 1, 1))));
  write("\r" + line + "\x1b[K");
  lineOpen = true;
}

void Progress::say(std::string_view message) {
  if (!write)
    return;
  std::string clear = lineOpen ? "\r\x1b[K" : "";
  lineOpen = false;
  write(clear + std::string(message) + "\n");
}

void Progress::finish() {
  if (lineOpen)
    write("\n");
  lineOpen = false;
}

} // namespace peer::runtime
