// Calls that the numeric tests recorded, made again.
#pragma once

#include "Isolated.h"

#include <string>

namespace peer::gpucheck {

/// Makes the calls of one case on a device: {"name", "status": "pass" or "fail", "error", "tolerance", "message"}. The error is the largest
/// of |actual - expected| / (1 + |expected|), in proportion to its tolerance, over all results.
Json replayCase(const std::string &path, const std::string &device);

} // namespace peer::gpucheck
