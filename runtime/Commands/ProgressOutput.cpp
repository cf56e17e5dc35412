// Progress on stderr.

#include "ProgressOutput.h"

#include <cstdio>
#include <sys/ioctl.h>
#include <unistd.h>

namespace peer::runtime {

Progress makeStderrProgress() {
  Progress::Options options;
  winsize size{};
  options.live = isatty(STDERR_FILENO);
  if (options.live && ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
    options.columns = size.ws_col;
  return Progress(
      [](std::string_view text) {
        std::fwrite(text.data(), 1, text.size(), stderr);
        std::fflush(stderr);
      },
      options);
}

} // namespace peer::runtime
