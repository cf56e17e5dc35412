// Progress on stderr: a live line where it is a terminal.
#pragma once

#include "../Progress.h"

namespace peer::runtime {

/// Writes to stderr, redrawing one line if stderr is a terminal.
Progress makeStderrProgress();

} // namespace peer::runtime
