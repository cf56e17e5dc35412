// Lists in messages.
#pragma once

#include "Status.h"

#include <vector>

namespace peer::runtime {

/// "a, b, c, d, e, f, g, h and 37 more".
inline std::string listText(const std::vector<std::string> &items, size_t most = 8) {
  std::string text;
  // One item more takes no more room than the words that replace it.
  size_t shown = items.size() <= most + 1 ? items.size() : most;
  for (size_t i = 0; i < shown; ++i)
    text += (i ? ", " : "") + items[i];
  return shown < items.size() ? text + concat(" and ", items.size() - shown, " more") : text;
}

/// All of them.
inline std::string joined(const std::vector<std::string> &items) { return listText(items, items.size()); }

} // namespace peer::runtime
