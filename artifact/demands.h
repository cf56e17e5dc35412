// Which of several versions of an artifact's code asks more of a CPU: the runtime takes the most demanding one that a CPU can run, and
// `peer-opt --autotune` tunes that one. The standard library alone, as format.h.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

namespace peer::format {

/// Wider vectors are worth more than any number of other instructions; equal ones go by the rest, and by name so that no order of a list decides.
inline auto demandsOf(const std::vector<std::string> &features, const std::string &cpu) {
  auto has = [&](std::string_view feature) {
    return std::find(features.begin(), features.end(), feature) != features.end();
  };
  int width = has("avx512f") ? 16 : has("avx2") ? 8 : 4;
  return std::tuple(width, features.size(), features, cpu);
}

} // namespace peer::format
