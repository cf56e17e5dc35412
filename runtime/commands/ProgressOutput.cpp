// Progress on stderr.

#include "ProgressOutput.h"

#include <algorithm>
#include <cerrno>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace peer::runtime {

Progress makeStderrProgress() {
  Progress::Options options;
  winsize size{};
  options.live = isatty(STDERR_FILENO);
  if (options.live && ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
    options.columns = size.ws_col;
  return Progress(writeToStderr, options);
}

void writeToStderr(std::string_view text) {
  static bool stuck = false; // whoever took nothing for a second is not waited for again before it takes something
  while (!text.empty()) {
    pollfd ready{STDERR_FILENO, POLLOUT, 0};
    if (int found = poll(&ready, 1, stuck ? 0 : 1000); found < 0 && errno == EINTR)
      continue;
    else if (found == 0) {
      stuck = true;
      return;
    }
    // What poll() calls writable takes this much without blocking.
    ssize_t wrote = ::write(STDERR_FILENO, text.data(), std::min<size_t>(text.size(), 512));
    if (wrote < 0 && (errno == EINTR || errno == EAGAIN))
      continue;
    if (wrote <= 0)
      return;
    stuck = false;
    text.remove_prefix(static_cast<size_t>(wrote));
  }
}

} // namespace peer::runtime
