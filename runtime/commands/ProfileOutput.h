// What --profile says at the end of a run, and what bench says of routes as well.
#pragma once

#include "lm/training/StepProfile.h"

namespace peer::runtime {

/// A line about the keys that a kernel scored in f32; empty where it counted none.
std::string scoredText(const std::string &kernel, const ScoredKeys &keys);

/// A table of kernels, with the time that a step spends outside of them, and what the columns are.
std::string profileText(const StepProfile &profile);

} // namespace peer::runtime
