// How fast this process reads the host's memory.
#pragma once

#include "core/Status.h"

namespace peer::runtime {

/// Read bandwidth in GB/s (1e9 bytes) of all OpenMP threads together, summing a buffer of 512 MiB (or less where memory is short): the best of several passes.
Result<double> measureReadBandwidth();

} // namespace peer::runtime
