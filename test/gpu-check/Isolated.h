// Jobs in a child process: on a GPU a kernel that goes wrong takes everything of its process with it, and one that hangs never returns.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>

namespace peer::gpucheck {

using Json = nlohmann::ordered_json;

/// Does the jobs 0 to count - 1 one after the other and hands over the result of each. A job whose result has "fatal", that crashes or that takes
/// longer than `seconds` ends its process, and the next one starts in a new process; the latter two give {"status": "fail", "message": ...}.
void runIsolated(size_t count, int seconds, const std::function<Json(size_t)> &job,
                 const std::function<void(size_t, const Json &)> &report);

} // namespace peer::gpucheck
