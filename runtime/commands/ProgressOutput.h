// Progress on stderr: a live line where it is a terminal.
#pragma once

#include "lm/Progress.h"

#include <string_view>

namespace peer::runtime {

/// Writes to stderr, redrawing one line if stderr is a terminal.
Progress makeStderrProgress();

/// Writes to stderr what it takes. A reader that is gone, a full disk or a terminal that was stopped lose text, never the work that it is about: nothing
/// fails here, and nothing waits for longer than a second.
void writeToStderr(std::string_view text);

} // namespace peer::runtime
