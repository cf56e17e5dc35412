// The arguments as CLI11 should see them.
#pragma once

#include "core/Status.h"

#include <CLI/CLI.hpp>

namespace peer::runtime {

/// CLI11 takes the argument after an option that wants a value for that value, also after "--out=" and also where it is an option itself. Here each
/// value is tied to its option. Fails where an option has none, or an empty one that is no text. `arguments` come without the
/// program's name; the result is in the same order.
Result<std::vector<std::string>> tieValues(const CLI::App &app, const std::vector<std::string> &arguments);

} // namespace peer::runtime
