// What --profile says at the end of a run.
#pragma once

#include "lm/training/StepProfile.h"

namespace peer::runtime {

/// A table of kernels, with the time that a step spends outside of them, and what the columns are.
std::string profileText(const StepProfile &profile);

} // namespace peer::runtime
