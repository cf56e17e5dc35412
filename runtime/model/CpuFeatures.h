// What the processor of this machine can do.
#pragma once

#include <string>
#include <vector>

namespace peer::runtime {

/// The CPU features out of `needed` (LLVM's names) that this machine lacks or that the runtime does not know.
std::vector<std::string> missingCpuFeatures(const std::vector<std::string> &needed);

} // namespace peer::runtime
