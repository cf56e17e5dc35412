// `bench --against`: several artifacts of one model, timed in turns on the same parameters and inputs.
#pragma once

#include "session/Session.h"

namespace peer::runtime {

/// `against` names artifacts, or is "-" alone: then stdin has comparisons, each of them a line with the number of rounds, a line for each artifact, and an
/// empty line; each is answered on stdout by a line of JSON. `session` has its parameters, and what the entry keeps.
Status benchAgainst(Session &session, const Entry &entry, const TensorMap &inputs,
                    const std::vector<std::string> &against, int64_t rounds, bool json);

} // namespace peer::runtime
